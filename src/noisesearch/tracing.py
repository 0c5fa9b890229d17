"""An algorithm's dialogue, step by step: what it asks, what that costs, what it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .algorithms.problem import Algorithm, Problem
from .candidates.ask import Ask, Reply
from .candidates.trajectory import Trajectory
from .objectives.single import ranking

if TYPE_CHECKING:
    from .testing.plane import Plane

Answer = Callable[[Sequence[Ask]], list[Reply]]
Told = Callable[[int, list[Ask], list[float], list[Reply]], None]


def drive(
    algorithm: Algorithm, problem: Problem, answer: Answer, told: Told | None = None
) -> list[Trajectory]:
    """The winners of one search without a driver; a yield that the budget cuts is the last."""
    search, turn, seen = algorithm(problem), 0, list[Reply]()
    try:
        asks = next(search)
        while True:
            prices = []
            fit: list[Ask] = []
            for ask in asks:
                price = problem.cost(ask)
                if not problem.affordable([ask]):
                    break
                fit.append(ask)
                prices.append(price)
            replies = answer(fit)
            seen += replies
            if told is not None:
                told(turn, fit, prices, replies)
            if len(fit) < len(asks):
                search.close()
                whole = [r for r in seen if r.trajectory.finished]
                return [whole[i].trajectory for i in ranking(problem.objective, whole)[:1]]
            asks, turn = search.send(replies), turn + 1
    except StopIteration as stop:
        return list(stop.value or ())


def trace(
    algorithm: Algorithm, plane: Plane | None = None, say: Callable[[str], None] = print
) -> list[Trajectory]:
    """Run an algorithm in the plane (:func:`noisesearch.testing.mixture`) and print its dialogue.

    A line an ask: turn, price in NFE, what it is (noise or leg, finished or a preview, the kind of
    question), its tag, and the parts it was told.
    """
    if plane is None:
        from .testing.plane import mixture

        plane = mixture()
    problem = plane.problem

    def told(turn: int, asks: list[Ask], prices: list[float], replies: list[Reply]) -> None:
        say(f"yield {turn}: {len(asks)} asks, {sum(prices)} NFE, "
            f"{problem.budget:g} NFE left")  # fmt: skip
        for ask, price, reply in zip(asks, prices, replies, strict=True):
            parts = " ".join(f"{k}={v:.4f}" for k, v in reply.parts.items()) or "no score"
            tag = " ".join(f"{k}={v}" for k, v in ask.tag.items())
            say(f"  {price:4g} NFE  {_what(ask):28} {tag:28} -> {parts}")

    winners = drive(algorithm, problem, plane.answer, told)
    for place, winner in enumerate(winners[:4]):
        say(f"winner {place + 1}: {winner.key[:12]}, {len(winner.moves)} moves")
    return winners


def _what(ask: Ask) -> str:
    kind = type(ask.want).__name__.lower()
    trajectory = ask.trajectory
    where = "sample" if trajectory.finished else f"preview at level {trajectory.level}"
    return f"{kind} of a {where}"
