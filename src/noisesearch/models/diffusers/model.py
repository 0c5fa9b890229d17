"""A diffusers pipeline as a model of the library: by folder, hub id or object."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

from ...candidates.condition import Condition
from ...candidates.space import Space
from ...errors import ConfigError
from ...names.drafts import usual
from .families import BETAS, Family, Layout
from .folder import Folder
from .object import InMemory
from .preset import Preset, check_dtype
from .prompt_length import check_length
from .source import PipelineSource, package

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..schedules import Schedule
    from .denoiser import DiffusersDenoiser


@dataclass(frozen=True)
class DiffusersModel:
    """One pipeline at one size; :mod:`..pipelines` makes it.

    A noise has the shape of one latent, [C, H, W], for FLUX too, which packs two by two places
    into a token: so that algorithms see places, and because the pipeline itself draws it so.
    :meth:`native` packs it as ``latents=`` takes it.
    """

    source: PipelineSource
    family: Family
    preset: Preset
    size: tuple[int, int]
    verifiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def summary(self) -> str:
        return f"{self.family.summary} ({self.source.kind})"

    @property
    def steps(self) -> int:
        return self.preset.steps or self.family.defaults(self.source)[0]

    @property
    def guidance(self) -> float:
        given = self.preset.guidance
        return self.family.defaults(self.source)[1] if given is None else given

    @property
    def drafts(self) -> Mapping[str, str]:
        return {**usual(self.steps, "transformer" in self.family.needs), **self.preset.drafts}

    @property
    def solver(self) -> str:
        """The one that takes the steps of the pipeline's scheduler."""
        return self._scheduled(self.source.scheduler()).solver

    def _scheduled(self, scheduler: Any) -> Schedule:
        """ConfigError where none of our solvers takes the scheduler's steps."""
        width, height = self.size
        return self.family.schedule(scheduler, width * height // self.layout.unit**2)

    @cached_property
    def schedule(self) -> Schedule:
        """Of the pipeline's scheduler, else of the family's usual one with its settings."""
        scheduler = self.source.scheduler()
        try:
            return self._scheduled(scheduler)
        except ConfigError:
            usual = getattr(package(), self.family.usual)
            changed = self._changed(scheduler.config)
            return self._scheduled(usual.from_config({**scheduler.config, **changed}))

    def _changed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What the family's usual scheduler takes otherwise than another one's settings say."""
        if self.family.usual == BETAS:  # without what would bend a clean image
            return {"clip_sample": False, "thresholding": False}
        # The same shift under another name.
        return {"shift": config["flow_shift"]} if "flow_shift" in config else {}

    @property
    def ensemble(self) -> tuple[str, ...]:
        return self.family.ensemble

    @property
    def fingerprint(self) -> str:
        return self.source.fingerprint

    @property
    def placed(self) -> tuple[str, str] | None:
        """(device, dtype) of an object in memory, which is used where and as it is."""
        if not isinstance(self.source, InMemory):
            return None
        network = getattr(self.source.object, self.family.needs[0])
        dtype = str(network.dtype).removeprefix("torch.")
        return self.source.device, dtype

    @cached_property
    def layout(self) -> Layout:
        return self.family.layout(self.source)

    def sized(self, width: int, height: int) -> DiffusersModel:
        """The same at another size; ConfigError for one that its latents cannot have."""
        unit = self.layout.unit
        if width < unit or height < unit or width % unit or height % unit:
            near = "x".join(str(max(unit, round(side / unit) * unit)) for side in (width, height))
            raise ConfigError(
                f"size {width}x{height}: width and height of {self.name} must be multiples of "
                f"{unit}, such as {near}"
            )
        return replace(self, size=(width, height))

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        """Any text that is not too long; None is the empty prompt."""
        led = self.preset.true_guidance > 1 or not self.family.distilled(self.source)
        if negative is not None and not led:
            raise ConfigError(
                f"negative is {negative!r}, but {self.name} reads its guidance as a number and is "
                "led away from nothing; leave it out, or set true_guidance in its noisesearch.json"
            )
        for name, prompt in (("prompt", text), ("negative prompt", negative)):
            if prompt is not None:
                self.check_prompt(name, prompt)
        return Condition(text=text, negative=negative)

    @cached_property
    def _reader(self) -> tuple[Any, int]:
        part, length = self.family.reader(self.source)
        return self.source.tokenizer(part), length

    def check_prompt(self, what: str, text: str) -> None:
        """Raise ConfigError where the text encoders would cut ``text``, which is a ``what``."""
        check_length(*self._reader, self.name, what, text)

    def words(self) -> tuple[str, ...]:
        return ()

    def examples(self, count: int) -> list[str]:
        return []

    def space(self) -> Space:
        return Space(self.layout.shape(*self.size), self.schedule.times, differentiable=True)

    def weigh(self, dtype: str) -> dict[str, int]:
        """Bytes of the weights by component, before anything is loaded."""
        if not isinstance(self.source, Folder):
            return {}
        wide = 4 if dtype == "float32" else 2
        return {part: wide * self.source.numbers(part)
                for part in self.family.needs if part != "scheduler"}  # fmt: skip

    def build(self, guidance: float, device: str, dtype: str) -> DiffusersDenoiser:
        check_dtype(self.name, dtype, self.placed)
        return self._around(self.source.pipeline(device, dtype), guidance)

    def beside(self, denoiser: DiffusersDenoiser, guidance: float) -> DiffusersDenoiser:
        """With the weights that a denoiser of this pipeline, of whatever size, has loaded."""
        return self._around(denoiser.pipeline, guidance)

    def _around(self, pipeline: Any, guidance: float) -> DiffusersDenoiser:
        from .denoiser import DiffusersDenoiser

        backbone = self._backbone(pipeline, self.size, guidance)
        shape = self.layout.shape(*self.size)
        return DiffusersDenoiser(backbone, self.schedule, shape, self._scale(guidance))

    @property
    def _backbone(self) -> Any:
        """The class of the family's backbone."""
        module, _, name = self.family.backbone.partition(":")
        return getattr(importlib.import_module(f"{__package__}.{module}"), name)

    def _scale(self, guidance: float) -> float:
        """Of the guidance that takes two forwards; 1 is none."""
        return self.preset.true_guidance if self.family.distilled(self.source) else guidance

    def drawn(self, generator: torch.Generator, dtype: str) -> Tensor:
        """The noise [C, H, W] that the pipeline in ``dtype`` draws for one picture."""
        import torch

        found = [self.source.precision(part, dtype) for part in self.family.draws_as]
        kinds = [kind for kind in found if kind is not None] or [torch.float32]
        kind = reduce(torch.promote_types, kinds)
        shape = (1, *self.layout.shape(*self.size))
        return torch.randn(shape, generator=generator, device=generator.device, dtype=kind)[0]

    def native(self, x: Tensor) -> Tensor:
        """Noises [B, C, H, W] as the pipeline's own ``latents=`` takes them."""
        found: Tensor = self._backbone.native(x)
        return found

    def arguments(self, condition: Condition, guidance: float) -> dict[str, Any]:
        """What the pipeline's own call is told, beside latents and steps, for the same picture."""
        width, height = self.size
        away = {} if condition.negative is None else {"negative_prompt": condition.negative}
        own = self.family.arguments(guidance, self._scale(guidance))
        return {"prompt": condition.text or "", **own, **away, "width": width, "height": height}

    def opened(self, solver: str, device: str, dtype: str) -> list[str]:
        """Lines of Python that make ``pipe``, whose own loop takes the solver's steps; ConfigError
        where it does not."""
        scheduler, lines = self.source.scheduler(), self.source.opened(device, dtype)
        try:
            own = self._scheduled(scheduler).solver
        except ConfigError:
            own = ""
        if own == solver:
            return lines
        if own or self.schedule.solver != solver:
            raise ConfigError(
                f"the run's solver is {solver}, whose steps the {type(scheduler).__name__} of "
                f"{self.name} does not take"
            )
        changed = [f"{name}={value!r}" for name, value in self._changed(scheduler.config).items()]
        settings = ", ".join(["pipe.scheduler.config", *changed])
        usual = f"diffusers.{self.family.usual}"
        return [*lines, f"pipe.scheduler = {usual}.from_config({settings})"]
