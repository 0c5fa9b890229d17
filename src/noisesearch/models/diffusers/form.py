"""What a pipeline of diffusers itself draws, weighs and is called with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from ...candidates.condition import Condition
from ...errors import ConfigError
from .facts import PipelineFacts
from .folder import Folder

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class PipelineForm:
    """A pipeline in its own terms, for noise that comes from it or goes back to it."""

    facts: PipelineFacts

    def weigh(self, dtype: str) -> dict[str, int]:
        """Bytes of the weights by component, before anything is loaded."""
        source = self.facts.source
        if not isinstance(source, Folder):
            return {}
        wide = 4 if dtype == "float32" else 2
        return {part: wide * source.numbers(part)
                for part in self.facts.family.needs if part != "scheduler"}  # fmt: skip

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
        width, height = self.facts.size
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
                f"{facts.source.name} does not take"
            )
        changed = [f"{name}={value!r}" for name, value in facts.changed(scheduler.config).items()]
        settings = ", ".join(["pipe.scheduler.config", *changed])
        usual = f"diffusers.{facts.family.usual}"
        return [*lines, f"pipe.scheduler = {usual}.from_config({settings})"]
