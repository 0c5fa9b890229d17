"""Reading the things off a picture of the shapes world.

The commonest colour is taken as background, what differs from it is cut into connected
blobs, and each of the six shapes is fitted to each blob: centre and size come from the
blob's moments, colour from a least-squares fit, so that smooth or blurred edges mislead
neither. A blob that no shape fits well is of shape "unknown", and one far from every colour
of the palette is of colour "unknown", so malformed things count as wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ...errors import ConfigError
from .render import outline
from .scene import PALETTE, SHAPES

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_Moments = tuple[float, float, float, float]

UNKNOWN = "unknown"
MAX_ASPECT = 1.35  # a thing drawn out further than this is no shape of this world
MAX_MISFIT = 0.03  # share of a blob's energy that its best shape may leave unexplained
MAX_RIVALRY = 0.75  # of the next best shape's misfit: beyond it a blob is either or neither
MAX_COLOUR_DISTANCE = 62.0  # in RGB of 0 to 255
_CONTRAST = 50.0  # RGB distance from the background below which a pixel is background
_EDGE = 0.42  # of the strongest neighbour's contrast: a weaker pixel is a smooth edge
_SPECK = 6 / 1024  # of the image's area: smaller blobs are ignored
_MOST_READ = 8  # blobs looked at closely, the largest first
_BLURS = (0.0, 0.25, 0.64)  # variances, in square pixels, of the blurs a blob is tried with
_SQUARE3 = np.ones((3, 3), dtype=bool)

# Other well-known shades under the same names (the CSS ones).
_SHADES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    *PALETTE.items(),
    ("red", (255, 0, 0)),
    ("green", (0, 255, 0)),
    ("green", (0, 128, 0)),
    ("yellow", (255, 255, 0)),
    ("teal", (0, 128, 128)),
    ("blue", (0, 0, 255)),
    ("brown", (165, 42, 42)),
)
_SHADE_RGB = np.array([rgb for _, rgb in _SHADES], dtype=np.float64)


@dataclass(frozen=True)
class DetectedThing:
    """One thing found: centre in fractions of width and height, size in fractions of the
    width, confidence from 0 (no shape fits) to 1 (a perfect fit, no other shape near)."""

    shape: str
    colour: str
    x: float
    y: float
    size: float
    confidence: float


def read(image: npt.NDArray[Any], max_aspect: float = MAX_ASPECT) -> list[DetectedThing]:
    """The things in an image [H, W, 3], uint8 or float in [0, 1], the largest first.

    `max_aspect` is how many times wider than high, or higher than wide, a thing may be
    before its shape is unknown.
    """
    pixels = _pixels(image)
    background = _background(pixels)
    change = pixels - background
    strength = np.sqrt((change * change).sum(-1))
    solid = (strength > _CONTRAST) & (
        strength > _EDGE * ndimage.maximum_filter(strength, size=3, mode="nearest")
    )
    blobs = [part for blob in _blobs(solid) for part in _by_colour(blob, pixels, strength)]
    least = _SPECK * solid.size
    blobs = sorted((b for b in blobs if b.sum() >= least), key=lambda b: -int(b.sum()))
    taken = np.any(blobs, axis=0) if blobs else solid
    seen = []
    for index, blob in enumerate(blobs):
        if index >= _MOST_READ:
            seen.append(DetectedThing(UNKNOWN, UNKNOWN, 0.5, 0.5, 0.0, 0.0))
            continue
        seen.extend(_read_blob(blob, taken, change, background, max_aspect))
    return seen


def _pixels(image: npt.NDArray[Any]) -> Floats:
    if image.ndim != 3 or image.shape[2] != 3:
        raise ConfigError(
            f"Got an image of shape {image.shape}; the checker needs [height, width, 3]."
        )
    if image.dtype == np.uint8:
        return image.astype(np.float64)
    return np.clip(np.nan_to_num(image.astype(np.float64)), 0, 1) * 255


def _background(pixels: Floats) -> Floats:
    """The commonest colour, as things cover less than half of a picture."""
    flat = pixels.reshape(-1, 3)
    middle = np.median(flat, axis=0)
    near = np.abs(flat - middle).max(1) < 30
    return np.asarray(flat[near].mean(0) if near.any() else middle)


def _blobs(solid: Mask) -> Iterator[Mask]:
    labels, count = ndimage.label(solid)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    for index in range(1, count + 1):
        if sizes[index] > 2:
            yield labels == index


def _by_colour(blob: Mask, pixels: Floats, strength: Floats) -> list[Mask]:
    """The blob cut where two things of clearly different colours touch."""
    core = blob & (strength >= 0.85 * ndimage.maximum_filter(strength * blob, size=3))
    names = _nearest_shade(pixels[core])[0]
    kinds, counts = np.unique(names, return_counts=True)
    kinds = kinds[counts >= max(4, 0.2 * len(names))]
    if len(kinds) < 2:
        return [blob]
    means = np.array([pixels[core][names == kind].mean(0) for kind in kinds])
    far = np.sqrt(((means[:, None] - means) ** 2).sum(-1))
    if far.max() < 90:
        return [blob]
    owner = ((pixels[..., None, :] - means) ** 2).sum(-1).argmin(-1)
    return [part for k in range(len(kinds)) for part in _blobs(blob & (owner == k))]


def _nearest_shade(rgb: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """For colours [n, 3]: the nearest shade's index [n] and its distance [n]."""
    away = np.sqrt(((rgb[:, None, :] - _SHADE_RGB) ** 2).sum(-1))
    return away.argmin(1), away.min(1)


