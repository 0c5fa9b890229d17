"""Evolutionary search over start noises and over states on the way (arXiv 2505.17618)."""

from __future__ import annotations

import itertools
import math
from typing import ClassVar, Self

from pydantic import Field, model_validator

from ..candidates.ask import Ask, Reply, score
from ..candidates.noise import Noise, cross, neighbour
from ..candidates.trajectory import Denoise, Renoise, Trajectory
from ..objectives.single import ranking
from .problem import Problem, Search
from .settings import Settings, check_elites

NOISE = 1.0  # the time of start noises, the first that evolve
UNDER_A_CLOCK = 48  # candidates' worth of a turn where only a clock ends the search


class Evolution(Settings):
    """EvoSearch: generations of start noises, and then of states on the way down
    (arXiv 2505.17618).

    1. ``population`` i.i.d. noises are scored by their samples. 2. Children of the ``elites``, the
    best so far, are noises: of one parent, or of two, whose halves are put together along an axis;
    then turned by chance to ``cosine`` of what they were. 3. At each of ``times`` children are
    states: a parent's there, noised up by ``rise`` and brought down again. All that a child's
    parent is down to that state is shared. Parents are drawn by tournaments of two. Every
    candidate is brought down to its sample and scored there, and all noises stay standard normal.
    Start noises have many generations, each of ``times`` one.

    Price: one candidate for every noise; for every state what is left from there, and for every
    parent its way to there, which its children share. The budget goes to noises and times in
    equal parts.
    """

    name: ClassVar[str] = "evolution"
    needs: ClassVar[str] = "samples; renoising, but for black boxes"
    price: ClassVar[str] = (
        "noises·C + children·⌈(time + rise)·steps⌉ + parents·⌈(1 − time)·steps⌉ for each time"
    )

    times: tuple[float, ...] = Field(
        default=(0.6, 0.3), description="of the states that evolve after the noises, falling"
    )
    rise: float = Field(default=0.2, gt=0, lt=1, description="time that a state is noised up by")
    population: int | None = Field(
        default=None, ge=2, description="children a generation; default: √candidates, at least 4"
    )
    elites: int | None = Field(
        default=None, ge=1, description="that have children; default: a third of the population"
    )
    cosine: float = Field(default=0.95, gt=0, lt=1, description="of a child's noise to before")
    crossing: float = Field(
        default=0.5, ge=0, le=1, description="share of a generation's noises that have two parents"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        ends = (NOISE, *self.times, 0.0)
        if any(a <= b for a, b in itertools.pairwise(ends)):
            raise ValueError(
                f"times are {', '.join(f'{x:g}' for x in self.times)}, but must fall from below 1 "
                "to above 0, such as 0.6, 0.3"
            )
        if self.times and self.times[0] + self.rise > 1:
            raise ValueError(
                f"times begin at {self.times[0]:g} and rise is {self.rise:g}, which leads above "
                "time 1, pure noise; make their sum at most 1"
            )
        check_elites(self.elites, self.population)
        return self

    @property
    def extendable(self) -> bool:
        return False

    def __call__(self, problem: Problem) -> Search:
        seen: list[Reply] = []
        clock = math.isinf(problem.budget)
        whole = problem.worth()
        budget = UNDER_A_CLOCK * whole if clock else problem.budget
        size = self.population or max(4, math.isqrt(int(budget / whole)))
        plan = self.counts(problem, budget, size)
        # Under a clock once more from the start, with the best of before among the parents.
        for turn in itertools.count() if clock else range(1):
            for number, (time, count) in enumerate(plan.items()):
                made = 0
                while made < count:
                    # States have one generation, so that the ways to them are known beforehand.
                    width = min(size, count - made) if time == NOISE else count
                    if number == made == 0:
                        asks = self._fresh(problem, turn * size, width)
                    else:
                        elites = self._elites(problem, seen, size)
                        asks = self._children(problem, elites, time, (turn, number, made), width)
                    seen = [*seen, *(yield asks)]
                    made += width
        return [seen[i].trajectory for i in ranking(problem.objective, seen)]

    def counts(self, problem: Problem, budget: float, size: int) -> dict[float, int]:
        """How many candidates each time has, noises first; times of which there would be fewer
        than two are left out, the earliest first.

        The ways to the parents' states are counted as those of the first noises, the longest.
        """
        whole = problem.worth()
        step = problem.run.stages * problem.run.weight
        times = () if problem.space.black_box else self.times
        for first in range(len(times) + 1):
            found, left = {}, budget
            for time in times[first:]:
                ways = self._count(size) * _steps(problem, 1 - time) * step
                child = _steps(problem, time + self.rise) * step
                found[time] = int((budget / (1 + len(times) - first) - ways) / child)
                left -= ways + found[time] * child
            if all(count > 1 for count in found.values()) and left >= whole:
                break
        return {NOISE: int(left / whole), **found}

    def _count(self, size: int) -> int:
        """Elites of a population of so many."""
        return min(self.elites or max(2, size // 3), size - 1)

    def _elites(self, problem: Problem, seen: list[Reply], size: int) -> list[Trajectory]:
        best = ranking(problem.objective, seen)[: self._count(size)]
        return [seen[i].trajectory for i in best]

    def _fresh(self, problem: Problem, first: int, width: int) -> list[Ask]:
        noises = [problem.noise(first + i) for i in range(width)]
        return [score(problem.sample(noise), role="sample", time=NOISE) for noise in noises]

    def _children(
        self, problem: Problem, elites: list[Trajectory], time: float, at: tuple[int, ...],
        width: int,
    ) -> list[Ask]:  # fmt: skip
        """Children number ``at`` and so many after it."""
        make = self._noise if time == NOISE else self._state
        return [score(make(problem, elites, time, (*at, i), width), role="child", time=time)
                for i in range(width)]  # fmt: skip

    def _noise(
        self, problem: Problem, elites: list[Trajectory], time: float, at: tuple[int, ...],
        width: int,
    ) -> Trajectory:  # fmt: skip
        """A sample of a noise that has one parent or two, turned by chance."""
        noise = _parent(problem, elites, *at).noise
        if at[-1] < round(self.crossing * width):
            noise = self._crossed(problem, noise, _parent(problem, elites, *at, 1).noise, at)
        seed = problem.seed("mutation", *at)
        return problem.sample(neighbour(noise, seed, self.cosine))

    def _crossed(
        self, problem: Problem, first: Noise, second: Noise, at: tuple[int, ...]
    ) -> Noise:
        """The halves of two noises, along the width or the height."""
        if first == second:
            return first
        axis = -1 - problem.seed("axis", *at) % min(2, len(problem.space.shape))
        return cross(first, second, axis)

    def _state(
        self, problem: Problem, elites: list[Trajectory], time: float, at: tuple[int, ...],
        width: int,
    ) -> Trajectory:  # fmt: skip
        """A parent's state at a time, noised up and brought down."""
        up = round(time + self.rise, 9)
        state = stopped(problem, _parent(problem, elites, *at), time)
        leg = state.renoise(up, problem.seed("state", *at), 0.0, _steps(problem, up))
        return leg.denoise(seed=problem.injected(*at))


def stopped(problem: Problem, trajectory: Trajectory, time: float) -> Trajectory:
    """The way of a finished trajectory, ended at a time of its last leg."""
    leg, last = trajectory.prefix, trajectory.move
    assert isinstance(last, Denoise)
    if isinstance(leg.move, Renoise):
        start = leg.grid.start
        leg = leg.prefix.renoise(start, leg.move.seed, time, _steps(problem, start - time))
    else:
        leg = problem.begin(leg.noise, time)
    return leg.denoise(seed=last.seed)


def _steps(problem: Problem, span: float) -> int:
    """As many as a whole sample has in such a span of time, rounded up."""
    return math.ceil(round(span * problem.steps, 9))


def _parent(problem: Problem, elites: list[Trajectory], *at: int) -> Trajectory:
    """The better of two that are drawn from the elites, which are best first."""
    drawn = (problem.seed("parent", i, *at) % len(elites) for i in range(2))
    return elites[min(drawn)]
