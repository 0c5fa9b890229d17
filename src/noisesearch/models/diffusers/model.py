"""A diffusers pipeline as a model of the library: by folder, hub id or object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from ...candidates.condition import Condition
from ...candidates.space import Space
from ...errors import ConfigError
from ...names.drafts import usual
from .facts import PipelineFacts
from .folder import Folder
from .preset import check_dtype

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .denoiser import DiffusersDenoiser


@dataclass(frozen=True)
class DiffusersModel:
    """One pipeline at one size; :mod:`..pipelines` makes it.

    A noise has the shape of one latent, [C, H, W], for FLUX too, which packs two by two places
    into a token: so that algorithms see places, and because the pipeline itself draws it so.
    :meth:`native` packs it as ``latents=`` takes it.
    """

    facts: PipelineFacts
    verifiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.facts.source.name

    @property
    def summary(self) -> str:
        return f"{self.facts.family.summary} ({self.facts.source.kind})"

    @property
    def size(self) -> tuple[int, int]:
        return self.facts.size

    @property
    def steps(self) -> int:
        return self.facts.steps

    @property
    def guidance(self) -> float:
        return self.facts.guidance

    @property
    def drafts(self) -> Mapping[str, str]:
        transformer = "transformer" in self.facts.family.needs
        return {**usual(self.steps, transformer), **self.facts.preset.drafts}

    @property
    def solver(self) -> str:
        """The one that takes the steps of the pipeline's scheduler."""
        return self.facts.scheduled(self.facts.source.scheduler()).solver

    @property
    def ensemble(self) -> tuple[str, ...]:
        return self.facts.family.ensemble

    @property
    def fingerprint(self) -> str:
        return self.facts.source.fingerprint

    @property
    def placed(self) -> tuple[str, str] | None:
        """(device, dtype) of an object in memory, which is used where and as it is."""
        return self.facts.placed

    def sized(self, width: int, height: int) -> DiffusersModel:
        """The same at another size; ConfigError for one that its latents cannot have."""
        return replace(self, facts=self.facts.sized(width, height))

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        """Any text that is not too long; None is the empty prompt."""
        if negative is not None and not self.facts.takes_negative:
            raise ConfigError(
                f"negative is {negative!r}, but {self.name} reads its guidance as a number and is "
                "led away from nothing; leave it out, or set true_guidance in its noisesearch.json"
            )
        for name, prompt in (("prompt", text), ("negative prompt", negative)):
            if prompt is not None:
                self.facts.check_prompt(name, prompt)
        return Condition(text=text, negative=negative)

    def words(self) -> tuple[str, ...]:
        return ()

    def examples(self, count: int) -> list[str]:
        return []

    def space(self) -> Space:
        return Space(self.facts.shape, self.facts.schedule.times, differentiable=True)

    def weigh(self, dtype: str) -> dict[str, int]:
        """Bytes of the weights by component, before anything is loaded."""
        source = self.facts.source
        if not isinstance(source, Folder):
            return {}
        wide = 4 if dtype == "float32" else 2
        return {part: wide * source.numbers(part)
                for part in self.facts.family.needs if part != "scheduler"}  # fmt: skip

    def build(self, guidance: float, device: str, dtype: str) -> DiffusersDenoiser:
        check_dtype(self.name, dtype, self.placed)
        return self._around(self.facts.source.pipeline(device, dtype), guidance)

    def beside(self, denoiser: DiffusersDenoiser, guidance: float) -> DiffusersDenoiser:
        """With the weights that a denoiser of this pipeline, of whatever size, has loaded."""
        return self._around(denoiser.pipeline, guidance)

    def _around(self, pipeline: Any, guidance: float) -> DiffusersDenoiser:
        from .denoiser import DiffusersDenoiser

        facts = self.facts
        backbone = facts.backbone(pipeline, facts.size, guidance)
        return DiffusersDenoiser(backbone, facts.schedule, facts.shape, facts.scale(guidance))

    def drawn(self, generator: torch.Generator, dtype: str) -> Tensor:
        """The noise [C, H, W] that the pipeline in ``dtype`` draws for one picture."""
        import torch

        facts = self.facts
        found = [facts.source.precision(part, dtype) for part in facts.family.draws_as]
        kinds = [kind for kind in found if kind is not None] or [torch.float32]
        kind = reduce(torch.promote_types, kinds)
        shape = (1, *facts.shape)
        return torch.randn(shape, generator=generator, device=generator.device, dtype=kind)[0]

    def native(self, x: Tensor) -> Tensor:
        """Noises [B, C, H, W] as the pipeline's own ``latents=`` takes them."""
        found: Tensor = self.facts.backbone.native(x)
        return found

    def arguments(self, condition: Condition, guidance: float) -> dict[str, Any]:
        """What the pipeline's own call is told, beside latents and steps, for the same picture."""
        width, height = self.size
        away = {} if condition.negative is None else {"negative_prompt": condition.negative}
        own = self.facts.family.arguments(guidance, self.facts.scale(guidance))
        return {"prompt": condition.text or "", **own, **away, "width": width, "height": height}

    def opened(self, solver: str, device: str, dtype: str) -> list[str]:
        """Lines of Python that make ``pipe``, whose own loop takes the solver's steps; ConfigError
        where it does not."""
        facts = self.facts
        scheduler, lines = facts.source.scheduler(), facts.source.opened(device, dtype)
        try:
            own = facts.scheduled(scheduler).solver
        except ConfigError:
            own = ""
        if own == solver:
            return lines
        if own or facts.schedule.solver != solver:
            raise ConfigError(
                f"the run's solver is {solver}, whose steps the {type(scheduler).__name__} of "
                f"{self.name} does not take"
            )
        changed = [f"{name}={value!r}" for name, value in facts.changed(scheduler.config).items()]
        settings = ", ".join(["pipe.scheduler.config", *changed])
        usual = f"diffusers.{facts.family.usual}"
        return [*lines, f"pipe.scheduler = {usual}.from_config({settings})"]