# ---- fitting shapes ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Fit:
    """A shape fitted to a blob: pixels for centre and size, `misfit` the energy's share left."""

    shape: str
    x: float
    y: float
    size: float
    misfit: float
    rival: float  # the next best shape's misfit
    rgb: Floats

    @property
    def known(self) -> bool:
        """True if the shape explains the blob, and clearly better than the next best."""
        return self.misfit <= MAX_MISFIT and self.misfit <= MAX_RIVALRY * self.rival

    @property
    def confidence(self) -> float:
        """1 without misfit, 0 at the limit or with a rival as good."""
        clear = 1 - self.misfit / max(self.rival, 1e-9)
        return float(max(0.0, 1 - self.misfit / MAX_MISFIT) * clear)


def _read_blob(
    blob: Mask, taken: Mask, change: Floats, background: Floats, max_aspect: float
) -> list[DetectedThing]:
    """The thing a blob is, or the several it is if it falls apart into better ones."""
    fit = _fit(blob, taken & ~blob, change, max_aspect)
    if fit is not None and fit.known:
        return [_seen(fit, background, blob.shape)]
    parts = _split(blob)
    fits = [_fit(part, taken & ~part, change, max_aspect) for part in parts]
    good = [part for part in fits if part is not None and part.known]
    if len(good) == len(parts) > 1:
        return [_seen(part, background, blob.shape) for part in good]
    if fit is not None:
        return [_seen(fit, background, blob.shape)]
    y, x = np.argwhere(blob).mean(0) / blob.shape
    return [DetectedThing(UNKNOWN, UNKNOWN, float(x), float(y), 0.0, 0.0)]


def _seen(fit: _Fit, background: Floats, extent: tuple[int, ...]) -> DetectedThing:
    shade, away = _nearest_shade((background + fit.rgb)[None])
    colour = _SHADES[int(shade[0])][0] if away[0] <= MAX_COLOUR_DISTANCE else UNKNOWN
    shape = fit.shape if fit.known else UNKNOWN
    height, width = extent
    return DetectedThing(
        shape, colour, fit.x / width, fit.y / height, fit.size / width, fit.confidence
    )


def _split(blob: Mask) -> list[Mask]:
    """The blob's parts that hold together when its rim is worn off; itself if only one."""
    seeds, count = ndimage.label(ndimage.binary_erosion(blob))
    if not 2 <= count <= 4:
        return [blob]
    near = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    owner = seeds[tuple(near)]
    return [blob & (owner == index) for index in range(1, count + 1)]


