"""FLUX.1 (dev, schnell and what is trained from them) as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...sampling.denoiser import Encoded
from .backbone import PipelineBackbone


def pack(x: Tensor) -> Tensor:
    """Tokens [B, H/2·W/2, 4C] of latents [B, C, H, W], two by two places each."""
    b, c, h, w = x.shape
    blocks = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return blocks.reshape(b, (h // 2) * (w // 2), 4 * c)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Latents [B, C, height, width] of tokens; the inverse of :func:`pack`."""
    b, _, c = tokens.shape
    blocks = tokens.reshape(b, height // 2, width // 2, c // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return blocks.reshape(b, c // 4, height, width)


class FluxBackbone(PipelineBackbone):
    """Two text encoders, tokens with places, and a guidance that dev reads as a number."""

    prediction = "flow"

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        super().__init__(pipeline, pipeline.transformer, size)
        self._guidance = guidance if self.network.config.guidance_embeds else None
        factor = pipeline.vae_scale_factor
        self._places = size[1] // factor, size[0] // factor

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        prompts = [text or "" for text in texts]
        words, pooled, _ = self.pipeline.encode_prompt(
            prompt=prompts, prompt_2=prompts, device=self.reading
        )
        return {"words": words, "pooled": pooled}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        words = encoded["words"]
        # The network multiplies by 1000 itself.
        told = timestep / 1000
        guidance = None
        if self._guidance is not None:
            guidance = torch.full_like(told, self._guidance)
        return {
            "hidden_states": pack(x),
            "timestep": told,
            "guidance": guidance,
            "pooled_projections": encoded["pooled"],
            "encoder_hidden_states": words,
            "txt_ids": torch.zeros(words.shape[1], 3, device=x.device, dtype=words.dtype),
            "img_ids": self._ids(x).to(words.dtype),
        }

    def _ids(self, x: Tensor) -> Tensor:
        """(0, row, column) of every token [N, 3]."""
        rows, columns = x.shape[2] // 2, x.shape[3] // 2
        row, column = torch.meshgrid(
            torch.arange(rows, device=x.device),
            torch.arange(columns, device=x.device),
            indexing="ij",
        )
        return torch.stack([torch.zeros_like(row), row, column], dim=-1).reshape(-1, 3)

    def output(self, found: Tensor) -> Tensor:
        return unpack(found, *self._places)

    @staticmethod
    def native(x: Tensor) -> Tensor:
        return pack(x)
