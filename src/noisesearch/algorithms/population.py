"""Population Search: a set of samples chosen batch by batch (arXiv 2501.09732, Appendix A.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from ..candidates.ask import Ask, Reply
from ..candidates.condition import Condition
from ..candidates.trajectory import Trajectory
from ..errors import ConfigError
from .problem import Cut, Problem, Search
from .settings import Settings

INITIAL = 1024  # the paper's, for 50,000 samples
AT_ONCE = 64  # samples that are asked for in one yield, at least
UNDER_A_CLOCK = 16  # candidates where only a clock ends the search


@dataclass(frozen=True)
class SetPlace:
    """One sample of the set to be: ``number`` of the ``count`` that its condition has."""

    condition: Condition
    number: int
    count: int

    def candidate(self, problem: Problem, index: int) -> Trajectory:
        """The first candidates of a condition's places have its first noises, and so on."""
        noise = problem.noise(index * self.count + self.number, self.condition)
        return problem.sample(noise, condition=self.condition)


class Population(Settings):
    """Population Search: greedy choice of batches that make a set of samples better (A.3).

    1. ``initial`` random samples begin the set. 2. For the next ``batch`` places ``candidates``
    batches are drawn, each is added to the set for trial, and the one with which the set objective
    is best stays. 3. So on, until the set has ``size`` samples. With 'frechet(inception)' this is
    the paper's oracle FID search. The places belong to the run's prompts in turn, and the set
    without search is made of the first candidate of every place. Without an objective of sets it
    is the mean of the run's objective.

    Price: one candidate for each of the first places and ``candidates`` for each of the others.
    """

    name: ClassVar[str] = "population"
    needs: ClassVar[str] = "samples; features of a verifier where sets are compared by them"
    price: ClassVar[str] = "(initial + (size − initial)·candidates)·C"
    joint: ClassVar[bool] = True

    size: int | None = Field(default=None, ge=1, description="samples; default: one a prompt")
    initial: int | None = Field(
        default=None,
        ge=0,
        description="random samples to begin with; default: 1/8 of the size, at most 1024, and "
        "none where no features are compared",
    )
    batch: int = Field(default=8, ge=1, description="samples that are chosen together")
    candidates: int | None = Field(
        default=None, ge=1, description="batches to choose from; default: the budget"
    )

    @property
    def extendable(self) -> bool:
        return self.candidates is not None

    def unsearched(self, problem: Problem) -> list[Trajectory]:
        """The set without search: the first candidate of every place."""
        return [place.candidate(problem, 0) for place in self._places(problem)]

    def __call__(self, problem: Problem) -> Search:
        places = self._places(problem)
        initial = self._initial(problem, len(places))
        width = self._width(problem, len(places), initial)
        batches = [range(i, min(i + self.batch, len(places)))
                   for i in range(initial, len(places), self.batch)]  # fmt: skip
        at_once = max(1, AT_ONCE // (self.batch * width))
        chosen: list[Trajectory] = []
        try:
            for start in range(0, initial, AT_ONCE):
                some = range(start, min(start + AT_ONCE, initial))
                replies = yield self._asks(problem, places, some, 1, "initial")
                chosen += self._chosen(problem, [replies])
            for turn in range(0, len(batches), at_once):
                some_batches = batches[turn : turn + at_once]
                replies = yield [
                    ask
                    for batch in some_batches
                    for ask in self._asks(problem, places, batch, width, "candidate")
                ]
                for batch in some_batches:
                    mine, replies = replies[: len(batch) * width], replies[len(batch) * width :]
                    chosen += self._chosen(problem, [mine[j::width] for j in range(width)])
        except Cut:
            pass  # the places that were not reached keep what they have without search
        return chosen + self.unsearched(problem)[len(chosen) :]

    def _chosen(self, problem: Problem, batches: list[list[Reply]]) -> list[Trajectory]:
        return [reply.trajectory for reply in batches[problem.choose(batches)]]

    def _asks(
        self, problem: Problem, places: list[SetPlace], of: range, width: int, role: str
    ) -> list[Ask]:
        """Place by place, all candidates of each."""
        return [
            problem.member(places[i].candidate(problem, j), role=role, place=i, index=j)
            for i in of
            for j in range(width)
        ]

    def _places(self, problem: Problem) -> list[SetPlace]:
        conditions = problem.conditions
        size = self.size or len(conditions)
        if size < len(conditions):
            raise ConfigError(
                f"size is {size}, but there are {len(conditions)} prompts and each needs a "
                "place; give a larger size or fewer prompts"
            )
        whole, rest = divmod(size, len(conditions))
        return [
            SetPlace(conditions[at], turn, whole + (at < rest))
            for turn, at in (divmod(i, len(conditions)) for i in range(size))
        ]

    def _initial(self, problem: Problem, size: int) -> int:
        if self.initial is not None:
            if self.initial >= size:
                raise ConfigError(
                    f"initial is {self.initial} and size {size}, so nothing is left to choose; "
                    "make initial the smaller"
                )
            return self.initial
        features = problem.run.sets is not None and problem.run.sets.features is not None
        return min(INITIAL, math.ceil(size / 8)) if features and size > 1 else 0

    def _width(self, problem: Problem, size: int, initial: int) -> int:
        """Batches to choose from: as many as given, or as the budget allows."""
        if math.isinf(problem.budget):
            return self.candidates or UNDER_A_CLOCK
        price = problem.worth()
        width = self.candidates or int((problem.budget / price - initial) // (size - initial))
        least = (initial + (size - initial) * (self.candidates or 1)) * price
        if width < 1 or least > problem.budget:
            raise ConfigError(
                f"budget leaves {problem.budget:g} NFE for the search, but a population of {size} "
                f"needs at least {least}; give a larger budget, a smaller size or fewer candidates"
            )
        return width
