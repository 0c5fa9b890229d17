"""Search over Paths: noise added and removed along the way (arXiv 2501.09732, Section 2.2)."""

from __future__ import annotations

import itertools
import math
from typing import ClassVar, Self

from pydantic import Field, model_validator

from ..candidates.ask import score
from ..candidates.trajectory import Trajectory
from ..errors import ConfigError
from ..objectives.single import ranking
from .problem import Problem, Search
from .settings import Settings

UNLIMITED_WIDTH = 8  # M where only a clock ends the search


class SearchOverPaths(Settings):
    """Search over Paths: the best of many renoisings of a few paths, again and again (Table 6).

    1. N noises go down to time σ. 2. Each is renoised M times from there to σ + Δf. 3. All go
    down to σ + Δf − Δb in L NFEs; the verifier looks at the clean prediction there, and the N
    best of all N·M go on as in 2, until time 0. 4. The N that are left are finished at the final
    steps, and the best is kept. Times are those of the linear interpolant.

    Price: N·(1 − σ)·steps and, in every round, N·M·(L + 1), without the 1 in the last, which
    scores the samples themselves. M follows from the budget unless ``width`` is given.
    """

    name: ClassVar[str] = "paths"
    needs: ClassVar[str] = "previews, renoising"
    price: ClassVar[str] = "paths·⌈(1 − start)·steps⌉ + paths·width·(rounds·(length + 1) − 1)"

    paths: int = Field(default=2, ge=1, description="N, paths that are kept")
    width: int | None = Field(default=None, ge=1, description="M, noises a path; default: budget")
    start: float = Field(default=0.11, gt=0, lt=1, description="σ, time at which search starts")
    backward: float = Field(default=0.81, gt=0, le=1, description="Δb, time a round goes down")
    forward: float = Field(default=0.78, gt=0, lt=1, description="Δf, time a round goes up")
    length: int | None = Field(
        default=None, ge=1, description="L, NFEs of a round; default: as dense as the first leg"
    )

    @model_validator(mode="after")
    def _comes_to_an_end(self) -> Self:
        if self.backward <= self.forward:
            raise ValueError(
                f"backward is {self.backward:g} and forward {self.forward:g}, but a round must go "
                "down further than up, or the search never ends; make backward the larger"
            )
        if self.start + self.forward > 1:
            raise ValueError(
                f"start {self.start:g} and forward {self.forward:g} lead above time 1, which is "
                "pure noise; make their sum at most 1"
            )
        return self

    @property
    def extendable(self) -> bool:
        """With a width of its own the search asks the same under any budget."""
        return self.width is not None

    @property
    def finalists(self) -> int:
        """All that are left are finished, and the best of them is kept."""
        return self.paths

    @property
    def times(self) -> list[tuple[float, float]]:
        """(time it goes up to, time it goes down to) of every round."""
        rounds, now = [], self.start
        while now > 0:
            # Rounded: 0.11 + 0.78 − 0.81 is 0.08 and not a number beside it.
            up = round(now + self.forward, 9)
            now = max(round(up - self.backward, 9), 0.0)
            rounds.append((up, now))
        return rounds

    def __call__(self, problem: Problem) -> Search:
        width = self._width(problem)
        found: list[Trajectory] = []
        # Under a clock one search after the other, so that there is something whenever it stops.
        for number in range(1) if math.isfinite(problem.budget) else itertools.count():
            found += yield from self._once(problem, width, number)
        return found

    def _once(self, problem: Problem, width: int, number: int) -> Search:
        """One search, steps 1 to 3."""
        noises = [problem.noise(number * self.paths + i) for i in range(self.paths)]
        paths = [problem.begin(n, self.start).denoise(seed=problem.injected(number, i))
                 for i, n in enumerate(noises)]  # fmt: skip
        for turn in range(len(self.times)):
            replies = yield [
                score(self._leg(problem, path, number, turn, i, j), role="leg", round=turn, path=i)
                for i, path in enumerate(paths)
                for j in range(width)
            ]
            best = ranking(problem.objective, replies)[: self.paths]
            paths = [replies[k].trajectory for k in best]
        return paths

    def _leg(
        self, problem: Problem, path: Trajectory, number: int, turn: int, *at: int
    ) -> Trajectory:
        """One path renoised to the turn's upper time and brought down to its lower one."""
        up, down = self.times[turn]
        seed = problem.seed("path", number, turn, *at)
        leg = path.renoise(up, seed, down, self._steps(problem))
        return leg.denoise(seed=problem.injected(number, turn, *at))

    def _steps(self, problem: Problem) -> int:
        """Solver steps of a round: L is in NFEs, and a solver may take several for a step."""
        if self.length is None:
            return math.ceil(round(self.backward * problem.steps, 9))
        return math.ceil(self.length / problem.run.stages)

    def _width(self, problem: Problem) -> int:
        """M: as given, or the largest that the budget allows."""
        stages, rounds = problem.run.stages, len(self.times)
        each = self.paths * problem.run.weight  # what an evaluation of all paths counts
        begun = each * problem.begin(problem.noise(0), self.start).grid.steps * stages
        per_width = each * (rounds * (self._steps(problem) * stages + 1) - 1)
        if math.isinf(problem.budget):
            return self.width or UNLIMITED_WIDTH
        width = self.width or int((problem.budget - begun) // per_width)
        if width < 1 or begun + width * per_width > problem.budget:
            raise ConfigError(
                f"budget leaves {problem.budget:g} NFE for the search, but Search over Paths with "
                f"paths={self.paths} needs at least {begun + (self.width or 1) * per_width} "
                f"({begun} to start and {per_width} for every noise a path); give a larger "
                "budget, or smaller paths, width or length"
            )
        return width
