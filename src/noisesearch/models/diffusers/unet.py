"""What the pipelines with a UNet have in common."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def guidance_read(pipeline: Any, guidance: float, x: Tensor) -> Tensor | None:
    """What a distilled UNet is told of the guidance, for latents x [B, …]; None for others."""
    width = pipeline.unet.config.time_cond_proj_dim
    if width is None:
        return None
    scale = torch.full((len(x),), guidance - 1.0)
    found: Tensor = pipeline.get_guidance_scale_embedding(scale, embedding_dim=width)
    return found.to(x)
