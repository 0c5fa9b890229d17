"""Stable Diffusion 3 and 3.5 as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..denoiser import Encoded
from .diffusers_denoiser import autoencoded


class StableDiffusion3Backbone:
    """Three text encoders, of which the pipeline replaces the third by zeros where it is not."""

    prediction = "flow"

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        self.network, self.size = pipeline.transformer, size
        self._pipeline = pipeline

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        prompts = [text or "" for text in texts]
        words, _, pooled, _ = self._pipeline.encode_prompt(
            prompt=prompts, prompt_2=prompts, prompt_3=prompts, do_classifier_free_guidance=False
        )
        return {"words": words, "pooled": pooled}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        return {
            "hidden_states": x,
            "timestep": timestep,
            "encoder_hidden_states": encoded["words"],
            "pooled_projections": encoded["pooled"],
        }

    def output(self, found: Tensor) -> Tensor:
        return found

    def pictures(self, x0: Tensor) -> Tensor:
        return autoencoded(self._pipeline.vae, x0)

    def native(self, x: Tensor) -> Tensor:
        return x
