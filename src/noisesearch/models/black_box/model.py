"""Any pipeline of diffusers as a model of the library: a black box that keeps its own loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...candidates.condition import Condition
from ...candidates.space import PIPELINE, Space
from ...errors import ConfigError
from ...store.given_images import InputImages
from ..diffusers.families import ENSEMBLE
from ..diffusers.object import InMemory
from ..diffusers.preset import Preset, check_dtype
from ..diffusers.prompt_length import check_length, longest_reader
from ..diffusers.source import PipelineSource
from .call import Call, Signature, described, fingerprint, plain

if TYPE_CHECKING:
    from .sampler import PipelineSampler


@dataclass(frozen=True)
class PipelineModel:
    """A pipeline that is called as a whole: start noise in, picture or video out.

    ``why``: the sentence that says so to the user. ``call``: arguments beside those that every
    run sets; ``images``: what it is to begin from or to paint into. ``check``: what is known of
    a family's prompts, which raises ConfigError.
    """

    source: PipelineSource
    preset: Preset
    why: str
    call: Mapping[str, Any] = field(default_factory=dict)
    images: InputImages = field(default_factory=InputImages)
    wanted: tuple[int, int] | None = None
    ensemble: tuple[str, ...] = ENSEMBLE
    check: Callable[[str, str], None] | None = None
    verifiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def summary(self) -> str:
        return f"a black box ({self.source.kind})"

    @cached_property
    def signature(self) -> Signature:
        return Signature.of(self.source.pipeline_class)

    @cached_property
    def _reader(self) -> tuple[Any, int]:
        return longest_reader(self.source, self.signature.number("max_sequence_length"))

    @property
    def steps(self) -> int:
        given = self.preset.steps or self.signature.number("num_inference_steps")
        if given is None:
            raise ConfigError(f"{self.name} does not say how many steps it takes; give --steps")
        return int(given)

    @property
    def guidance(self) -> float:
        """1 where the pipeline takes none."""
        if self.preset.guidance is not None:
            return self.preset.guidance
        name = self.signature.guidance
        return 1.0 if name is None else float(self.signature.number(name) or 1.0)

    @property
    def solver(self) -> str:
        """No solver of ours: its own scheduler."""
        return PIPELINE

    @property
    def size(self) -> tuple[int, int]:
        """(0, 0) where only the pipeline knows."""
        return self.wanted or self.preset.size or self.signature.size

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.source.fingerprint, self.call)

    @property
    def placed(self) -> tuple[str, str] | None:
        """(device, dtype) of an object in memory, which is used where and as it is."""
        if not isinstance(self.source, InMemory):
            return None
        return self.source.device, str(self.source.object.dtype).removeprefix("torch.")

    def sized(self, width: int, height: int) -> PipelineModel:
        """At another size; the pipeline itself says, when it is tried, whether it takes it."""
        if "width" not in self.signature or "height" not in self.signature:
            raise ConfigError(
                f"size {width}x{height}: {self.name} takes no width and height, so it makes what "
                "size it makes; leave the size out"
            )
        return replace(self, wanted=(width, height))

    def given(self, call: Mapping[str, Any], images: InputImages) -> PipelineModel:
        """With further arguments, and images; ConfigError for what the pipeline does not take."""
        self.signature.check(call)
        for name, argument, image in (("image", "image", images.image),
                                      ("mask", "mask_image", images.mask)):  # fmt: skip
            if image is not None and argument not in self.signature:
                raise ConfigError(f"{self.name} takes no {name}; leave it out")
        return replace(self, call={**self.call, **call}, images=images)

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        """A prompt, and the images by their content; None is the empty prompt."""
        texts = (("prompt", "prompt", text), ("negative prompt", "negative_prompt", negative))
        for word, argument, value in texts:
            if value is not None and argument not in self.signature:
                raise ConfigError(
                    f"{self.name} takes no {word}, got {value!r}; leave it out"
                    + (" and say --unconditional (in Python None)" if word == "prompt" else "")
                )
            if value is not None and self.check is not None:
                self.check(word, value)
            elif value is not None:
                check_length(*self._reader, self.name, word, value)
        keys = self.images.keys
        return Condition(text, negative=negative, image=keys.get("image"), mask=keys.get("mask"))

    def arguments(self, condition: Condition, guidance: float) -> dict[str, Any]:
        """What the pipeline is told by hand, beside latents and steps, for the same picture."""
        given = Call(self.signature, guidance, self.wanted or self.preset.size, extra=self.call)
        texts = {"prompt": condition.text or "", "negative_prompt": condition.negative}
        told = {n: t for n, t in texts.items() if n in self.signature and t is not None}
        return {**told, **described(given.arguments())}

    def opened(self, solver: str, device: str, dtype: str) -> list[str]:
        """Lines of Python that make ``pipe``; ConfigError where lines do not make the picture."""
        if self.images.keys:
            raise ConfigError(f"{self.name} was given images")
        if "num_frames" in self.signature:
            raise ConfigError(f"{self.name} makes videos")
        if not plain(self.call):
            raise ConfigError(f"{self.name} was given what no line can hold")
        return self.source.opened(device, dtype)

    def words(self) -> tuple[str, ...]:
        return ()

    def examples(self, count: int) -> list[str]:
        return []

    def space(self) -> Space:
        """Without the shape of a noise, which the sampler knows."""
        return Space((), lambda grid: (), black_box=True)

    def build(self, guidance: float, device: str, dtype: str) -> PipelineSampler:
        """Load the weights and try what the pipeline makes of noises and images."""
        check_dtype(self.name, dtype, self.placed)
        if guidance != self.guidance and self.signature.guidance is None:
            raise ConfigError(f"{self.name} takes no guidance, got {guidance:g}; leave it out")
        if "image" in self.signature.needed and self.images.image is None:
            raise ConfigError(f"{self.name} needs an image; give one with --image FILE")
        from .trial import tried

        size = self.wanted or self.preset.size
        images = self.images.pil()
        call = Call(self.signature, guidance, size, *images, extra=self.call)
        return tried(self.name, self.source.pipeline(device, dtype), call)


def black_box(source: PipelineSource, preset: Preset, because: str) -> PipelineModel:
    """The model of a pipeline; ``because``: why it does not run in our own loop."""
    why = (
        f"{source.name} runs as a black box, since {because}: algorithms over start noises "
        "(random, zero-order, population) work with it; previews, gradients and solvers do not"
    )
    model = PipelineModel(source, preset, why)
    model.signature.check(preset.call)
    return replace(model, call=dict(preset.call))
