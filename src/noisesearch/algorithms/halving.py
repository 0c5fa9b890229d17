"""Successive halving: many noises begun, few finished (arXiv 1502.07943)."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from typing import ClassVar, Self

from pydantic import Field, model_validator

from ..candidates.ask import Reply, score
from ..errors import ConfigError
from ..objectives.single import ranking
from .problem import Problem, Search
from .settings import Settings

UNDER_A_CLOCK = 32  # noises a bracket where only a clock ends the search


class Halving(Settings):
    """Successive halving: noises are dropped on their way, by how their previews score.

    After Jamieson and Talwalkar (arXiv 1502.07943), with levels of one trajectory as the resource.
    1. ``width`` noises go down to the first of ``levels`` and are scored there by their
    x0-predictions. 2. The share ``keep`` of them, rounded up, goes on to the next, and so on.
    3. Those that are left after the last are finished, and their samples decide. A noise goes on
    where it stopped, and its preview is the first evaluation of the next step, so nothing is
    computed twice and a finished candidate is the sample of its noise.

    Price: with nⱼ noises at level lⱼ, which needs eⱼ = lⱼ·(NFE of a step) + 1 evaluations, the sum
    of nⱼ·(eⱼ − eⱼ₋₁), the whole sample as last. ``width`` is the largest that the budget allows.
    """

    name: ClassVar[str] = "halving"
    needs: ClassVar[str] = "previews"
    price: ClassVar[str] = "width·e₁ + ⌈width·keep⌉·(e₂ − e₁) + … + (those left)·(C − eₘ)"

    levels: tuple[float, ...] = Field(
        default=(0.35, 0.6), description="where it is dropped, in shares of the steps, rising"
    )
    keep: float = Field(default=0.4, gt=0, lt=1, description="share that goes on from a level")
    width: int | None = Field(default=None, ge=1, description="noises; default: the budget")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        ends = (0.0, *self.levels, 1.0)
        if not self.levels or any(a >= b for a, b in itertools.pairwise(ends)):
            raise ValueError(
                f"levels are {', '.join(f'{x:g}' for x in self.levels) or 'none'}, but must rise "
                "from above 0 to below 1, each a share of the steps, such as 0.35, 0.6"
            )
        return self

    @property
    def extendable(self) -> bool:
        return self.width is not None

    def __call__(self, problem: Problem) -> Search:
        stops = self.stops(problem)
        finished: list[Reply] = []
        # Not the baseline's noise, number 0: that is finished and compared in any case.
        first = 1
        while True:  # under a clock one bracket after the other
            width = self._width(problem)
            noises = [problem.noise(first + i) for i in range(width)]
            for turn, level in enumerate(stops[:-1]):
                replies = yield [
                    score(problem.sample(n, to=level), role="look", round=turn) for n in noises
                ]
                best = ranking(problem.objective, replies)[: self.kept(len(noises))]
                noises = [replies[i].trajectory.noise for i in sorted(best)]
            finished += yield [score(problem.sample(n), role="sample") for n in noises]
            first += width
            if math.isfinite(problem.budget):
                return [finished[i].trajectory for i in ranking(problem.objective, finished)]

    def stops(self, problem: Problem) -> list[int]:
        """The levels that noises are looked at, and the last; of a few steps some are the same."""
        steps = problem.steps
        inner = {min(max(1, round(share * steps)), steps - 1) for share in self.levels} - {0}
        return [*sorted(inner), steps]

    def kept(self, count: int) -> int:
        """How many of so many go on; rounded first, since 0.4·5 is a little more than 2."""
        return math.ceil(round(count * self.keep, 9))

    def cost(self, problem: Problem, width: int) -> float:
        """NFE of a bracket of so many noises; grows with the width."""
        total, count, paid = 0, width, 0
        for stop in self.stops(problem):
            due = stop * problem.run.stages + (stop < problem.steps)
            total += count * (due - paid)
            count, paid = self.kept(count), due
        return total * problem.run.weight

    def _width(self, problem: Problem) -> int:
        """As given, or the largest that the budget allows."""
        if math.isinf(problem.budget):
            return self.width or UNDER_A_CLOCK
        if self.width is None:
            most = range(1, int(problem.budget / problem.run.weight) + 1)
            return max(1, bisect_right(most, problem.budget, key=lambda n: self.cost(problem, n)))
        if (least := self.cost(problem, self.width)) > problem.budget:
            raise ConfigError(
                f"budget leaves {problem.budget:g} NFE for the search, but halving of "
                f"{self.width} noises needs at least {least:g}; give a larger budget or a "
                "smaller width"
            )
        return self.width
