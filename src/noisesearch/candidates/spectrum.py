"""Bands of a noise's frequencies, by the orthonormal cosine transform over its last two axes.

Rotations leave i.i.d. unit normals what they are, so coefficients of a noise are unit normals too,
and what is put in the place of some of them keeps its law where it is of that law itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

Wide = npt.NDArray[np.float64]


@lru_cache(maxsize=16)
def cosines(size: int) -> Wide:
    """The matrix [size, size] of the orthonormal DCT-II; its transpose is its inverse."""
    rows, columns = np.mgrid[:size, :size]
    matrix: Wide = math.sqrt(2 / size) * np.cos(np.pi * (2 * columns + 1) * rows / (2 * size))
    matrix[0] /= math.sqrt(2)
    return matrix


def turned(noise: Wide, back: bool = False) -> Wide:
    """Coefficients of a noise, or a noise of its coefficients, in the same shape."""
    for axis in range(-min(2, noise.ndim), 0):
        matrix = cosines(noise.shape[axis])
        noise = np.moveaxis(
            np.moveaxis(noise, axis, -1) @ (matrix if back else matrix.T), -1, axis
        )
    return noise


def ring(shape: Sequence[int], low: float, high: float) -> npt.NDArray[np.bool_]:
    """Which coefficients [shape] are of the band from ``low`` to below ``high``, in shares of the
    highest frequency of each axis; the higher of the axes' counts."""
    axes = [np.arange(size) / size for size in shape[-2:]]
    highest = axes[0] if len(axes) == 1 else np.maximum.outer(axes[0], axes[1])
    return np.broadcast_to((low <= highest) & (highest < high), tuple(shape))


def redrawn(base: Array, elites: Sequence[Array], fresh: Array, low: float, high: float) -> Array:
    """``base`` with its coefficients of a band drawn anew around the mean m of the elites':
    z = m + √(1 − ρ)·ε, with ρ = ‖m‖²/n over the n of the band and ε those of ``fresh``.

    Their power is n in expectation whatever the elites are: where the mean alone has more, it is
    scaled to that.
    """
    inside = ring(base.shape, low, high)
    coefficients = turned(base.astype(np.float64))
    drawn = turned(fresh.astype(np.float64))[inside]
    mean = np.zeros_like(drawn)
    for elite in elites:
        mean += turned(elite.astype(np.float64))[inside] / len(elites)
    power = float(mean @ mean) / max(1, mean.size)
    coefficients[inside] = (
        mean / math.sqrt(max(1.0, power)) + math.sqrt(max(0.0, 1 - power)) * drawn
    )
    result: Array = turned(coefficients, back=True).astype(np.float32)
    return result
