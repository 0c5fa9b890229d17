"""What a detector found in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ...files.pictures import Picture

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels
SHORT, LONG = (
    479,
    480,
)  # sides of the published detector's frame: the shorter one, the longer at most


@dataclass(frozen=True)
class Detection:
    label: str
    box: Box
    score: float


class Detector(Protocol):
    """Finds objects in pictures.

    Contract: returns what it found in a picture uint8 [H, W, 3], the surest first, boxes in its
    pixels. ``labels`` are all that it can find; None says that it looks for those that it is
    asked for, ``wanted``, and for nothing else.
    """

    @property
    def labels(self) -> frozenset[str] | None: ...
    @property
    def fingerprint(self) -> str: ...

    def __call__(self, picture: Picture, wanted: Sequence[str]) -> list[Detection]: ...


def framed(found: Sequence[Detection], height: int, width: int) -> list[Detection]:
    """The same in the frame that distances in pixels are meant in: shorter side 479, longer side
    480 at most."""
    scale = min(SHORT / min(height, width), LONG / max(height, width))
    return [
        replace(each, box=tuple(scale * edge for edge in each.box))  # type: ignore[arg-type]
        for each in found
    ]


def overlap(a: Box, b: Box, closed: float = 0) -> tuple[float, float, float]:
    """(area of both, of ``a``, of ``b``); ``closed``: 1 where the last pixel belongs to a box."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + closed for i in (0, 1)]
    areas = [(x[2] - x[0] + closed) * (x[3] - x[1] + closed) for x in (a, b)]
    return max(0.0, sides[0]) * max(0.0, sides[1]), areas[0], areas[1]
