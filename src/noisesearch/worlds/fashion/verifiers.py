"""The verifiers of the world fashion, in the roles of the paper's on ImageNet (Appendix A.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ...candidates.keys import digest
from ...files.fingerprint import of_file
from ...objectives.sets_text import stored
from ...verifiers.features.classes import of_class
from ...verifiers.features.oracle import Distance
from ...verifiers.features.self_supervised import Similarity
from ...verifiers.protocol import Views
from ...verifiers.settings import VerifierSettings
from . import networks

# The typical standard deviation of each score among samples of one class, averaged over the
# classes; measured on the default generator by `python training/fashion_measure.py`.
SCALES = {"oracle-is": 0.17, "dino-linear": 0.55, "clip-zeroshot": 0.1, "checker": 0.21,
          "oracle-fid": 2.6}  # fmt: skip
# Those of self-supervised by network, measured so by `python training/self_supervised.py`.
SETTLED = {"dino": 0.018, "clip": 0.016}
# Mean and covariance of the inception features of the 60,000 pictures to train, by
# `python training/fashion_statistics.py`.
STATISTICS = networks.WEIGHTS / "oracle-fid.npz"


@dataclass(frozen=True)
class OfClass:
    """One number of a network for the class that was asked for; NaN where none was."""

    name: str
    network: networks.Inception | networks.Dino | networks.Clip
    score: Callable[[Tensor], Tensor]  # [B, 10] of pictures [B, 1, 28, 28]
    fingerprint: str
    differentiable: bool = True
    rows: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        return (self.network,)

    @property
    def scale(self) -> Mapping[str, float]:
        return {self.name: SCALES[self.name]}

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        return {self.name: of_class(self.score(_grey(views.images)), views.conditions)}

    def features(self, views: Views) -> Tensor:
        """What the network sees [B, d], whatever the class."""
        return self.network.features(_grey(views.images))

    def logits(self, views: Views) -> Tensor:
        """What the network says of each class [B, 10]."""
        return self.network.logits(_grey(views.images))

    def classes(self, views: Views) -> Tensor:
        """The probability of every class [B, 10]."""
        return self.logits(views).softmax(1)


def _grey(images: Tensor) -> Tensor:
    """[B, 1, 28, 28] of images [B, 3, 28, 28]."""
    return images.mean(1, keepdim=True)


@cache
def _network(kind: str) -> networks.Inception | networks.Dino | networks.Clip:
    return networks.load(kind)


def _of_class(
    name: str, kind: str, score: Callable[[Tensor], Tensor], differentiable: bool = True
) -> OfClass:
    fingerprint = of_file(networks.path_of(kind))
    return OfClass(name, _network(kind), score, fingerprint, differentiable)


def oracle_is() -> OfClass:
    """The probability of the class under the network in Inception's role."""
    return _of_class(
        "oracle-is", "inception", lambda x: _network("inception").logits(x).softmax(1)
    )


def dino_linear() -> OfClass:
    """The logit of the class by a linear head on the network in DINO's role."""
    return _of_class("dino-linear", "dino", lambda x: _network("dino").logits(x))


def clip_zeroshot() -> OfClass:
    """The cosine of the picture's vector and the class's by the network in CLIP's role."""

    def cosines(pictures: Tensor) -> Tensor:
        network = _network("clip")
        assert isinstance(network, networks.Clip)
        return network.cosines(pictures)

    return _of_class("clip-zeroshot", "clip", cosines)


def checker() -> OfClass:
    """1 where the network in Inception's role finds the class, else 0."""

    def found(pictures: Tensor) -> Tensor:
        logits = _network("inception").logits(pictures)
        return torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).float()

    return _of_class("checker", "inception", found, differentiable=False)


def oracle_fid() -> Distance:
    """Minus the Fréchet distance of one picture to real ones, by inception's features."""
    network = _network("inception")
    prints = digest([of_file(networks.path_of("inception")), of_file(STATISTICS)])[:16]
    return Distance(
        "oracle-fid", lambda views: network.features(_grey(views.images)), (network,), prints,
        stored(STATISTICS), SCALES["oracle-fid"],
    )  # fmt: skip


class FashionSelfSupervised(VerifierSettings):
    """How like the x-prediction at time 0.4 is to the sample, by dino's class token or clip."""

    name: ClassVar[str] = "self-supervised"

    network: Literal["dino", "clip"] = Field(
        default="dino",
        description="whose features; the part is named self-supervised-NETWORK",
    )

    def open(self) -> Similarity:
        of = _network(self.network)

        def see(views: Views) -> Tensor:
            seen = of.features(_grey(views.images))
            # Of dino's two halves, class token and patches' mean, the first, as in the paper.
            return seen.chunk(2, dim=1)[0] if self.network == "dino" else seen

        return Similarity(
            f"{self.name}-{self.network}", see, (of,), of_file(networks.path_of(self.network)),
            SETTLED[self.network],
        )  # fmt: skip