def _fit(blob: Mask, others: Mask, change: Floats, max_aspect: float) -> _Fit | None:
    """The best of all shapes and blurs for a blob; None if it is too thin for any."""
    grown = ndimage.binary_dilation(blob, _SQUARE3, iterations=2)
    window = ndimage.find_objects(grown.astype(np.int8))[0]
    own = ndimage.binary_dilation(blob[window], _SQUARE3) & ~others[window]
    free = ~ndimage.binary_dilation(others[window], _SQUARE3) | own
    part = change[window]
    typical = np.median(part[blob[window]], axis=0)
    cover = np.clip(part @ typical / max(float(typical @ typical), 1e-9), 0, 1.3) * own
    rows, columns = (np.arange(s.start, s.stop) + 0.5 for s in window)
    moments = _moments(cover, rows, columns)
    best: dict[str, tuple[float, float, Floats]] = {}  # shape: misfit, size, template
    for blur in _BLURS:
        for shape, size, template in _templates(moments, blur, rows, columns, max_aspect):
            misfit = _misfit(cover, template, free)
            if shape not in best or misfit < best[shape][0]:
                best[shape] = (misfit, size, template)
    return _best_fit(best, moments, part, free) if best else None


def _best_fit(
    best: dict[str, tuple[float, float, Floats]], moments: _Moments, part: Floats, free: Mask
) -> _Fit:
    """The shape of the least misfit, and the colour that explains the change best."""
    shape, *others = sorted(best, key=lambda name: best[name][0])
    misfit, size, template = best[shape]
    weight = template * free
    rgb = (part * weight[..., None]).sum((0, 1)) / max(float((weight * template).sum()), 1e-9)
    rival = best[others[0]][0] if others else 1.0
    return _Fit(shape, moments[0], moments[1], size, misfit, rival, rgb)


def _moments(cover: Floats, rows: Floats, columns: Floats) -> _Moments:
    """Centre x and y and variances along x and y of a cover, in pixels."""
    across, down = cover.sum(0), cover.sum(1)
    total = max(float(across.sum()), 1e-9)
    x, y = float(across @ columns) / total, float(down @ rows) / total
    wide, high = across @ (columns - x) ** 2 / total, down @ (rows - y) ** 2 / total
    return x, y, float(wide) - 0.15, float(high) - 0.15  # a pixel's own width, and a soft edge


@cache
def _unit(shape: str) -> tuple[float, float, float]:
    """Of a shape of size 1: its mass centre's y, and its variances along x and y."""
    axis = (np.arange(256) + 0.5) / 128 - 1
    inside = (outline(shape, axis, axis[:, None], 1.0) < 0).astype(np.float64)
    _, y, wide, high = _moments(inside, axis, axis)
    return y, wide + 0.15, high + 0.15


def _templates(
    moments: _Moments, blur: float, rows: Floats, columns: Floats, max_aspect: float
) -> Iterator[tuple[str, float, Floats]]:
    """Each shape that has the blob's moments once blurred, unless it is too drawn out."""
    x, y, wide, high = moments[0], moments[1], moments[2] - blur, moments[3] - blur
    if min(wide, high) < 0.4:
        return
    for shape in SHAPES:
        middle, unit_wide, unit_high = _unit(shape)
        size_x, size_y = math.sqrt(wide / unit_wide), math.sqrt(high / unit_high)
        if max(size_x / size_y, size_y / size_x) > max_aspect:
            continue
        size = math.sqrt(size_x * size_y)
        across, down = (columns - x) * (size / size_x), (rows - y) * (size / size_y)
        edge = outline(shape, across, (down + middle * size)[:, None], size)
        yield shape, size, _blurred(np.clip(0.5 - edge, 0, 1), blur)


def _blurred(cover: Floats, variance: float) -> Floats:
    """A cover blurred along both axes with three weights of the given variance."""
    if variance == 0:
        return cover
    side = variance / 2
    wide = (1 - variance) * cover
    wide[:, 1:] += side * cover[:, :-1]
    wide[:, :-1] += side * cover[:, 1:]
    high = (1 - variance) * wide
    high[1:] += side * wide[:-1]
    high[:-1] += side * wide[1:]
    return high


def _misfit(cover: Floats, template: Floats, free: Mask) -> float:
    """The share of the cover's energy that no multiple of the template explains."""
    together = float((cover * template * free).sum())
    energy = float((cover * cover).sum()) * float((template * template * free).sum())
    return 1.0 - together * together / max(energy, 1e-9)
