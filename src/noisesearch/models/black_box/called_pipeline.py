"""A pipeline of any class, with what every call of it gets besides rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ...errors import ConfigError
from ...store.given_images import InputImages
from ..diffusers.object import InMemory
from ..diffusers.preset import Preset
from ..diffusers.prompt_length import check_length, longest_reader
from ..diffusers.source import PipelineSource
from .call import Call, Signature, fingerprint


@dataclass(frozen=True)
class CalledPipeline:
    """What is known of a pipeline and asked of it, before its weights are loaded.

    ``call``: arguments beside those that every run sets; ``images``: what it is to begin from or
    to paint into; ``wanted``: the size that was asked for. ``check``: what is known of a family's
    prompts, which raises ConfigError.
    """

    source: PipelineSource
    preset: Preset
    call: Mapping[str, Any] = field(default_factory=dict)
    images: InputImages = field(default_factory=InputImages)
    wanted: tuple[int, int] | None = None
    check: Callable[[str, str], None] | None = None

    @cached_property
    def signature(self) -> Signature:
        return Signature.of(self.source.pipeline_class)

    @cached_property
    def _reader(self) -> tuple[Any, int]:
        return longest_reader(self.source, self.signature.number("max_sequence_length"))

    @property
    def name(self) -> str:
        return self.source.name

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

    def sized(self, width: int, height: int) -> CalledPipeline:
        """At another size; the pipeline itself says, when it is tried, whether it takes it."""
        if "width" not in self.signature or "height" not in self.signature:
            raise ConfigError(
                f"size {width}x{height}: {self.name} takes no width and height, so it makes what "
                "size it makes; leave the size out"
            )
        return replace(self, wanted=(width, height))

    def given(self, call: Mapping[str, Any], images: InputImages) -> CalledPipeline:
        """With further arguments, and images; ConfigError for what the pipeline does not take."""
        self.signature.check(call)
        for name, argument, image in (("image", "image", images.image),
                                      ("mask", "mask_image", images.mask)):  # fmt: skip
            if image is not None and argument not in self.signature:
                raise ConfigError(f"{self.name} takes no {name}; leave it out")
        return replace(self, call={**self.call, **call}, images=images)

    def check_prompts(self, text: str | None, negative: str | None) -> None:
        """Raise ConfigError for a prompt that the pipeline does not take, or would cut."""
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

    def plain_call(self, guidance: float) -> Call:
        """Return the arguments of its call without images."""
        return Call(self.signature, guidance, self.wanted or self.preset.size, extra=self.call)
