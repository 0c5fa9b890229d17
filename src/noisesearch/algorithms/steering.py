"""Feynman-Kac steering: particles weighed and drawn anew on the way (arXiv 2501.06848)."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from ..candidates.ask import Ask, Reply, score
from ..candidates.keys import uniform_of
from ..candidates.trajectory import Trajectory
from ..errors import ConfigError
from ..objectives.single import ranking
from .problem import Problem, Search
from .settings import Settings

PER_DEVIATION = 4.0  # strength over the spread of the first looks, where none is given
UNDER_A_CLOCK = 16  # particles where only a clock ends the search
Numbers = npt.NDArray[np.float64]
Weighed = list[tuple[Reply, float]]


@dataclass(frozen=True)
class Particle:
    """A trajectory, the values it was seen with, and what its weight counts from.

    ``drawn`` is the exponent (over λ) that it had when it was last drawn, so that its weight is
    exp(λ·(exponent − drawn)). ``other``: the seed of a copy's own way on.
    """

    trajectory: Trajectory
    seen: tuple[float, ...] = ()
    exponent: float = 0.0
    drawn: float = 0.0
    other: int | None = None


class Steering(Settings):
    """Feynman-Kac steering: particles that look good on the way are copied, others dropped.

    Particles go down side by side under a stochastic solver. At each of ``levels`` they are
    weighed by potentials G of the values r of their previews (arXiv 2501.06848, Section 3):
    ``difference`` exp(λ(r_k − r_{k−1})), ``max`` exp(λ·max_{j≤k} r_j), ``sum`` exp(λ·Σ_{j≤k} r_j);
    the last is exp(λ·r(x0)) over the product of those before. The particles then stand for the
    model's distribution times exp(λ·r), whatever the potential. Where their effective number
    (Σw)²/Σw² is below ``threshold`` of them, they are drawn anew in proportion to their weights,
    by systematic resampling; otherwise they keep their weights. With ``narrowing`` below 1 each
    draw leaves fewer, and the search begins with more. The first copy of a particle goes on as
    it was, further ones with noise of their own; one that is never copied is the candidate that
    Random Search makes of its noise. Every sample is compared at the end.

    Price: one candidate a particle; with narrowing one look for each of those that were dropped.
    """

    name: ClassVar[str] = "steering"
    needs: ClassVar[str] = "previews; a solver that injects noise"
    price: ClassVar[str] = "particles·C; less for those that narrowing drops"

    particles: int | None = Field(
        default=None, ge=2, description="how many it begins with; default: the budget"
    )
    potential: Literal["difference", "max", "sum"] = Field(
        default="max", description="what a particle is weighed by on the way"
    )
    strength: float | None = Field(
        default=None,
        ge=0,
        description="λ, per unit of the objective's value; default: 4 per standard deviation of "
        "the first looks",
    )
    levels: tuple[float, ...] = Field(
        default=(0.2, 0.4, 0.6, 0.8), description="where particles are weighed, as shares of steps"
    )
    threshold: float = Field(
        default=0.5, ge=0, le=1, description="share of effective particles below which are drawn"
    )
    narrowing: float = Field(
        default=1.0, gt=0, le=1, description="share of the particles that each look leaves"
    )

    @model_validator(mode="after")
    def _goes_down(self) -> Self:
        ends = (0.0, *self.levels, 1.0)
        if any(late <= early for early, late in itertools.pairwise(ends)):
            given = ", ".join(f"{level:g}" for level in self.levels)
            raise ValueError(
                f"levels are {given}, but a trajectory only goes down: they must rise, between 0 "
                "(noise) and 1 (sample), such as 0.2, 0.5, 0.8"
            )
        return self

    @property
    def stochastic(self) -> bool:
        return True

    @property
    def extendable(self) -> bool:
        """With its own number of particles it asks the same under any budget."""
        return self.particles is not None

    def __call__(self, problem: Problem) -> Search:
        count = self._count(problem)
        found: list[Reply] = []
        # Under a clock one population after the other, so that there is something at any time.
        for number in range(1) if math.isfinite(problem.budget) else itertools.count():
            found += [reply for reply, _ in (yield from self.population(problem, count, number))]
        return [found[i].trajectory for i in ranking(problem.objective, found)]

    def population(
        self, problem: Problem, count: int, number: int = 0
    ) -> Generator[list[Ask], list[Reply], Weighed]:
        """One population's samples and the logarithms of their weights, up to a constant."""
        particles = [Particle(problem.begin(problem.noise(number * count + i)))
                     for i in range(count)]  # fmt: skip
        strength = self.strength or 0.0
        for turn, level in enumerate(self._stops(problem.steps)):
            role = "sample" if level == problem.steps else "look"
            replies = yield [
                score(problem.onward(p.trajectory, level, p.other), role=role, round=turn, index=i)
                for i, p in enumerate(particles)
            ]
            values = [problem.objective.value(reply) for reply in replies]
            if self.strength is None:
                strength = strength or _measured(values)
            particles = [self._told(p, reply.trajectory, value)
                         for p, reply, value in zip(particles, replies, values, strict=True)
            ]  # fmt: skip
            if level < problem.steps:
                particles = self._drawn(problem, particles, strength, number, turn)
        return list(zip(replies, _logs(particles, strength), strict=True))

    def _told(self, particle: Particle, trajectory: Trajectory, value: float) -> Particle:
        """With a look more. One that could not be scored weighs nothing either way: its
        potential is 1. A sample without a score has no weight."""
        if trajectory.finished:
            exponent = value
        elif value == -math.inf:
            exponent = particle.exponent
        else:
            particle = replace(particle, seen=(*particle.seen, value))
            exponent = self._exponent(particle.seen)
        return replace(particle, trajectory=trajectory, exponent=exponent, other=None)

    def _exponent(self, seen: Sequence[float]) -> float:
        """The logarithm, over λ, of the product of the potentials so far."""
        match self.potential:
            case "difference":
                return seen[-1]
            case "max":
                return sum(itertools.accumulate(seen, max))
            case "sum":
                return sum(itertools.accumulate(seen))

    def _drawn(
        self, problem: Problem, particles: list[Particle], strength: float, *at: int
    ) -> list[Particle]:
        """Those that go on, with equal weights where they were drawn."""
        count = self._left(len(particles))
        logs = _logs(particles, strength)
        weights = np.exp(logs - logs.max())
        effective = weights.sum() ** 2 / (weights**2).sum()
        if count == len(particles) and effective >= self.threshold * count:
            return particles
        going = systematic(weights, count, uniform_of(problem.seed("draw", *at)))
        chosen = []
        for slot, i in enumerate(going):
            copy = slot > 0 and going[slot - 1] == i
            other = problem.seed("injected", *at, slot) if copy else None
            chosen.append(replace(particles[i], drawn=particles[i].exponent, other=other))
        return chosen

    def _stops(self, steps: int) -> list[int]:
        """The levels of a grid at which is looked, and its end."""
        inner = {round(share * steps) for share in self.levels} - {0, steps}
        return [*sorted(inner), steps]

    def _left(self, count: int) -> int:
        """How many a look leaves of so many."""
        return max(2, math.ceil(round(count * self.narrowing, 9)))

    def _price(self, problem: Problem, count: int) -> float:
        """NFE of a population that begins with ``count``: a look is the first evaluation of the
        step from there, for those who go on and for those who do not."""
        evaluations, looked, before = 0, 0, 0
        for level in self._stops(problem.steps):
            steps = (level - before) * problem.run.stages
            evaluations += looked + count * (steps - bool(looked))
            looked, before, count = count, level, self._left(count)
        return evaluations * problem.run.weight

    def _count(self, problem: Problem) -> int:
        """Particles to begin with: as given, or as many as the budget allows."""
        if math.isinf(problem.budget):
            return self.particles or UNDER_A_CLOCK
        sizes = range(2, int(problem.budget / problem.run.weight) + 3)
        count = self.particles or 1 + bisect.bisect_right(
            sizes, problem.budget, key=lambda size: self._price(problem, size)
        )
        least = self._price(problem, self.particles or 2)
        if least > problem.budget:
            raise ConfigError(
                f"budget leaves {problem.budget:g} NFE for the search, but Steering with "
                f"particles={self.particles or 2} needs at least {least:g}; give a larger budget"
                + (" or fewer particles" if self.particles else "")
            )
        return count


def _measured(values: Sequence[float]) -> float:
    """The strength for values that spread as these do; 0 where nothing tells them apart."""
    spread = float(np.std([value for value in values if math.isfinite(value)] or [0.0]))
    return PER_DEVIATION / spread if spread > 0 else 0.0


def _logs(particles: Sequence[Particle], strength: float) -> Numbers:
    """The logarithm of each particle's weight."""
    gained = np.array([p.exponent - p.drawn for p in particles])
    # Without strength there are no weights, and −∞ times 0 would be none either.
    return strength * gained if strength else np.zeros(len(particles))


def systematic(weights: Numbers, count: int, uniform: float) -> list[int]:
    """``count`` indices in rising order, one each at (uniform + i)/count of the summed weights.

    Index i comes ⌊count·wᵢ⌋ or ⌈count·wᵢ⌉ times, count·wᵢ on average over a uniform in [0, 1),
    with wᵢ its share of the weights (Kitagawa 1996).
    """
    places = (uniform + np.arange(count)) / count
    sums = np.cumsum(weights / weights.sum())
    # The last sum may round to less than 1, and a place beyond it would belong to nobody.
    return [int(i) for i in np.searchsorted(sums[:-1], places, side="right")]
