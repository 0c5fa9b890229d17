"""What is known of a pipeline of a family of ours before its weights are loaded."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from .families import BETAS, Family, Layout
from .object import InMemory
from .preset import Preset
from .prompt_length import check_length
from .source import PipelineSource, package

if TYPE_CHECKING:
    from ..schedules import Schedule


@dataclass(frozen=True)
class PipelineFacts:
    """One pipeline at one size: where it is from, its family, its maker's settings; and what
    follows from them."""

    source: PipelineSource
    family: Family
    preset: Preset
    size: tuple[int, int]

    @property
    def steps(self) -> int:
        return self.preset.steps or self.family.defaults(self.source)[0]

    @property
    def guidance(self) -> float:
        given = self.preset.guidance
        return self.family.defaults(self.source)[1] if given is None else given

    def scale(self, guidance: float) -> float:
        """Return the part of a guidance that takes two forwards; 1 is none."""
        return self.preset.true_guidance if self.family.distilled(self.source) else guidance

    @property
    def takes_negative(self) -> bool:
        """True where guidance leads away from the negative prompt."""
        return self.preset.true_guidance > 1 or not self.family.distilled(self.source)

    @cached_property
    def layout(self) -> Layout:
        return self.family.layout(self.source)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one latent [C, H, W]."""
        return self.layout.shape(*self.size)

    def sized(self, width: int, height: int) -> PipelineFacts:
        """The same at another size; ConfigError for one that its latents cannot have."""
        unit = self.layout.unit
        if width < unit or height < unit or width % unit or height % unit:
            near = "x".join(str(max(unit, round(side / unit) * unit)) for side in (width, height))
            raise ConfigError(
                f"size {width}x{height}: width and height of {self.source.name} must be multiples "
                f"of {unit}, such as {near}"
            )
        return replace(self, size=(width, height))

    @property
    def placed(self) -> tuple[str, str] | None:
        """(device, dtype) of an object in memory, which is used where and as it is."""
        if not isinstance(self.source, InMemory):
            return None
        network = getattr(self.source.object, self.family.needs[0])
        dtype = str(network.dtype).removeprefix("torch.")
        return self.source.device, dtype

    def scheduled(self, scheduler: Any) -> Schedule:
        """Return a scheduler's schedule; ConfigError where none of our solvers takes its steps."""
        width, height = self.size
        return self.family.schedule(scheduler, width * height // self.layout.unit**2)

    @cached_property
    def schedule(self) -> Schedule:
        """Of the pipeline's scheduler, else of the family's usual one with its settings."""
        scheduler = self.source.scheduler()
        try:
            return self.scheduled(scheduler)
        except ConfigError:
            usual = getattr(package(), self.family.usual)
            changed = self.changed(scheduler.config)
            return self.scheduled(usual.from_config({**scheduler.config, **changed}))

    def changed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the family's usual scheduler takes otherwise than another one's settings
        say."""
        if self.family.usual == BETAS:  # without what would bend a clean image
            return {"clip_sample": False, "thresholding": False}
        # The same shift under another name.
        return {"shift": config["flow_shift"]} if "flow_shift" in config else {}

    @cached_property
    def _reader(self) -> tuple[Any, int]:
        part, length = self.family.reader(self.source)
        return self.source.tokenizer(part), length

    def check_prompt(self, what: str, text: str) -> None:
        """Raise ConfigError where the text encoders would cut ``text``, which is a ``what``."""
        check_length(*self._reader, self.source.name, what, text)

    @property
    def backbone(self) -> Any:
        """The class of the family's backbone."""
        module, _, name = self.family.backbone.partition(":")
        return getattr(importlib.import_module(f"{__package__}.{module}"), name)
