"""The oracles of arXiv 2501.09732, Appendix A.4: what ImageNet's own measures say of a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...candidates.keys import digest
from ...errors import ConfigError
from ...files.fingerprint import of_file
from ...objectives.sets import Rows
from ...objectives.sets_text import stored
from ..protocol import OnePart, Views
from ..settings import Precision, VerifierSettings
from .classes import check_classes, of_class
from .inception import Inception, given, inception, outputs, seen

MAP = "*label_map*.pbtxt"


@dataclass(frozen=True)
class ClassProbability(OnePart):
    """How sure Inception is of the class; see :class:`OracleIS`, its settings.

    ``outputs``: which of the network's outputs stands for each class.
    """

    network: Inception
    outputs: tuple[int, ...]
    fingerprint: str
    name: str = "oracle-is"
    differentiable: bool = True
    rows: int | None = None

    # Not measured with published weights: the deviation of a number that is anywhere in [0, 1].
    # That of the world fashion's is 0.17.
    deviation = 0.29

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.network,)

    def check(self, conditions: Sequence[Condition]) -> None:
        check_classes(self.name, len(self.outputs), conditions)

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        return {self.name: of_class(self.classes(views), views.conditions)}

    def classes(self, views: Views) -> Tensor:
        """The probability of every class [B, k], among all that the network knows."""
        return self.logits(views).softmax(1)[:, list(self.outputs)]

    def features(self, views: Views) -> Tensor:
        return seen(self.network, views)

    def logits(self, views: Views) -> Tensor:
        """[B, 1008], as published Inception Scores have them."""
        features = self.features(views).to(self.network.fc.weight.dtype)
        return self.network.logits(features).float()


class OracleIS(VerifierSettings):
    """The probability of the class under InceptionV3, which the Inception Score is made of."""

    name: ClassVar[str] = "oracle-is"

    weights: str = Field(
        default="",
        description="file or folder of the Inception network of 2015-12-05 in PyTorch's names "
        "(pt_inception-2015-12-05-6726825d.pth); it has to be given",
    )
    classes: str = Field(
        default="",
        description="which output stands for which class: the network's own label map (.pbtxt), "
        "or a text file of numbers; by default the label map beside the weights",
    )
    dtype: Precision = Field(default="float32", description="of the network's weights")

    def open(self) -> ClassProbability:
        of = given(self.name, self.weights)
        found = [Path(self.classes).expanduser()] if self.classes else sorted(of.folder.glob(MAP))
        if not found:
            raise ConfigError(
                f"verifier {self.name!r} needs classes=FILE, since the network's 1008 outputs are "
                "not in ImageNet's order; give imagenet_2012_challenge_label_map_proto.pbtxt of "
                "inception-2015-12-05.tgz (download.tensorflow.org/models/image/imagenet), or put "
                "it beside the weights"
            )
        to = outputs(found[0])
        print_ = digest([of.fingerprint, of_file(found[0]), self.dtype])[:16]
        return ClassProbability(inception(of, self.dtype), to, print_)


@dataclass(frozen=True, eq=False)  # arrays are not compared
class Distance:
    """Minus the Fréchet distance of one image to real ones, -(|x - μ|² + tr Σ) of its features x.

    One image has no spread, so the distance of a set is what counts: the objective
    ``frechet(NAME)``, which takes ``reference``, the mean μ [d] and covariance Σ [d, d] of real
    images, from here. Without it there are features alone. ``deviation``: of the score among
    candidates of one prompt.
    """

    name: str
    look: Callable[[Views], Tensor]
    networks: tuple[nn.Module, ...]
    fingerprint: str
    reference: tuple[Rows, Rows] | None = None
    deviation: float = 1.0
    differentiable: bool = True
    rows: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        return () if self.reference is None else (self.name,)

    @property
    def scale(self) -> Mapping[str, float]:
        return dict.fromkeys(self.parts, self.deviation)

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        if self.reference is None:
            return {}
        mean, covariance = self.reference
        x = self.look(views)
        apart = x - torch.from_numpy(mean).to(x)
        return {self.name: -(apart.square().sum(1) + float(np.trace(covariance)))}

    def features(self, views: Views) -> Tensor:
        return self.look(views)


def among_real(covariance: Rows) -> float:
    """The deviation of |x - μ|² among real images, if their features were normal: (2 tr Σ²)^½.

    An upper estimate of that among candidates of one prompt, which is not measured with published
    weights; on the world fashion it is 8.3, and the measured one 2.6.
    """
    return float(np.sqrt(2 * (covariance**2).sum()))


class OracleFID(VerifierSettings):
    """The features whose Fréchet distance is the FID; of one image, minus its distance alone."""

    name: ClassVar[str] = "oracle-fid"

    weights: str = Field(
        default="",
        description="file or folder of the Inception network of 2015-12-05 in PyTorch's names "
        "(pt_inception-2015-12-05-6726825d.pth); it has to be given",
    )
    reference: str = Field(
        default="",
        description=".npz file with the arrays mu [2048] and sigma [2048, 2048] of real images' "
        "features; without it there are features, but no score of a single image",
    )
    dtype: Precision = Field(default="float32", description="of the network's weights")

    def open(self) -> Distance:
        of = given(self.name, self.weights)
        network = inception(of, self.dtype)
        path = Path(self.reference).expanduser() if self.reference else None
        reference = stored(path) if path else None
        width = network.fc.in_features
        if reference is not None and len(reference[0]) != width:
            raise ConfigError(
                f"reference {path} is of {len(reference[0])} features, but verifier "
                f"{self.name!r} sees {width}; give statistics of Inception's pool3 features"
            )
        print_ = digest([of.fingerprint, of_file(path) if path else "", self.dtype])[:16]
        return Distance(
            self.name, lambda views: seen(network, views), (network,), print_, reference,
            1.0 if reference is None else among_real(reference[1]),
        )  # fmt: skip
