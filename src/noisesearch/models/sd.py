"""Stable Diffusion 1.x and 2.x as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..denoiser import Encoded
from .diffusers_denoiser import autoencoded
from .diffusers_families import predicted
from .unet import guidance_read


class StableDiffusionBackbone:
    """One text encoder and a UNet."""

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        self.network, self.size = pipeline.unet, size
        self.prediction = predicted(pipeline.scheduler)
        self._pipeline, self._guidance = pipeline, guidance

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        words, _ = self._pipeline.encode_prompt(
            [text or "" for text in texts], self._pipeline._execution_device,
            num_images_per_prompt=1, do_classifier_free_guidance=False,
        )  # fmt: skip
        return {"words": words}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        return {
            "sample": x,
            "timestep": timestep,
            "encoder_hidden_states": encoded["words"],
            "timestep_cond": guidance_read(self._pipeline, self._guidance, x),
        }

    def output(self, found: Tensor) -> Tensor:
        return found

    def pictures(self, x0: Tensor) -> Tensor:
        return autoencoded(self._pipeline.vae, x0)

    def native(self, x: Tensor) -> Tensor:
        return x  # unit normals, which the pipeline itself scales to its first σ
