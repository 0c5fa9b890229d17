"""Any optimiser that asks and tells, in a few dimensions of the noise; shown with CMA-ES."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from pydantic import Field

from ..candidates.ask import Reply, score
from ..candidates.noise import Array, Noise, mix, normals, turn
from ..errors import ConfigError
from ..objectives.single import ranking
from .problem import Problem, Search
from .settings import Settings


class Optimiser(Protocol):
    """Minimises a function of points [k]: ``ask`` gives some, ``tell`` takes their losses.

    Contract: what it asks follows from what it was told and from seeds alone; it keeps no global
    state and looks at no clock.
    """

    def ask(self) -> Sequence[Any]: ...

    def tell(self, points: Sequence[Any], losses: Sequence[float]) -> Any: ...


def place(problem: Problem, point: Sequence[float]) -> Noise:
    """The noise of a point x [k]: number 0 turned towards Σ xᵢ·nᵢ, to the cosine 1/√(1 + ‖x‖²).

    n₁ to n_k are noises of their own. The origin is number 0, a point at distance 1 is at 45° to
    it; every noise has the norm of number 0 and, for a point that is given, the law of unit
    normals.
    """
    x = [float(value) for value in point]
    centre = problem.noise(0)
    if not any(x):
        return centre
    axes = [problem.noise(i + 1) for i in range(len(x))]
    return turn(centre, mix(axes, x), 1 / math.sqrt(1 + sum(value**2 for value in x)))


def optimised(problem: Problem, optimiser: Optimiser) -> Search:
    """A search by an optimiser from elsewhere, which is told places: 0 is a generation's best.

    So it needs no scores that are comparable between generations, and none that are missing.
    """
    seen: list[Reply] = []
    while True:
        points = optimiser.ask()
        asks = [score(problem.sample(place(problem, x)), role="point") for x in points]
        asks = asks[: int(min(len(asks), problem.room(asks[0].trajectory)))]
        if not asks:
            break
        replies = yield asks
        seen += replies
        if len(asks) < len(points):
            break
        losses = [0.0] * len(replies)
        for loss, i in enumerate(ranking(problem.objective, replies)):
            losses[i] = float(loss)
        optimiser.tell(points, losses)
    return [seen[i].trajectory for i in ranking(problem.objective, seen)]


class Cma(Settings):
    """CMA-ES of the package cma in a random subspace of the noise (arXiv 1604.00772).

    The noise of a point x is number 0 turned towards Σ xᵢ·nᵢ, at its own norm, so every candidate
    is standard normal and the search begins around the baseline's noise. Any optimiser that asks
    and tells is wrapped as this one is: :func:`noisesearch.algorithms.subspace.optimised`.

    Price: one candidate for every point.
    """

    name: ClassVar[str] = "cma"
    needs: ClassVar[str] = "samples; the package cma"
    price: ClassVar[str] = "generations·population·C"

    dimensions: int = Field(default=8, ge=2, description="k, of the subspace")
    step: float = Field(default=0.5, gt=0, description="σ, the first step; 1 is about 45°")
    population: int | None = Field(
        default=None, ge=4, description="λ, points a generation; default: 4 + 3·ln k"
    )

    def __call__(self, problem: Problem) -> Search:
        return optimised(problem, self._optimiser(problem))

    def _optimiser(self, problem: Problem) -> Optimiser:
        try:
            import cma
        except ImportError as error:
            raise ConfigError(
                "algorithm 'cma' needs the package cma, which is not installed; get it with: "
                "pip install 'noisesearch[subspace]'"
            ) from error
        calls = itertools.count()

        def randn(*shape: int) -> Array:
            return normals(problem.seed("cma", next(calls)), shape)

        options = {
            "popsize": self.population or 4 + int(3 * math.log(self.dimensions)),
            "randn": randn,
            "seed": math.nan,  # leaves numpy's own generator alone
            "verbose": -9,
            "verb_log": 0,  # no files
            "signals_filename": "",  # from which it would be stopped
        }
        found: Optimiser = cma.CMAEvolutionStrategy([0.0] * self.dimensions, self.step, options)
        return found
