"""Any pipeline of diffusers as a model of the library: a black box that keeps its own loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...candidates.condition import Condition
from ...candidates.space import PIPELINE, Space
from ...errors import ConfigError
from ...store.given_images import InputImages
from ..diffusers.families import ENSEMBLE
from ..diffusers.preset import Preset, check_dtype
from ..diffusers.source import PipelineSource
from .called_pipeline import CalledPipeline
from .form import CalledForm

if TYPE_CHECKING:
    from .sampler import PipelineSampler


@dataclass(frozen=True)
class PipelineModel:
    """A pipeline that is called as a whole: start noise in, picture or video out.

    ``why``: the sentence that says so to the user.
    """

    called: CalledPipeline
    why: str
    ensemble: tuple[str, ...] = ENSEMBLE
    verifiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.called.name

    @property
    def summary(self) -> str:
        return f"a black box ({self.called.source.kind})"

    @property
    def steps(self) -> int:
        return self.called.steps

    @property
    def guidance(self) -> float:
        """1 where the pipeline takes none."""
        return self.called.guidance

    @property
    def solver(self) -> str:
        """No solver of ours: its own scheduler."""
        return PIPELINE

    @property
    def size(self) -> tuple[int, int]:
        """(0, 0) where only the pipeline knows."""
        return self.called.size

    @property
    def fingerprint(self) -> str:
        return self.called.fingerprint

    @property
    def placed(self) -> tuple[str, str] | None:
        """(device, dtype) of an object in memory, which is used where and as it is."""
        return self.called.placed

    def sized(self, width: int, height: int) -> PipelineModel:
        """At another size; the pipeline itself says, when it is tried, whether it takes it."""
        return replace(self, called=self.called.sized(width, height))

    def given(self, call: Mapping[str, Any], images: InputImages) -> PipelineModel:
        """With further arguments, and images; ConfigError for what the pipeline does not take."""
        return replace(self, called=self.called.given(call, images))

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        """A prompt, and the images by their content; None is the empty prompt."""
        self.called.check_prompts(text, negative)
        keys = self.called.images.keys
        return Condition(text, negative=negative, image=keys.get("image"), mask=keys.get("mask"))

    @property
    def pipeline_form(self) -> CalledForm:
        """What the pipeline itself is called with."""
        return CalledForm(self.called)

    def words(self) -> tuple[str, ...]:
        return ()

    def examples(self, count: int) -> list[str]:
        return []

    def space(self) -> Space:
        """Without the shape of a noise, which the sampler knows."""
        return Space((), lambda grid: (), black_box=True)

    def build(self, guidance: float, device: str, dtype: str) -> PipelineSampler:
        """Load the weights and try what the pipeline makes of noises and images."""
        called = self.called
        check_dtype(self.name, dtype, self.placed)
        if guidance != self.guidance and called.signature.guidance is None:
            raise ConfigError(f"{self.name} takes no guidance, got {guidance:g}; leave it out")
        if "image" in called.signature.needed and called.images.image is None:
            raise ConfigError(f"{self.name} needs an image; give one with --image FILE")
        from .trial import tried

        image, mask = called.images.pil()
        call = replace(called.plain_call(guidance), image=image, mask=mask)
        return tried(self.name, called.source.pipeline(device, dtype), call)


def black_box(source: PipelineSource, preset: Preset, because: str) -> PipelineModel:
    """The model of a pipeline; ``because``: why it does not run in our own loop."""
    why = (
        f"{source.name} runs as a black box, since {because}: algorithms over start noises "
        "(random, zero-order, population) work with it; previews, gradients and solvers do not"
    )
    called = CalledPipeline(source, preset)
    called.signature.check(preset.call)
    return PipelineModel(replace(called, call=dict(preset.call)), why)
