"""What an algorithm sees: one condition, what may be spent, and names for everything random."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..candidates.ask import Ask, Features, Gradient, Reply, Score
from ..candidates.condition import Condition
from ..candidates.keys import seed_of
from ..candidates.ledger import Ledger
from ..candidates.noise import Noise, blob, gaussian
from ..candidates.space import Space
from ..candidates.trajectory import FULL, Denoise, Trajectory
from ..errors import ConfigError
from ..objectives.single import Objective, gradient_weights
from .run_facts import RunFacts

Search = Generator[list[Ask], list[Reply], list[Trajectory]]


class Algorithm(Protocol):
    """Proposes noises and trajectories; returns complete trajectories, best first.

    Contract: uses only the problem and the replies; no clock, no global state, no file; draws
    nothing from a stream but names its seeds; asks all it can at once; sizes itself by
    :meth:`Problem.room`. After a crash it is started again from nothing and answered from the
    journal, so it must ask the same again. ``extendable`` says that its asks do not depend on
    the total budget, so that a larger one only goes on. What an algorithm may offer beyond this
    is in :mod:`algorithms.capabilities`.
    """

    @property
    def name(self) -> str: ...

    @property
    def extendable(self) -> bool: ...

    def __call__(self, problem: Problem) -> Search: ...


def _injected(noise: Noise) -> int:
    """The seed of what a stochastic solver injects on a noise's own way."""
    return seed_of("injected", noise.key)


def _first(batches: Sequence[Sequence[Reply]]) -> int:
    """The choice of a search that is only planned: there is nothing to compare."""
    return 0


class Cut(Exception):
    """Raised at an algorithm's yield when budget or clock end its search.

    It may catch this and return the winners that it has; of one that does not, the best complete
    candidate is taken.
    """


@dataclass
class Problem:
    """One search, of one condition or, for an algorithm that is ``joint``, of all of a run.

    ``steps``: of its candidates, unless it asks for another draft. ``run``: what the search has
    from its run, which an algorithm need not look at. ``choose(batches)``: of a joint search the
    number of the batch of replies that suits those chosen before best, and takes it; the run
    journals what was chosen. A search does not offer a sample again that it was offered and that
    was not chosen.
    """

    condition: Condition
    space: Space
    objective: Objective
    steps: int
    run: RunFacts
    choose: Callable[[Sequence[Sequence[Reply]]], int] = _first

    def note(self, sentence: str) -> None:
        """Say something of how the search goes: it stands beside its results."""
        self.run.notes.append(sentence)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return (self.condition, *self.run.companions)

    def seed(self, purpose: str, *index: int) -> int:
        """64 bits of (run seed, condition, algorithm, purpose, index)."""
        return seed_of(self.run.seed, self.condition.key, self.run.algorithm, purpose, index)

    def noise(self, index: int, condition: Condition | None = None) -> Noise:
        """The index-th i.i.d. noise of a condition; number 0 is the baseline's, and the user's own
        where the run has one.

        The algorithm is left out of its seed: every algorithm begins at the same noises, so
        comparisons are paired and one pool of candidates serves several.
        """
        of = condition or self.condition
        if index == 0 and of.key in self.run.start:
            return blob(self.run.start[of.key])
        return gaussian(seed_of(self.run.seed, of.key, "noise", index))

    def begin(self, noise: Noise, end: float = 0.0) -> Trajectory:
        """The start of a trajectory at the search's steps; its first leg stops at ``end``."""
        return Trajectory.begin(self.condition, noise, self.steps, self.run.draft, end)

    def injected(self, *index: int) -> int | None:
        """The seed of what a stochastic solver injects on a move; None under an ODE."""
        return self.seed("injected", *index) if self.space.stochastic else None

    def onward(self, trajectory: Trajectory, level: int, other: int | None = None) -> Trajectory:
        """Down to a level as the trajectory came so far, at its start as :meth:`sample` goes; or
        with the injected noise of the seed ``other``.

        Of one place every other seed is another way, and the first look at it pays for the first
        evaluation of all. ConfigError under a solver that injects nothing.
        """
        if not self.space.stochastic:
            raise ConfigError(
                f"algorithm {self.run.algorithm!r} looks for the noise that a solver injects on "
                "the way, and this run's injects none; choose one that does, such as "
                "ddim-ancestral"
            )
        move = trajectory.move
        own = move.seed if isinstance(move, Denoise) else _injected(trajectory.noise)
        return trajectory.denoise(level, own if other is None else other)

    def sample(
        self,
        noise: Noise,
        steps: int | None = None,
        condition: Condition | None = None,
        draft: str | None = None,
        to: int | None = None,
    ) -> Trajectory:
        """The whole trajectory of a noise: a candidate, of one of ``space.drafts``.

        Under a stochastic solver the injected noise is named after the start noise, so that one
        noise is one sample there too. ``to``: the level at which it stops, to be looked at on its
        way; what it shares with the whole is computed and paid for once.
        """
        seed = _injected(noise) if self.space.stochastic else None
        of, at = condition or self.condition, draft or self.run.draft
        if at != self.run.draft and at not in self.space.drafts:
            known = ", ".join(self.space.drafts) or FULL
            raise ConfigError(
                f"algorithm {self.run.algorithm!r} asks for samples at {at!r}, which are not "
                f"loaded (there are {known}); name the draft when the run is made: drafts=[{at!r}]"
            )
        steps = steps or (self.steps if at == self.run.draft else self.space.drafts[at])
        return Trajectory.begin(of, noise, steps, at).denoise(to, seed)

    def member(self, trajectory: Trajectory, **tag: Any) -> Ask:
        """Ask what a set objective needs to know of one sample of a set."""
        sets = self.run.sets
        verifier = sets.features if sets is not None else None
        want = Score() if verifier is None else Features(verifier)
        return Ask(trajectory, want, tag)

    def gradient(self, trajectory: Trajectory, **tag: Any) -> Ask:
        """Ask for the parts of a whole trajectory and for the objective's gradient at its noise.

        ConfigError where the model or a part of the objective has none.
        """
        if not self.space.differentiable:
            raise ConfigError(
                f"algorithm {self.run.algorithm!r} needs gradients, and this model gives none; "
                "choose one that does not, such as zero-order"
            )
        weights = gradient_weights(self.objective)
        for part in weights:
            if part not in self.run.differentiable:
                raise ConfigError(
                    f"algorithm {self.run.algorithm!r} needs gradients, and the verifier of "
                    f"{part!r} is not differentiable; leave it out, or choose another algorithm"
                )
        return Ask(trajectory, Gradient(tuple(sorted(weights.items()))), tag)

    def price(self, *trajectories: Trajectory) -> float:
        """NFE that asking for these would add to what has been asked before; those of a draft by
        their weight."""
        return self.run.ledger.price(trajectories)

    def worth(self, draft: str | None = None) -> float:
        """NFE that a whole candidate of a draft counts, whatever has been asked before."""
        sample = self.sample(self.noise(0), draft=draft)
        return Ledger(self.run.ledger.rates).price([sample])

    @property
    def budget(self) -> float:
        """NFE left; inf under a clock, which only the driver reads."""
        return self.run.limit - self.run.ledger.counted

    def room(self, like: Trajectory) -> float:
        """How many more fresh trajectories priced as this one fit what is left (may be inf)."""
        price = self.price(like) or 1
        return math.inf if math.isinf(self.budget) else max(0, self.budget // price)
