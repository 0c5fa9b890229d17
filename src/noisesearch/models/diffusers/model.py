"""A diffusers pipeline as a model of the library: by folder, hub id or object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...candidates.condition import Condition
from ...candidates.space import Space
from ...errors import ConfigError
from ...names.drafts import usual
from .facts import PipelineFacts
from .form import PipelineForm
from .preset import check_dtype

if TYPE_CHECKING:
    from .denoiser import DiffusersDenoiser


@dataclass(frozen=True)
class DiffusersModel:
    """One pipeline at one size; :mod:`..pipelines` makes it.

    A noise has the shape of one latent, [C, H, W], for FLUX too, which packs two by two places
    into a token: so that algorithms see places, and because the pipeline itself draws it so.
    :meth:`PipelineForm.native` packs it as ``latents=`` takes it.
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

    @property
    def pipeline_form(self) -> PipelineForm:
        """What the pipeline itself draws, weighs and is called with."""
        return PipelineForm(self.facts)

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
