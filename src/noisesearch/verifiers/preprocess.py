"""What verifiers do to a picture before they look at it, in torch, on the picture's device.

Published verifiers were trained, and their scores are quoted, behind the transforms of Pillow,
torchvision and TensorFlow 1. These functions give the same numbers (tests hold them against
outputs of the originals), and let a gradient through: where a value is rounded to 8 bits, the
gradient passes as if it were not. All take images [B, 3, H, W] in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PRECISION = 22  # bits behind the point of Pillow's weights for 8-bit pictures


def pillow_resize(images: Tensor, height: int, width: int, filter: str = "bicubic") -> Tensor:
    """[B, 3, height, width], to the bit what Pillow makes of the 8-bit pictures.

    ``filter``: bicubic or bilinear. Each of the two passes rounds to 8 bits.
    """
    # float64 holds Pillow's fixed-point sums exactly; it also keeps TF32 away.
    x = images.double() * 255
    if not images.requires_grad:
        x = x.round()
    passes = [(3, width), (2, height)]
    if _columns_first(x.shape[2], x.shape[3], height, width):
        passes.reverse()
    for axis, size in passes:
        if x.shape[axis] != size:
            matrix = _matrix(x.shape[axis], size, filter, x.device)
            x = _rounded(x @ matrix.T if axis == 3 else matrix @ x)
    return (x / 255).to(images.dtype)


def _columns_first(height: int, width: int, to_height: int, to_width: int) -> bool:
    """Pillow shortens columns first since version 13 where that leaves less to do. Seen from its
    outputs; until then rows came first, which changes a value by a level or two of 255."""
    return to_height < height and height - to_height > 2 * (width - to_width)


def pillow_shorter_side(images: Tensor, size: int, filter: str = "bicubic") -> Tensor:
    """The shorter side becomes ``size`` and the other keeps the shape, rounded down."""
    height, width = images.shape[2:]
    short, long = min(height, width), int(size * max(height, width) / min(height, width))
    if short == size:
        return images
    of = (size, long) if height <= width else (long, size)
    return pillow_resize(images, *of, filter)


def center_crop(images: Tensor, size: int, floor: bool = False) -> Tensor:
    """The middle [B, 3, size, size]. An odd margin is halved to the even number, as torchvision
    does; with ``floor`` down, as the processors of transformers do."""
    margins = [images.shape[2] - size, images.shape[3] - size]
    top, left = (m // 2 if floor else round(m / 2) for m in margins)
    return images[:, :, top : top + size, left : left + size]


def longest_side_padded(images: Tensor, size: int, antialias: bool = True) -> Tensor:
    """HPSv2's: the longer side becomes ``size``, then black borders make a square.

    Works on real numbers, so that bicubic overshoot is kept. ``antialias=False`` is what
    torchvision did before 0.17.
    """
    height, width = images.shape[2:]
    if max(height, width) != size:
        scale = size / max(height, width)
        of = (round(height * scale), round(width * scale))
        images = F.interpolate(
            images, of, mode="bicubic", align_corners=False, antialias=antialias
        )
        height, width = of
    left, top = (size - width) // 2, (size - height) // 2
    return F.pad(images, (left, size - width - left, top, size - height - top))


def tensor_resize(images: Tensor, height: int, width: int) -> Tensor:
    """Bicubic with antialiasing on real numbers, neither rounded nor clipped."""
    return F.interpolate(
        images, (height, width), mode="bicubic", align_corners=False, antialias=True
    )


def tensorflow_bilinear(images: Tensor, height: int, width: int) -> Tensor:
    """TensorFlow 1's: no antialiasing, and grid points are corners of pixels, not centres.

    Inception's published features and scores stand behind it.
    """
    rows = _corner_matrix(images.shape[2], height, images.device).to(images.dtype)
    columns = _corner_matrix(images.shape[3], width, images.device).to(images.dtype)
    return rows @ images @ columns.T


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(x - mean) / std by channel."""
    shift, scale = (images.new_tensor(v)[:, None, None] for v in (mean, std))
    return (images - shift) / scale


def clip_picture(images: Tensor, size: int = 224, floor: bool = False) -> Tensor:
    """CLIP's transform: shorter side, middle square, normalised. ``floor``: as transformers'
    processor crops, else as torchvision does (which ImageReward's transform is too)."""
    square = center_crop(pillow_shorter_side(images, size), size, floor)
    return normalise(square, CLIP_MEAN, CLIP_STD)


def _rounded(x: Tensor) -> Tensor:
    """Rounded and clipped to 8 bits; the gradient is that of the clipping alone."""
    kept = x.clamp(0, 255)
    return kept + ((x + 0.5).floor().clamp(0, 255) - kept).detach()


def _cubic(x: float) -> float:
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def _triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


FILTERS: dict[str, tuple[Callable[[float], float], float]] = {
    "bicubic": (_cubic, 2.0),
    "bilinear": (_triangle, 1.0),
}


@lru_cache(64)
def _matrix(before: int, after: int, filter: str, device: torch.device) -> Tensor:
    """Pillow's weights [after, before], in its fixed point."""
    weigh, reach = FILTERS[filter]
    scale = before / after
    wide = max(scale, 1.0)
    matrix = np.zeros((after, before))
    for row in range(after):
        centre = (row + 0.5) * scale
        first = max(0, int(centre - reach * wide + 0.5))
        last = min(before, int(centre + reach * wide + 0.5))
        weights = np.array([weigh((x - centre + 0.5) / wide) for x in range(first, last)])
        fixed = weights / weights.sum() * 2**PRECISION
        matrix[row, first:last] = np.trunc(fixed + np.copysign(0.5, fixed)) / 2**PRECISION
    return _kept(matrix, device)


@lru_cache(64)
def _corner_matrix(before: int, after: int, device: torch.device) -> Tensor:
    """Weights [after, before] of two neighbours each, measured from the corner."""
    at = np.arange(after, dtype=np.float32) * np.float32(before / after)
    low = np.floor(at).astype(int)
    share = (at - low).astype(np.float64)
    matrix = np.zeros((after, before))
    matrix[np.arange(after), low] += 1 - share
    matrix[np.arange(after), np.minimum(low + 1, before - 1)] += share
    return _kept(matrix, device)


def _kept(matrix: npt.NDArray[np.float64], device: torch.device) -> Tensor:
    # Kept from one call to another, of which the next may be one for gradients: those refuse what
    # inference mode made.
    with torch.inference_mode(False):
        return torch.from_numpy(matrix).to(device)
