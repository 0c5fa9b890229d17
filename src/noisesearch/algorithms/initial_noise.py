"""Random Search and Zero-Order Search over the initial noise (arXiv 2501.09732, Section 2.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..candidates.ask import Ask, Reply, score
from ..candidates.noise import Noise, neighbour
from ..objectives.single import best, ranking
from .problem import Problem, Search
from .settings import Settings


class RandomSearch(Settings):
    """Random Search: the best of i.i.d. noises (arXiv 2501.09732, Section 2.2).

    Price: one candidate for every noise. Its asks do not depend on the total budget.
    """

    name: ClassVar[str] = "random"
    price: ClassVar[str] = "candidates·C"

    candidates: int | None = Field(default=None, ge=1, description="how many; default: the budget")

    def __call__(self, problem: Problem) -> Search:
        replies: list[Reply] = []
        while True:
            first = len(replies)
            room = min(problem.room(problem.sample(problem.noise(first))), self._wanted(first))
            if room < 1:
                break
            # In chunks, so that a search against the clock has no end to wait for.
            indices = range(first, first + int(min(room, 64)))
            replies += yield [
                score(problem.sample(problem.noise(i)), role="sample", index=i) for i in indices
            ]
        return [replies[i].trajectory for i in ranking(problem.objective, replies)]

    def _wanted(self, have: int) -> float:
        return float("inf") if self.candidates is None else self.candidates - have


class ZeroOrder(Settings):
    """Zero-Order Search: the best neighbour of a pivot noise becomes the pivot (Section 2.2).

    Neighbours have the pivot's norm and exactly ``cosine`` to it. ``pivot`` says what happens
    after a round: ``move`` (the paper's: the best neighbour always becomes the pivot, which is
    itself never scored, and the last pivot is returned), ``keep`` (the pivot's stored reply
    competes at no cost), ``restart`` (no better neighbour: a new noise; the rejected pivots are
    compared at the end). Price: ``neighbours`` candidates a round, and one for each pivot that
    is drawn anew, under keep and restart.
    """

    name: ClassVar[str] = "zero-order"
    price: ClassVar[str] = "rounds·neighbours·C, and C for each pivot drawn anew (keep, restart)"

    neighbours: int = Field(default=4, ge=1, description="N, neighbours a round")
    cosine: float = Field(default=0.95, gt=0.0, lt=1.0, description="λ, cosine to the pivot")
    pivot: Literal["move", "keep", "restart"] = Field(default="keep", description="pivot policy")
    rounds: int | None = Field(default=None, ge=1, description="K; default: the budget")

    def __call__(self, problem: Problem) -> Search:
        pivot = problem.noise(0)
        centre: Reply | None = (
            None  # the pivot's own reply; None under move and before it is known
        )
        seen: list[Reply] = []
        number = fresh = 0
        while self.rounds is None or number < self.rounds:
            asks = [] if centre or self.pivot == "move" else [self._pivot(problem, pivot, number)]
            asks += [self._neighbour(problem, pivot, number, j) for j in range(self.neighbours)]
            asks = asks[: int(min(len(asks), problem.room(asks[0].trajectory)))]
            if not asks:
                break
            replies = yield asks
            seen += replies
            if centre is None and self.pivot != "move":
                centre, *replies = replies
            # The pivot comes last among equals: a tied neighbour is news, a tied pivot is not.
            pool = replies if centre is None else [*replies, centre]
            winner = pool[best(problem.objective, pool)]
            number += 1
            if self.pivot == "restart" and winner is centre:
                fresh += 1
                pivot, centre = problem.noise(fresh), None
            else:
                pivot = winner.trajectory.noise
                centre = None if self.pivot == "move" else winner
        if self.pivot == "move":
            return [problem.sample(pivot)]
        return [seen[i].trajectory for i in ranking(problem.objective, seen)]

    def _pivot(self, problem: Problem, noise: Noise, number: int) -> Ask:
        return score(problem.sample(noise), role="pivot", round=number)

    def _neighbour(self, problem: Problem, pivot: Noise, number: int, index: int) -> Ask:
        near = neighbour(pivot, problem.seed("neighbour", number, index), self.cosine)
        return score(problem.sample(near), role="neighbour", round=number, index=index)
