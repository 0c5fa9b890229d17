"""Spectral search: the noise's low frequencies by the cross-entropy method, coarse to fine."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator
from typing import ClassVar, Self

from pydantic import Field, model_validator

from ..candidates.ask import Ask, Reply, score
from ..candidates.noise import Noise, band
from ..candidates.spectrum import ring
from ..objectives.single import best, ranking
from .problem import Problem, Search
from .settings import Settings, check_elites

UNDER_A_CLOCK = 64  # candidates of one climb where only a clock ends the search


class Spectral(Settings):
    """Spectral search: the cross-entropy method on the low frequencies of the noise
    (arXiv 2602.03208).

    1. ``population`` i.i.d. noises are scored. 2. Of the best noise the coarsest of ``bands``
    (frequencies of the cosine transform) is drawn anew around the mean of the ``elites``, the best
    so far, again and again. 3. So with the next finer band, around that of the best noise so far,
    beginning at chance. The published method fits a variance to every coefficient, which few
    elites cannot tell and under which the noise's power grows; here a band has one, that which
    keeps its power: z = m + √(1 − ‖m‖²/n)·ε, with m the elites' mean over the n coefficients. So
    the noise stays of variance 1, and the search narrows as its elites come to agree.

    Price: one candidate for every noise.
    """

    name: ClassVar[str] = "spectral"
    price: ClassVar[str] = "candidates·C"

    bands: tuple[float, ...] = Field(
        default=(0.125, 0.25), description="where they end, in shares of the highest frequency, "
        "rising",
    )  # fmt: skip
    population: int | None = Field(
        default=None, ge=2, description="noises a generation; default: √candidates, at least 4"
    )
    elites: int | None = Field(
        default=None, ge=2, description="noises that lead; default: a third of the population"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.bands or any(a >= b for a, b in itertools.pairwise((0.0, *self.bands))) or (
            self.bands[-1] > 1
        ):  # fmt: skip
            raise ValueError(
                f"bands are {', '.join(f'{x:g}' for x in self.bands) or 'none'}, but must rise "
                "from above 0 to at most 1, each a share of the frequencies, such as 0.125, 0.25"
            )
        check_elites(self.elites, self.population)
        return self

    @property
    def extendable(self) -> bool:
        return False

    def __call__(self, problem: Problem) -> Search:
        seen: list[Reply] = []
        clock = math.isinf(problem.budget)
        first = 0
        while True:  # under a clock one climb after the other
            room = problem.room(problem.sample(problem.noise(first)))
            count = UNDER_A_CLOCK if clock else int(room)
            size = self._size(count)
            seen += yield from self._climb(problem, first, count, size)
            first += size
            if not clock:
                return [seen[i].trajectory for i in ranking(problem.objective, seen)]

    def _climb(
        self, problem: Problem, first: int, count: int, size: int
    ) -> Generator[list[Ask], list[Reply], list[Reply]]:
        """So many candidates, from noises of their own to the finest band."""
        seen = yield [
            score(problem.sample(problem.noise(first + i)), role="sample", index=i)
            for i in range(min(size, count))
        ]
        pool, rings = seen, self.rings(problem.space.shape)
        for turn, (low, high) in enumerate(rings):
            left = -(-(count - len(seen)) // (len(rings) - turn))
            while left > 0:
                base = seen[best(problem.objective, seen)].trajectory.noise
                elites = self._leading(problem, pool, size)
                fresh = len(seen)
                replies = yield [
                    score(problem.sample(band(
                        base, elites, problem.seed("band", first, fresh + i), low, high
                    )), role="band", band=turn, index=fresh + i)
                    for i in range(min(size, left))
                ]  # fmt: skip
                left -= len(replies)
                pool, seen = [*pool, *replies], [*seen, *replies]
            pool = []
        return seen

    def rings(self, shape: tuple[int, ...]) -> list[tuple[float, float]]:
        """(low, high) of the bands in which a noise of this shape has frequencies."""
        found, low = [], 0.0
        for high in self.bands:
            if ring(shape, low, high).any():
                found.append((low, high))
                low = high
        return found

    def _leading(self, problem: Problem, pool: list[Reply], size: int) -> list[Noise]:
        """The best of a band so far; none before it has begun."""
        count = min(self.elites or max(2, size // 3), size - 1)
        order = ranking(problem.objective, pool)[:count] if pool else []
        return [pool[i].trajectory.noise for i in order]

    def _size(self, count: int) -> int:
        return self.population or max(4, math.isqrt(count))
