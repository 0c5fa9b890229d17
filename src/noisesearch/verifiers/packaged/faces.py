"""How many faces an image shows, against how many it should show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor

from ...candidates.condition import Condition
from ...errors import ConfigError
from ...files.tensors import tensors
from ..protocol import Views
from ..settings import VerifierSettings
from ..weights import Files, filled, shared
from .mtcnn import MTCNN
from .weights import packaged

NAME = "faces"
NETWORKS = ("pnet", "rnet", "onet")
INSTALL = "pip install --no-deps facenet-pytorch"  # its pins are of old versions of torch
SURE = 0.95  # faces in photographs have 0.99 and more, the engine of a motorcycle 0.93
PROMPT, ANY = "prompt", "any"

NUMBERS = {"a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5,
           "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}  # fmt: skip
PERSONS = {"person": "people", "man": "men", "woman": "women", "boy": "boys", "girl": "girls",
           "child": "children", "baby": "babies", "lady": "ladies", "gentleman": "gentlemen",
           "guy": "guys", "kid": "kids"}  # fmt: skip
FACES = {"face": "faces", "portrait": "portraits"}
_NUMBER = rf"{'|'.join(NUMBERS)}|\d+"
_BETWEEN = r"(?:(?!(?:and|or|of|with|by|in|on|at|near|beside|behind|the)\b)[\w-]+\s+){0,3}?"


class Faces(VerifierSettings):
    """How near the number of faces in an image is to the number asked for, by MTCNN (2 MB)."""

    name: ClassVar[str] = NAME

    weights: str = Field(default="", description="folder; default the package's")
    count: str = Field(
        default=PROMPT, description="a number, prompt: what its words say, any: score the number"
    )
    sure: float = Field(default=SURE, gt=0, lt=1, description="least probability of a face")
    smallest: int = Field(default=20, ge=12, description="side of a face in pixels")

    @field_validator("count", mode="before")
    @classmethod
    def _known(cls, given: object) -> str:
        if str(given) in (PROMPT, ANY) or str(given).isdigit():
            return str(given)
        raise ValueError(f"count is {given!r}, but must be a number, {PROMPT} or {ANY}")

    def open(self) -> FacesVerifier:
        files = [f"{network}.pt" for network in NETWORKS]
        of = packaged(NAME, self.weights, "facenet_pytorch/data", files, INSTALL)
        key = (NAME, of.fingerprint, str(self.smallest))
        network = shared(key, lambda: _loaded(of, self.smallest))
        return FacesVerifier(network, of.fingerprint, self.count, self.sure)


@dataclass(frozen=True)
class FacesVerifier:
    """0 where as many faces are seen as asked for, -1 where it is one more or less, and so on;
    NaN where the prompt asks for no number. With ``count`` any: the number itself."""

    network: MTCNN
    fingerprint: str
    count: str = PROMPT
    sure: float = SURE
    name: str = NAME
    parts: tuple[str, ...] = (NAME,)
    # Not measured on samples of a generator: one face.
    scale: Mapping[str, float] = field(default_factory=lambda: {NAME: 1.0})
    differentiable: bool = False
    rows: int | None = 1  # how many boxes are looked at depends on the image alone

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        return (self.network,)

    def check(self, conditions: Sequence[Condition]) -> None:
        """ConfigError where the number is the prompt's and a prompt says none."""
        for condition in conditions:
            if self.count == PROMPT and asked_for(condition.text) is None:
                raise ConfigError(
                    f"verifier {NAME!r} compares the faces in an image with the persons that its "
                    f"prompt counts, and {str(condition)!r} says none; say it, as in 'two men', "
                    f"or give it: {NAME}(count=2), or {NAME}(count={ANY}) for constraints"
                )

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        found = torch.tensor([self._number(image) for image in views.images])
        if self.count == ANY:
            return {NAME: found}
        asked = [asked_for(c.text) if self.count == PROMPT else int(self.count)
                 for c in views.conditions]  # fmt: skip
        wanted = torch.tensor([float("nan") if a is None else a for a in asked])
        return {NAME: -(found - wanted).abs()}

    def _number(self, image: Tensor) -> float:
        _, sure = self.network(image.float())
        return float((sure >= self.sure).sum())


def asked_for(text: str | None) -> int | None:
    """How many persons a prompt speaks of, or where it speaks of none, faces and portraits; None
    where it says no number: "two men and a girl" are 3, "people" are not counted."""
    for nouns in (PERSONS, FACES):
        plural = {many: one for one, many in nouns.items()}
        words = "|".join([*nouns, *plural])
        pattern = rf"\b(?:({_NUMBER})\s+{_BETWEEN})?({words})\b"
        found = re.findall(pattern, (text or "").lower())
        if found:
            counts = [_counted(number, noun in plural) for number, noun in found]
            return None if None in counts else sum(c or 0 for c in counts)
    return None


def _counted(number: str, plural: bool) -> int | None:
    if not number:
        return None if plural else 1
    return int(number) if number.isdigit() else NUMBERS[number]


def _loaded(of: Files, smallest: int) -> MTCNN:
    state = {
        f"{path.stem}.{name}": value
        for path in of.weights
        for name, value in tensors(path, of.instead).items()
    }
    return filled(MTCNN(smallest), state, of)
