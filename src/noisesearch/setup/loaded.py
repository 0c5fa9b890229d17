"""Everything a run needs, loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

from ..algorithms import capabilities
from ..algorithms.problem import Algorithm
from ..candidates.condition import Condition
from ..candidates.space import Space
from ..candidates.trajectory import FULL
from ..models.choice import as_it_runs, at_size, model_of, with_call_arguments
from ..models.protocol import Model
from ..store.given_images import InputImages
from ..store.spec import RunSpec
from . import memory
from .hardware import place
from .python_objects import PythonObjects
from .selection import algorithm_of, verifier_of, with_run_facts
from .start import StartNoises

if TYPE_CHECKING:
    from ..models.drafts.weights import Drafted
    from ..sampling.denoiser import Denoiser
    from ..sampling.sampler import Sampler
    from ..sampling.solvers import Solver
    from ..verifiers.protocol import Verifier


@dataclass
class Loaded:
    """The spec of a run, and the objects that it names: networks, verifiers, algorithm, drafts.

    ``drafts``: the drafts that can be asked for, by their text. ``start``: of a new run, the
    user's own first noises, which its folder does not hold yet.
    """

    spec: RunSpec
    model: Model
    algorithm: Algorithm
    verifiers: list[Verifier]
    denoiser: Denoiser | Sampler
    conditions: list[Condition]
    watch: list[Verifier] = field(default_factory=list)
    drafts: Mapping[str, Drafted] = field(default_factory=dict)
    start: StartNoises | None = None
    images: InputImages = field(default_factory=InputImages)

    @classmethod
    def load(
        cls, spec: RunSpec, given: PythonObjects = PythonObjects(), model: Model | None = None
    ) -> Loaded:
        """Load what a spec names; ``given`` are the objects that no name brings back.

        ``model``: that of the spec where it is known already, at its size and with what its call
        is given.
        """
        import torch

        from ..worker.residence import keep_buffers

        torch.set_num_threads(spec.threads)
        if spec.device == "cpu":
            keep_buffers()
        place(spec.device)
        if model is None:
            named = at_size(given.model or model_of(spec.model), spec.size)
            model = with_call_arguments(as_it_runs(named, spec.solver), spec.call, given.images)
        algorithm = given.algorithm or algorithm_of(spec.algorithm, spec.parameters)
        verifiers = [given.verifiers.get(n) or verifier_of(n, model) for n in spec.verifiers]
        denoiser = memory.built(model, spec)
        conditions = [Condition(**c) for c in spec.conditions]
        watch = [given.verifiers.get(n) or verifier_of(n, model) for n in spec.watch]
        found = cls(spec, model, algorithm, verifiers, denoiser, conditions, watch)
        return replace(found, images=given.images).serving(spec, algorithm)

    def serving(self, spec: RunSpec, algorithm: Algorithm) -> Loaded:
        """Return the same networks for a spec with another algorithm, drafts and budget."""
        from ..models.drafts.weights import loaded

        drafts = loaded(spec, self.model, self.denoiser, self.conditions, self.drafts)
        fitted = with_run_facts(algorithm, self.model, self.verifiers)
        return replace(self, spec=spec, algorithm=fitted, drafts=drafts)

    @property
    def every_verifier(self) -> tuple[Verifier, ...]:
        """Return the searched verifiers and the held-out ones."""
        return (*self.verifiers, *self.watch)

    @property
    def scales(self) -> dict[str, float]:
        """Return the typical deviation of each part that is searched."""
        return {part: s for v in self.verifiers for part, s in v.scale.items()}

    @property
    def part_names(self) -> tuple[str, ...]:
        """Return the parts of the searched verifiers, in their order."""
        return tuple(part for v in self.verifiers for part in v.parts)

    @property
    def guards(self) -> dict[str, float]:
        """Return the parts that must not fall below the baseline's, with their scales."""
        named = zip(self.spec.verifiers, self.verifiers, strict=True)
        of = [v for name, v in named if name in self.spec.guard]
        return {part: v.scale[part] for v in of for part in v.parts}

    @property
    def joint(self) -> bool:
        """Return whether one search is made for all conditions together."""
        return capabilities.joint(self.algorithm)

    @property
    def solver(self) -> Solver:
        """Return the solver of every sample."""
        from ..sampling.solvers import solver

        return solver(self.spec.solver, code=True)

    @property
    def sampler(self) -> Sampler | None:
        """Return what makes whole samples, where the model is a black box."""
        return cast("Sampler", self.denoiser) if self.space.black_box else None

    @cached_property
    def space(self) -> Space:
        """Return the model's space, with what solver, drafts and loaded weights say of it."""
        space = self.model.space()
        if space.black_box:
            return replace(space, shape=self.denoiser.shape)
        searched = self.drafts.get(self.spec.draft)
        full = self.spec.steps if searched is None else self.spec.final_steps
        smooth = space.differentiable if searched is None else searched.differentiable
        return replace(
            space,
            stochastic=self.solver.stochastic,
            differentiable=smooth,
            drafts={FULL: full, **{name: d.steps for name, d in self.drafts.items()}},
        )
