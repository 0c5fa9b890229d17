"""What a run would cost, by driving its algorithm with made-up replies."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..algorithms import capabilities
from ..algorithms.problem import Algorithm
from ..candidates.ask import Ask, Reply
from ..candidates.ledger import Ledger
from ..store.run_store import RunStore
from .live_search import LiveSearch

OPEN_YIELDS = 3  # looked at where only a clock ends the search
WIDTH_YIELDS = 64  # enough to see how wide the asks are, whatever the budget


@dataclass(frozen=True)
class Width:
    """How many asks of a draft a yield mostly has, and all that there are of it, its baseline
    among them, where one yield has them all."""

    usual: int
    whole: int | None = None


@dataclass(frozen=True)
class Plan:
    """One search's ledger, least and most over the made-up replies, and the NFE of its baseline.

    ``adaptive``: other replies may make it cheaper, or dearer up to its limit.
    """

    least: Ledger
    most: Ledger
    baseline: int
    open_ended: bool
    adaptive: bool = False

    @property
    def exact(self) -> bool:
        sure = not (self.open_ended or self.adaptive)
        return sure and self.least.worth == self.most.worth


def predicted(found: Plan, searches: int) -> dict[str, Any]:
    """The ledger of so many searches like the planned one: ``ledger`` where it is exact, else
    ``least`` and ``most``; nothing where only a clock ends them."""
    if found.open_ended:
        return {}
    if found.exact:
        return {"ledger": _times(found.most.json(), searches)}
    return {"least": _times(found.least.json(), searches),
            "most": _times(found.most.json(), searches)}  # fmt: skip


def _times(ledger: Mapping[str, Any], count: int) -> dict[str, Any]:
    return {
        name: _times(value, count) if isinstance(value, Mapping) else value * count
        for name, value in ledger.items()
        if name != "seconds"  # measured, so no plan can know it
    }


def _made_up(index: int) -> Iterator[float]:
    """Four kinds of luck: all equal, ever better, ever worse, and mixed."""
    mixed = random.Random(0)
    step = 0
    while True:
        step += 1
        yield (0.0, float(step), float(-step), mixed.random())[index]


def plan(search: Callable[[], LiveSearch], algorithm: Algorithm) -> Plan:
    """Nothing is computed; exact where the asks do not depend on scores."""
    ledgers: list[Ledger] = []
    for index in range(4):
        live = search()
        rehearse(live, algorithm, _made_up(index))
        ledgers.append(live.ledger)
    ledgers.sort(key=lambda ledger: ledger.worth)
    open_ended = math.isinf(live.problem.run.limit)
    baseline = live.record.baseline_ledger.nfe
    adaptive = capabilities.adaptive(algorithm)
    return Plan(ledgers[0], ledgers[-1], baseline, open_ended, adaptive)


def final_price(live: LiveSearch, algorithm: Algorithm) -> int:
    """NFE of finishing the winners, as one run with made-up replies has them."""
    rehearse(live, algorithm, _made_up(3))
    return live.final_price


def usual_widths(live: LiveSearch, algorithm: Algorithm) -> dict[str, Width]:
    """What yields ask of each draft; soon known, however large the budget is."""
    yields: dict[str, list[set[str]]] = {}

    def looked(asks: Sequence[Ask]) -> None:
        found: dict[str, set[str]] = {}
        for ask in asks:
            found.setdefault(ask.trajectory.draft, set()).add(ask.trajectory.key)
        for draft, keys in found.items():
            yields.setdefault(draft, []).append(keys)

    rehearse(live, algorithm, _made_up(3), looked, WIDTH_YIELDS)
    record = live.record
    beside = {record.baseline.draft: {ask.trajectory.key for ask in record.baselines}}

    def width(draft: str, asked: list[set[str]]) -> Width:
        times = Counter(map(len, asked))
        once = len(asked) == 1
        whole = len(asked[0] | beside.get(draft, set())) if once else None
        return Width(max(times, key=lambda w: (times[w], w)), whole)

    return {draft: width(draft, asked) for draft, asked in yields.items()}


def rehearse(
    live: LiveSearch,
    algorithm: Algorithm,
    luck: Iterator[float],
    looked: Callable[[Sequence[Ask]], None] = lambda asks: None,
    most: float = math.inf,
) -> None:
    """A whole search with made-up replies; its ledger is then that of a real one. ``looked`` is
    told the asks of each yield."""
    yields, most = 0, OPEN_YIELDS if math.isinf(live.problem.run.limit) else most
    asks = live.start(algorithm)
    while live.stage != "done":
        if live.stage == "searching":
            yields += 1
            looked(live.pending)
        for ask in asks:
            if not live.is_answered(ask):
                live.answer(made_up_reply(live.record.parts, ask, next(luck)))
        asks = live.stop() if live.stage == "searching" and yields >= most else live.advance()


def made_up_reply(parts: tuple[str, ...], ask: Ask, number: float) -> Reply:
    """A reply with one number in every part, and a blob's name where an array is asked for.

    ``parts``: all that the search is judged by.
    """
    blobs = {ask.key: ask.key} if ask.stored else {}
    return Reply(ask.trajectory, dict.fromkeys(ask.parts(parts), number), blobs=blobs)


def reused(live: LiveSearch, algorithm: Algorithm, store: RunStore) -> tuple[int, int]:
    """(asks that the journal answers, asks made) until the first yield that needs new work."""
    known = made = 0
    asks = live.start(algorithm)
    while live.stage == "searching":
        for ask in asks:
            parts = ask.parts(live.record.parts)
            if (reply := store.seen(ask.trajectory, parts)) is not None:
                live.answer(reply.only(parts))
        made += len(live.pending)
        known += len(live.pending) - len(live.waiting)
        if not live.ready:
            break
        asks = live.advance()
    return known, made
