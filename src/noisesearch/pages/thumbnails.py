"""Pictures inside the page: small WebP files as data."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from ..files.pictures import opened, read, still

SMALL = 96  # pixels of a candidate's longer side
PIXEL_ART = 128  # up to this size a picture is kept as it is, and enlarged without blur
QUALITY = 78


def embedded(path: Path, most: int) -> str | None:
    """A picture at most ``most`` pixels wide and high, WebP in base64; of a video the frame in
    the middle. None where the file is not there."""
    if not path.exists():
        return None
    image = Image.fromarray(still(read(path)))
    small = max(image.size) <= PIXEL_ART
    image.thumbnail((most, most), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.save(data, "webp", lossless=small, draft=100 if small else QUALITY, method=4)
    return base64.b64encode(data.getvalue()).decode()


def size(path: Path) -> tuple[int, int] | None:
    """Width and height of a file's picture; None where it is not there."""
    if not path.exists():
        return None
    with opened(path) as image:
        return image.size
