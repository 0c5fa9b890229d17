"""Pictures as a service is shown them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ...candidates.keys import digest
from ...files.pictures import Picture
from ..video import FRAMES


@dataclass(frozen=True, eq=False)
class GraderPictures:
    """uint8 [H, W, 3], or of a video [F, H, W, 3], of which a few frames are shown, the first and
    the last among them. Its files are made when they are needed, and once for all questions."""

    picture: Picture

    @cached_property
    def key(self) -> str:
        """Names what is shown."""
        return digest([(f.shape, hashlib.blake2b(f.tobytes()).hexdigest()) for f in self.frames])

    @cached_property
    def frames(self) -> tuple[Picture, ...]:
        if self.picture.ndim == 3:
            return (self.picture,)
        count = len(self.picture)
        at = np.linspace(0, count - 1, min(FRAMES, count)).round().astype(int)
        return tuple(self.picture[i] for i in at)

    @cached_property
    def files(self) -> tuple[bytes, ...]:
        """PNG, one a frame."""
        return tuple(_png(frame) for frame in self.frames)


def _png(picture: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG")
    return file.getvalue()
