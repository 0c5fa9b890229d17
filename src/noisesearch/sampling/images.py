"""Images of the network as pictures, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..files.pictures import Picture


def quantise(images: Tensor) -> Tensor:
    """Images as the 8-bit file will hold them, with the gradient of the identity inside [0, 1]."""
    clamped = images.clamp(0, 1)
    # In this order the values are those of the file to the last bit: the bracket is exactly 0.
    return ((clamped * 255).round() / 255).detach() + (clamped - clamped.detach())


def pictures(images: Tensor) -> list[Picture]:
    """uint8 [H, W, 3] of images [B, 3, H, W], [F, H, W, 3] of videos [B, F, 3, H, W]."""
    whole = (images * 255).round().to(torch.uint8).movedim(-3, -1).cpu().numpy()
    return list(whole)


def from_pictures(pictures: Sequence[Picture]) -> Tensor:
    """Images [N, 3, H, W] in [0, 1] of uint8 [H, W, 3], or videos: what verifiers saw in the
    run, in the same layout, since by another a convolution rounds otherwise."""
    return (torch.from_numpy(np.stack(pictures)).movedim(-1, -3).float() / 255).contiguous()
