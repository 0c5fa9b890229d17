"""How early a sample is settled: its features against those of its x-prediction half way.

Section 3.1 of arXiv 2501.09732: the cosine of what a network sees in the x-prediction at time 0.4
and in the sample itself. It asks neither for a class nor for a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ...candidates.keys import digest
from ...errors import ConfigError
from ..clip.files import checkpoint
from ..clip.towers import cropped
from ..protocol import OnePart, Views
from ..settings import Precision, VerifierSettings
from ..weights import files
from . import siglip
from .dino import PUBLISHED as DINO
from .dino import WEIGHTS, backbone, tokens

TIME = 0.4
DEFAULTS = {
    "clip": "openai/clip-vit-large-patch14",
    "dino": DINO,
    "siglip": "google/siglip-so400m-patch14-384",
}
# Not measured with published weights: that of the world fashion's by two networks.
DEVIATION = 0.02


@dataclass(frozen=True)
class Similarity(OnePart):
    """The cosine of what ``see`` finds in the preview at ``time`` and in the sample.

    ``see`` gives features [B, d] of views. ``deviation``: of the score among candidates.
    """

    name: str
    see: Callable[[Views], Tensor]
    networks: tuple[nn.Module, ...]
    fingerprint: str
    deviation: float
    time: float = TIME
    differentiable: bool = True
    rows: int | None = None
    whole_only: bool = True

    @property
    def previews(self) -> tuple[float, ...]:
        """The times whose previews it wants."""
        return (self.time,)

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        if self.time not in views.previews:
            raise ConfigError(
                f"verifier {self.name!r} compares a sample with its preview at time {self.time:g},"
                " and there is none: pictures that are looked at a second time and samples of "
                "black boxes have none; use a verifier of pictures alone there"
            )
        memo = views.once(("preview", self.time), dict)
        preview = replace(views, images=views.previews[self.time], memo=memo)
        alike = F.cosine_similarity(self.see(preview).float(), self.see(views).float())
        return {self.name: alike}

    def features(self, views: Views) -> Tensor:
        return self.see(views).float()


class SelfSupervised(VerifierSettings):
    """How like the x-prediction at time 0.4 is to the sample, by CLIP, DINOv2 or SigLIP."""

    name: ClassVar[str] = "self-supervised"

    network: Literal["clip", "dino", "siglip"] = Field(
        default="dino",
        description="whose features: CLIP's projected, DINOv2's last class token, SigLIP's "
        "pooled; the part is named self-supervised-NETWORK",
    )
    weights: str = Field(
        default="",
        description="hub id, folder or file; by default "
        + ", ".join(f"{of} ({network})" for network, of in DEFAULTS.items()),
    )
    time: float = Field(
        default=TIME,
        gt=0,
        lt=1,
        description="of the x-prediction, 0 clean and 1 noise; the nearest of the sample's own "
        "levels is taken",
    )
    dtype: Precision = Field(default="float32", description="of the network's weights")

    def open(self) -> Similarity:
        network, see, print_ = self._eye()
        return Similarity(
            f"{self.name}-{self.network}", see, (network,), digest([print_, self.dtype])[:16],
            DEVIATION, self.time,
        )  # fmt: skip

    def _eye(self) -> tuple[nn.Module, Callable[[Views], Tensor], str]:
        source = self.weights or DEFAULTS[self.network]
        if self.network == "clip":
            clip = checkpoint(self.name, source, self.dtype)
            images = clip.images()
            return images.network, partial(images.features, picture=cropped), clip.fingerprint
        of = files(self.name, source, WEIGHTS, ("*.json",))
        if self.network == "dino":
            dino = backbone(of, self.dtype)
            return dino, lambda views: tokens(dino, views)[0][-1], of.fingerprint
        eye = siglip.tower(of, self.dtype)
        return eye, partial(siglip.seen, eye), of.fingerprint
