"""Sana as a backbone."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...sampling.denoiser import Encoded
from .backbone import PipelineBackbone


class SanaBackbone(PipelineBackbone):
    """A language model reads the prompt after an instruction, its negative without one."""

    prediction = "flow"

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        super().__init__(pipeline, pipeline.transformer, size)
        self._channels = self.network.config.in_channels
        call = inspect.signature(pipeline.__call__).parameters
        self._instruction = call["complex_human_instruction"].default

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        side = self.pipeline.tokenizer.padding_side
        try:
            words, mask, _, _ = self.pipeline.encode_prompt(
                [text or "" for text in texts], do_classifier_free_guidance=False,
                device=self.reading,
                complex_human_instruction=None if negative else self._instruction,
            )  # fmt: skip
        finally:
            self.pipeline.tokenizer.padding_side = side  # which encode_prompt sets
        return {"words": words, "mask": mask}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        told = timestep * self.network.config.timestep_scale
        return {
            "hidden_states": x,
            "timestep": told,
            "encoder_hidden_states": encoded["words"].to(x.dtype),
            "encoder_attention_mask": encoded["mask"],
        }

    def output(self, found: Tensor) -> Tensor:
        return found[:, : self._channels]  # a learned variance comes after
