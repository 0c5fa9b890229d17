"""What a run would cost, by driving its algorithm with made-up replies."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .algorithms.problem import Algorithm, Problem
from .ask import Ask, Gradient, Reply
from .ledger import Ledger
from .store import RunStore
from .trajectory import Trajectory

OPEN_YIELDS = 3  # looked at where only a clock ends the search
WIDTH_YIELDS = 64  # enough to see how wide the asks are, whatever the budget


@dataclass(frozen=True)
class Plan:
    """One search's ledger, least and most over the made-up replies, and how wide its asks are."""

    least: Ledger
    most: Ledger
    width: int
    open_ended: bool

    @property
    def exact(self) -> bool:
        return self.least.nfe == self.most.nfe and not self.open_ended


def _made_up(index: int) -> Iterator[float]:
    """Four kinds of luck: all equal, ever better, ever worse, and mixed."""
    mixed = random.Random(0)
    step = 0
    while True:
        step += 1
        yield (0.0, float(step), float(-step), mixed.random())[index]


def plan(
    problem: Callable[[], Problem], algorithm: Algorithm, final_steps: int, finalists: int = 1
) -> Plan:
    """Nothing is computed; exact where the asks do not depend on scores."""
    ledgers: list[Ledger] = []
    widths: Counter[int] = Counter()
    first = problem()
    for index in range(4):
        fresh = problem()
        for winner in _drive(fresh, algorithm, _made_up(index), widths)[:finalists]:
            fresh.ledger.charge(winner.at(final_steps))
        ledgers.append(fresh.ledger)
    ledgers.sort(key=lambda ledger: ledger.nfe)
    return Plan(ledgers[0], ledgers[-1], _mode(widths), math.isinf(first.limit))


def final_price(problem: Problem, algorithm: Algorithm, final_steps: int, finalists: int) -> int:
    """NFE of finishing the winners, as one run with made-up replies has them."""
    winners = _drive(problem, algorithm, _made_up(3), Counter())[:finalists]
    return problem.price(*(winner.at(final_steps) for winner in winners))


def usual_width(problem: Problem, algorithm: Algorithm) -> int:
    """How many asks a yield mostly has; soon known, however large the budget is."""
    widths: Counter[int] = Counter()
    _drive(problem, algorithm, _made_up(3), widths, WIDTH_YIELDS)
    return _mode(widths)


def _mode(widths: Counter[int]) -> int:
    return max(widths, key=lambda w: (widths[w], w), default=1)


def _drive(
    problem: Problem,
    algorithm: Algorithm,
    luck: Iterator[float],
    widths: Counter[int],
    most: float = math.inf,
) -> list[Trajectory]:
    """The winners under these replies; where the budget cuts the search, any that are whole."""
    generator = algorithm(problem)
    most = OPEN_YIELDS if math.isinf(problem.limit) else most
    winners: list[Trajectory] = []
    seen: list[Reply] = []
    try:
        asks = next(generator)
        while True:
            fit = problem.affordable(asks)
            if not fit or sum(widths.values()) >= most:
                break
            widths[len(fit)] += 1
            seen += [made_up_reply(problem, ask, next(luck)) for ask in fit]
            if len(fit) < len(asks):
                break  # cut, as the driver does it: a search hears all that it asked or nothing
            asks = generator.send(seen[-len(fit) :])
    except StopIteration as stop:
        winners = list(stop.value or ())
    chosen = winners or [r.trajectory for r in seen]
    return list(dict.fromkeys(t for t in chosen if t.finished))


def made_up_reply(problem: Problem, ask: Ask, number: float) -> Reply:
    """A reply with one number in every part, and a blob's name where a gradient is asked for."""
    gradients = {ask.key: ask.key} if isinstance(ask.want, Gradient) else {}
    parts = dict.fromkeys(problem.objective.parts, number)
    return Reply(ask.trajectory, parts, gradients=gradients)


def reused(
    problem: Problem, algorithm: Algorithm, store: RunStore, parts: tuple[str, ...]
) -> tuple[int, int]:
    """(asks that the journal answers, asks made) until the first yield that needs new work."""
    generator = algorithm(problem)
    known = made = 0
    try:
        asks = next(generator)
        while True:
            fit = problem.affordable(asks)
            replies = [r for a in fit if a.answered_by(r := store.seen(a.trajectory, parts)) and r]
            known, made = known + len(replies), made + len(fit)
            if not fit or len(replies) < len(asks):
                return known, made
            asks = generator.send(replies)
    except StopIteration:
        return known, made
