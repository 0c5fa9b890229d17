"""An algorithm's dialogue, step by step: what it asks, what that costs, what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..algorithms.problem import Algorithm
from ..candidates.ask import Ask, Reply
from ..candidates.trajectory import Trajectory
from .plane import drive

if TYPE_CHECKING:
    from .plane import Plane


def trace(
    algorithm: Algorithm, plane: Plane | None = None, say: Callable[[str], None] = print
) -> list[Trajectory]:
    """Run an algorithm in the plane (:func:`noisesearch.testing.mixture`) and print its dialogue.

    A line an ask: turn, price in NFE, what it is (noise or leg, finished or a preview, the kind of
    question), its tag, and the parts it was told.
    """
    if plane is None:
        from .plane import mixture

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
