"""What an algorithm sees: one condition, what may be spent, and names for everything random."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..ask import Ask, Reply
from ..keys import seed_of
from ..ledger import Ledger
from ..noise import Noise, gaussian
from ..objectives import Objective
from ..trajectory import Condition, Trajectory

Search = Generator[list[Ask], list[Reply], list[Trajectory]]


class Algorithm(Protocol):
    """Proposes noises and trajectories; returns complete trajectories, best first.

    Contract: uses only the problem and the replies; no clock, no global state, no file; draws
    nothing from a stream but names its seeds; asks all it can at once; sizes itself by
    :meth:`Problem.room`. After a crash it is started again from nothing and answered from the
    journal, so it must ask the same again. ``extendable`` says that its asks do not depend on
    the total budget, so that a larger one only goes on.
    """

    @property
    def name(self) -> str: ...

    @property
    def extendable(self) -> bool: ...

    def __call__(self, problem: Problem) -> Search: ...


@dataclass(frozen=True)
class Space:
    """What the model lets an algorithm do; no tensors.

    ``shape``: of one noise. ``times(grid)``: the times of a grid's levels. ``stochastic``: the
    run's solver injects noise, so moves name a seed.
    """

    shape: tuple[int, ...]
    times: Callable[..., Sequence[float]]
    stochastic: bool = False
    differentiable: bool = False
    black_box: bool = False
    qualities: tuple[str, ...] = ("full",)


@dataclass
class Problem:
    """One search. ``limit``: NFE that the search may spend (inf under a clock alone)."""

    condition: Condition
    space: Space
    objective: Objective
    steps: int
    algorithm: str
    run_seed: int
    ledger: Ledger
    limit: float = math.inf

    def seed(self, purpose: str, *index: int) -> int:
        """64 bits of (run seed, condition, algorithm, purpose, index)."""
        return seed_of(self.run_seed, self.condition.key, self.algorithm, purpose, index)

    def noise(self, index: int) -> Noise:
        """The index-th i.i.d. noise of this condition; number 0 is the baseline's.

        The algorithm is left out of its seed: every algorithm begins at the same noises, so
        comparisons are paired and one pool of candidates serves several.
        """
        return gaussian(seed_of(self.run_seed, self.condition.key, "noise", index))

    def begin(self, noise: Noise) -> Trajectory:
        """The start of a trajectory at the search's steps."""
        return Trajectory.begin(self.condition, noise, self.steps)

    def sample(self, noise: Noise, steps: int | None = None) -> Trajectory:
        """The whole trajectory of a noise: a candidate.

        Under a stochastic solver the injected noise is named after the start noise, so that one
        noise is one sample there too.
        """
        seed = seed_of("injected", noise.key) if self.space.stochastic else None
        return Trajectory.begin(self.condition, noise, steps or self.steps).denoise(seed=seed)

    def price(self, *trajectories: Trajectory) -> int:
        """NFE that asking for these would add to what has been asked before."""
        return self.ledger.price(trajectories)

    @property
    def budget(self) -> float:
        """NFE left; inf under a clock, which only the driver reads."""
        return self.limit - self.ledger.nfe

    def room(self, like: Trajectory) -> float:
        """How many more fresh trajectories priced as this one fit what is left (may be inf)."""
        price = max(1, self.price(like))
        return math.inf if math.isinf(self.budget) else max(0, self.budget // price)

    def affordable(self, asks: Sequence[Ask]) -> list[Ask]:
        """The driver's: charge the asks in program order, up to the first that does not fit."""
        fit: list[Ask] = []
        for ask in asks:
            if self.price(*ask.trajectories) > self.budget:
                break
            for trajectory in ask.trajectories:
                self.ledger.charge(trajectory)
            fit.append(ask)
        return fit
