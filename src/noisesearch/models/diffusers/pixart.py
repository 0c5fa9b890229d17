"""PixArt-Sigma as a backbone."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...sampling.denoiser import Encoded
from .backbone import PipelineBackbone
from .families import predicted
from .source import package


class PixArtBackbone(PipelineBackbone):
    """T5 reads the prompt; the network gives a variance beside its prediction."""

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        super().__init__(pipeline, pipeline.transformer, size)
        self.prediction = predicted(pipeline.scheduler)
        self._channels = self.network.config.in_channels
        utils = package().utils
        # The pipeline cleans prompts where it can: where it cannot, it would say so every time.
        self._clean = (
            inspect.signature(pipeline.__call__).parameters["clean_caption"].default
            and utils.is_bs4_available()
            and utils.is_ftfy_available()
        )

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        words, mask, _, _ = self.pipeline.encode_prompt(
            [text or "" for text in texts], device=self.reading,
            do_classifier_free_guidance=False, clean_caption=self._clean,
        )  # fmt: skip
        return {"words": words, "mask": mask}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        return {
            "hidden_states": x,
            "timestep": timestep,
            "encoder_hidden_states": encoded["words"],
            "encoder_attention_mask": encoded["mask"],
            # Of PixArt-Alpha; Sigma is told no sizes.
            "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
        }

    def output(self, found: Tensor) -> Tensor:
        return found[:, : self._channels]  # a learned variance comes after
