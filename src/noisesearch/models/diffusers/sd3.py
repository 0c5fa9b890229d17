"""Stable Diffusion 3 and 3.5 as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...sampling.denoiser import Encoded
from .backbone import PipelineBackbone


class StableDiffusion3Backbone(PipelineBackbone):
    """Three text encoders, of which the pipeline replaces the third by zeros where it is not."""

    prediction = "flow"

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        super().__init__(pipeline, pipeline.transformer, size)

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        prompts = [text or "" for text in texts]
        words, _, pooled, _ = self.pipeline.encode_prompt(
            prompt=prompts,
            prompt_2=prompts,
            prompt_3=prompts,
            device=self.reading,
            do_classifier_free_guidance=False,
        )
        return {"words": words, "pooled": pooled}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        return {
            "hidden_states": x,
            "timestep": timestep,
            "encoder_hidden_states": encoded["words"],
            "pooled_projections": encoded["pooled"],
        }
