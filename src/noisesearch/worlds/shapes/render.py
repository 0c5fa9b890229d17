"""Painting a Scene, with smooth edges and the same result every time."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .scene import PALETTE, Scene

Floats = npt.NDArray[np.float64]

_TRIANGLE = (1.16, 1.05)  # base and height, of the size
_ROOT = float(np.sqrt(0.5))


def render(scene: Scene, size: int = 32) -> npt.NDArray[np.uint8]:
    """The picture, uint8 [size, size, 3]; later things cover earlier ones."""
    axis = _axis(size)
    image = np.empty((size, size, 3))
    image[:] = scene.background
    for thing in scene.things:
        x, y = axis - thing.x * size, axis[:, None] - thing.y * size
        cover = coverage(thing.shape, x, y, thing.size * size)[..., None]
        rgb = PALETTE[thing.colour] if thing.rgb is None else thing.rgb
        image += cover * (np.array(rgb, dtype=np.float64) - image)
    return np.asarray(np.rint(image), dtype=np.uint8)


@lru_cache(maxsize=8)
def _axis(size: int) -> Floats:
    return np.arange(size, dtype=np.float64) + 0.5


def coverage(shape: str, x: Floats, y: Floats, size: float) -> Floats:
    """How much of each pixel a shape covers, in [0, 1]; x, y and size in pixels from its centre.

    A pixel's share is taken from the distance of its middle to the outline, which is exact
    for straight edges along the axes and close to it for all others.
    """
    return np.clip(0.5 - outline(shape, x, y, size), 0.0, 1.0)


def outline(shape: str, x: Floats, y: Floats, size: float) -> Floats:
    """The distance in pixels to a shape's outline, negative inside."""
    if shape == "triangle":
        return _triangle(np.abs(x), y, size)
    if shape in ("circle", "ring"):
        return _round(shape, np.hypot(x, y), size)
    x, y = np.abs(x), np.abs(y)
    if shape == "square":
        return np.maximum(x, y) - 0.45 * size
    if shape == "diamond":
        return (x + y - 0.58 * size) * _ROOT
    return _cross(x, y, size)


def _round(shape: str, radius: Floats, size: float) -> Floats:
    if shape == "circle":
        return radius - 0.5 * size
    return np.abs(radius - 0.395 * size) - 0.135 * size  # a hole of half the ring's width


def _triangle(x: Floats, y: Floats, size: float) -> Floats:
    base, height = _TRIANGLE[0] * size, _TRIANGLE[1] * size
    slope = float(np.hypot(height, base / 2))
    side = (x * height - (y + height * 2 / 3) * base / 2) / slope
    return np.maximum(side, y - height / 3)


def _cross(x: Floats, y: Floats, size: float) -> Floats:
    long, short = 0.525 * size, 0.17 * size
    across = np.maximum(x - long, y - short)
    return np.minimum(across, np.maximum(x - short, y - long))
