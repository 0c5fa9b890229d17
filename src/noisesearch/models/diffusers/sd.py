"""Stable Diffusion 1.x and 2.x as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...sampling.denoiser import Encoded
from .backbone import PipelineBackbone
from .families import predicted
from .unet import guidance_read


class StableDiffusionBackbone(PipelineBackbone):
    """One text encoder and a UNet."""

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        super().__init__(pipeline, pipeline.unet, size)
        self.prediction = predicted(pipeline.scheduler)
        self._guidance = guidance

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        words, _ = self.pipeline.encode_prompt(
            [text or "" for text in texts], self.reading,
            num_images_per_prompt=1, do_classifier_free_guidance=False,
        )  # fmt: skip
        return {"words": words}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        return {
            "sample": x,
            "timestep": timestep,
            "encoder_hidden_states": encoded["words"],
            "timestep_cond": guidance_read(self.pipeline, self._guidance, x),
        }
