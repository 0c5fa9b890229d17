"""What a pipeline that is called as a whole is told by hand for the same picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...candidates.condition import Condition
from ...errors import ConfigError
from .call import described, plain
from .called_pipeline import CalledPipeline


@dataclass(frozen=True)
class CalledForm:
    """A black box in its pipeline's own terms, for noise that goes back to it."""

    called: CalledPipeline

    def arguments(self, condition: Condition, guidance: float) -> dict[str, Any]:
        """What the pipeline is told by hand, beside latents and steps, for the same picture."""
        call = self.called.plain_call(guidance)
        texts = {"prompt": condition.text or "", "negative_prompt": condition.negative}
        told = {n: t for n, t in texts.items() if n in call.signature and t is not None}
        return {**told, **described(call.arguments())}

    def opened(self, solver: str, device: str, dtype: str) -> list[str]:
        """Lines of Python that make ``pipe``; ConfigError where lines do not make the picture."""
        if self.called.images.keys:
            raise ConfigError(f"{self.called.name} was given images")
        if "num_frames" in self.called.signature:
            raise ConfigError(f"{self.called.name} makes videos")
        if not plain(self.called.call):
            raise ConfigError(f"{self.called.name} was given what no line can hold")
        return self.called.source.opened(device, dtype)
