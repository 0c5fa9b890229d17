"""The aesthetic predictor of LAION: a small head on CLIP's vector of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from ...candidates.keys import digest
from ...errors import ConfigError
from ..protocol import OnePart, Views
from ..settings import Precision, VerifierSettings
from ..weights import Files, files, filled
from . import towers
from .files import checkpoint
from .scores import CLIP_L, DTYPE, WEIGHTS
from .towers import ImageTower

HEAD = "sac+logos+ava1-l14-linearMSE"
HEADS = (f"{HEAD}.safetensors", f"{HEAD}.pth", "aesthetic-model.pth")
FIRST = "layers.0.weight"
# Not measured here: 5.79 without search and 6.38 as the best of 96 in Table 2 of arXiv 2501.09732
# are as far apart as 2.5 standard deviations.
SPREAD = 0.24


class Head(nn.Module):
    """Vectors [B, size] to scores [B]; five layers with nothing between, as published."""

    def __init__(self, size: int) -> None:
        super().__init__()
        # In training there was dropout at 1, 3 and 5; the names count it.
        self.layers = nn.ModuleDict({
            "0": nn.Linear(size, 1024), "2": nn.Linear(1024, 128), "4": nn.Linear(128, 64),
            "6": nn.Linear(64, 16), "7": nn.Linear(16, 1),
        })  # fmt: skip

    def forward(self, vectors: Tensor) -> Tensor:
        x = vectors
        for layer in self.layers.values():
            x = layer(x)
        return x[:, 0]


@dataclass(frozen=True)
class AestheticVerifier(OnePart):
    """One number of a picture, whatever its condition."""

    image_tower: ImageTower
    head: Head
    fingerprint: str
    name: str = "aesthetic"
    differentiable: bool = True
    rows: int | None = None

    deviation = SPREAD

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.image_tower.network, self.head)

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        return {self.name: self.head(self.features(views))}

    def features(self, views: Views) -> Tensor:
        """CLIP's unit vectors [B, d] of the images."""
        return self.image_tower.features(views, towers.cropped)


class Aesthetic(VerifierSettings):
    """How beautiful a picture is, about 1 to 10: LAION's head on CLIP-L, whatever the text."""

    name: ClassVar[str] = "aesthetic"

    weights: str = Field(
        default="camenduru/improved-aesthetic-predictor",
        description=f"file, folder or hub id of the head ({HEAD}.pth)",
    )
    backbone: str = Field(default=CLIP_L, description=WEIGHTS)
    dtype: Precision = Field(default="float32", description=f"{DTYPE}, and so is the head")

    def open(self) -> AestheticVerifier:
        of = files(self.name, self.weights, HEADS, ())
        head = loaded(of)
        clip = checkpoint(self.name, self.backbone, self.dtype, setting="backbone")
        wanted, got = head.layers["0"].in_features, clip.config.projection_dim
        if wanted != got:
            raise ConfigError(
                f"the head in {of.of} takes vectors of {wanted} numbers, but those of "
                f"{clip.files.of} have {got}; the published head belongs to {CLIP_L}"
            )
        return AestheticVerifier(
            clip.images(), head, digest(of.fingerprint, clip.fingerprint)[:16]
        )


def loaded(of: Files) -> Head:
    """The head that a file holds; its first layer tells the size of the vectors."""
    state = of.tensors()
    size = state[FIRST].shape[-1] if FIRST in state else 768
    return filled(Head(size), state, of)
