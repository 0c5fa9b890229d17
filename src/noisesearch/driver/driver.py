"""The driver: many live searches at once, one pool of asks, budgets, the journal."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from ..algorithms.problem import Algorithm
from ..candidates.ask import Ask, Reply
from ..candidates.budget import MAX_MISSING, Budget
from ..candidates.executor import Executor, Patient
from ..errors import BackendError, ConfigError
from ..store.run_store import RunStore, uncollected
from .journalled_choices import Choices
from .live_search import LiveSearch

FAILED_SOON = 10  # replies before the share of failures can end a run
CLOCK = 0.5  # seconds after which the clock is looked at where answers take long
LAST = ("final", "baseline", "watch")  # what is still asked when the time is over


class Watcher(Protocol):
    """Told of what happens; may draw it, may not change it."""

    def replied(self, driver: Driver, live: LiveSearch, reply: Reply) -> None: ...
    def improved(self, driver: Driver, live: LiveSearch, reply: Reply) -> None: ...


class Driver:
    """Runs searches to their end; everything that it decides is repeated by a resume.

    Contract: a reply is journalled before its search hears of it. Asks are charged in program
    order, answered from the journal where it knows them, and submitted otherwise.
    """

    def __init__(
        self,
        searches: Sequence[LiveSearch],
        algorithm: Algorithm,
        executor: Executor,
        store: RunStore,
        budget: Budget,
        *,
        seconds: float | None = None,
        window: int = 256,
        max_missing: float = MAX_MISSING,
        watcher: Watcher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.searches, self.algorithm, self.executor = list(searches), algorithm, executor
        self.store, self.budget, self.watcher = store, budget, watcher
        for search in self.searches:
            if search.problem.run.sets is not None:
                search.problem.choose = Choices(search.problem, store)
        # Conditions with a time of their own come one after the other: together they would share
        # the first one's.
        own_time = budget.unit == "s" and budget.per == "condition"
        self.seconds, self.window, self.clock = seconds, 1 if own_time else window, clock
        self._own_limits = budget.unit in ("s", "usd") and budget.per == "condition"
        self.max_missing = max_missing
        self.failed: dict[str, list[str]] = {}
        self.answered = 0
        self._wanted: dict[str, list[LiveSearch]] = {}
        self._best: dict[int, float] = {}
        self._began = clock()
        self.expired = False

    @property
    def elapsed(self) -> float:
        """Seconds of this process and those before it."""
        return self.store.spending.seconds_before + self.clock() - self._began

    def run(self) -> None:
        """Until every search is done. KeyboardInterrupt passes through, with nothing lost."""
        waiting = list(self.searches)
        live: list[LiveSearch] = []
        if isinstance(self.executor, Patient):
            self.executor.patience = CLOCK
        self._check_clock(live)
        while True:
            room = self.window - len(live)
            fresh, waiting = waiting[:room], waiting[room:]
            live += fresh
            self._start(fresh)
            self._check_clock(live)
            live = [s for s in live if s.stage != "done"]
            if self._wanted:
                self._answered(self.executor.wait())
            elif not live and not waiting:
                break
        self._check_failures(last=True)

    def _start(self, fresh: list[LiveSearch]) -> None:
        """Ask in turn, the baselines first, so that under a clock every search gets its share."""
        asked = []
        for search in fresh:
            search.started = self.clock()
            asked.append(search.start(self.algorithm))
        for turn in itertools.zip_longest(*asked):
            for search, ask in zip(fresh, turn, strict=True):
                if ask is not None:
                    self._ask(search, ask)
        with uncollected():  # the journal may answer a hundred thousand of them
            for search in fresh:
                self._take(search, [])

    def _take(self, live: LiveSearch, asks: list[Ask]) -> None:
        """Answer asks from the journal, submit the others, go on while there is nothing to wait
        for."""
        while live.stage != "done":
            for ask in asks:
                self._ask(live, ask)
            if live.enough():
                self._stop(live)
                return
            if not live.ready:
                return
            asks = live.advance()

    def _ask(self, live: LiveSearch, ask: Ask) -> None:
        if live.is_answered(ask):
            return
        parts = ask.parts(live.record.parts)
        known = self.store.seen(ask.trajectory, parts)
        if known is not None and ask.answered_by(known, live.record.parts):
            self._tell(live, known.only(parts))
        elif not self.expired or ask.tag.get("role") in LAST:
            wanted = self._wanted.setdefault(ask.key, [])
            if not wanted:
                self.executor.submit(ask)
            if not any(other is live for other in wanted):
                wanted.append(live)

    def _answered(self, answers: list[tuple[Ask, Reply]]) -> None:
        if not answers and not isinstance(self.executor, Patient):
            raise BackendError("the executor has nothing to say although asks are in flight")
        told: dict[int, LiveSearch] = {}
        for ask, reply in answers:
            if ask.key not in self._wanted:
                continue  # its search was stopped: a resume must not find what it did not count
            if reply.arrays:
                blobs = {key: self.store.arrays.put(array) for key, array in reply.arrays.items()}
                reply = replace(reply, blobs=blobs, arrays={})
            key = reply.trajectory.condition.key
            usage = self.executor.usage.get(key, {})
            self.store.record(reply, key, usage, self.clock() - self._began)
            for live in self._wanted.pop(ask.key, ()):
                self._tell(live, reply)
                told[live.settings.index] = live
        self._check_failures()
        for live in told.values():
            self._take(live, [])

    def _tell(self, live: LiveSearch, reply: Reply) -> None:
        whole = live.answer(reply)
        for part, reason in reply.missing.items():
            self.failed.setdefault(part, []).append(reason)
        if whole is None:
            return  # the watch's: nothing follows from it
        reply, self.answered = whole, self.answered + 1
        if self.watcher is not None:
            self.watcher.replied(self, live, reply)
        index, value = live.settings.index, live.problem.objective.value(reply)
        if live.record.is_candidate(reply) and value > self._best.get(index, -float("inf")):
            self._best[index] = value
            if self.watcher is not None:
                self.watcher.improved(self, live, reply)

    def _check_failures(self, last: bool = False) -> None:
        """A verifier that fails for more of the replies than the run allows ends it."""
        if not self.failed:
            return
        searched = {part for live in self.searches[:1] for part in live.record.parts}
        for part in searched & self.failed.keys():
            reasons = self.failed[part]
            enough = self.answered >= FAILED_SOON or last
            if enough and len(reasons) > self.max_missing * self.answered:
                raise ConfigError(
                    f"part {part!r} is missing in {len(reasons)} of {self.answered} replies, more "
                    f"than --max-missing {self.max_missing:g}; the first reason: {reasons[0]}. "
                    f"Mend the verifier, then: noisesearch resume {self.store.folder} "
                    "--retry-failed"
                )

    def _check_clock(self, live: list[LiveSearch]) -> None:
        """Stop the searches whose time is over; what they know by then is what counts."""
        if not self.expired and self._over():
            self.expired = True
            self.store.event("cut", seconds=round(self.clock() - self._began, 4))
        if not (self.expired or self._own_limits):
            return  # nothing to look for in hundreds of searches after every answer
        for search in live:
            over = self.expired or self._own_time_over(search) or self._own_money_over(search)
            if search.stage == "searching" and over:
                self._stop(search)

    def _over(self) -> bool:
        mine = self.clock() - self._began
        limits = [(self.seconds, mine)]
        if self.budget.unit == "s" and self.budget.per == "run":
            limits.append((self.budget.amount, self.elapsed))
        if self.budget.unit == "usd" and self.budget.per == "run":
            spending = self.store.spending
            limits.append((self.budget.amount, spending.money(spending.spent)))
        return any(limit is not None and spent >= limit for limit, spent in limits)

    def _own_money_over(self, live: LiveSearch) -> bool:
        """Money is in the journal with what it bought, so that a resume stops there too."""
        if self.budget.unit != "usd" or self.budget.per != "condition":
            return False
        spent = self.store.spending.money(c.key for c in live.problem.conditions)
        return spent >= self.budget.amount * len(live.problem.conditions)

    def _own_time_over(self, live: LiveSearch) -> bool:
        if self.budget.unit != "s" or self.budget.per != "condition" or live.started is None:
            return False
        condition = live.problem.condition.key
        amount = self.budget.amount * len(live.problem.conditions)
        before = self.store.spending.cuts.get(condition, 0.0)
        over = before + self.clock() - live.started >= amount
        if over and before < amount:
            self.store.event("cut", seconds=0.0, condition=condition, at=amount)
            self.store.spending.cuts[condition] = amount
        return over

    def _stop(self, live: LiveSearch) -> None:
        if not live.baseline_answered:
            return  # there must be a picture to show; it is in flight
        for ask in live.waiting:
            wanted = self._wanted.get(ask.key)
            if wanted is not None and live in wanted:
                wanted.remove(live)
                if not wanted:
                    del self._wanted[ask.key]
                    self.executor.cancel(ask)
        self._take(live, live.stop())
