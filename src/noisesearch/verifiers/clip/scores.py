"""Scores of a picture and a text by CLIP: CLIPScore, PickScore, HPSv2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...candidates.keys import digest
from ...errors import ConfigError
from ..protocol import OnePart, Views
from ..settings import Precision, VerifierSettings
from . import towers
from .files import PATTERNS, SAVED, ClipCheckpoint, checkpoint
from .towers import ImageTower, Picture, Sentences, TextTower

CLIP_L = "openai/clip-vit-large-patch14"
WEIGHTS = "file, folder or hub id of a CLIP, in the names of transformers or open_clip"
TOKENIZER = "folder or hub id of the tokenizer's files, where there are none beside the weights"
VERSIONS = {"2.0": "HPS_v2_compressed", "2.1": "HPS_v2.1_compressed"}  # of HPSv2, as files
DTYPE = "float32, bfloat16 or float16: of the networks; scores are float32"


@dataclass(frozen=True)
class ClipVerifier(OnePart):
    """One number of the cosine between a picture and the sentences of its condition.

    ``sentences``: of a condition, None where it has none, which scores NaN; ``instead``: what to
    do then. ``number``: of the cosines [B]. ``deviation``: see OnePart.
    """

    name: str
    picture: Picture
    sentences: Callable[[Condition], Sentences | None]
    number: Callable[[Tensor], Tensor]
    deviation: float
    instead: str
    image_tower: ImageTower
    text_tower: TextTower
    fingerprint: str
    differentiable: bool = True
    rows: int | None = None

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.image_tower.network, self.text_tower.network)

    def check(self, conditions: Sequence[Condition]) -> None:
        """ConfigError where a condition says nothing that an image could be compared with."""
        for condition in conditions:
            if self.sentences(condition) is None:
                raise ConfigError(
                    f"verifier {self.name!r} compares images with sentences, and has none of the "
                    f"condition {condition}; {self.instead}"
                )

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        seen = self.features(views)
        of = [self.sentences(condition) for condition in views.conditions]
        meant = self.text_tower.vectors(of, seen.device)
        return {self.name: self.number((seen * meant).sum(1))}

    def features(self, views: Views) -> Tensor:
        """CLIP's unit vectors [B, d] of the images."""
        return self.image_tower.features(views, self.picture)


class ClipSettings(VerifierSettings):
    """Base of the settings of CLIP's verifiers."""

    weights: str = Field(default=CLIP_L, description=WEIGHTS)
    tokenizer: str = Field(default=CLIP_L, description=TOKENIZER)
    dtype: Precision = Field(default="float32", description=DTYPE)

    def checkpoint(self, patterns: Sequence[str] = PATTERNS) -> ClipCheckpoint:
        return checkpoint(self.name, self.weights, self.dtype, patterns)

    def verifier(
        self,
        of: ClipCheckpoint,
        picture: Picture,
        sentences: Callable[[Condition], Sentences | None],
        number: Callable[[Tensor], Tensor],
        spread: float,
        instead: str = "use a model of texts, or a verifier of images alone, such as aesthetic",
    ) -> ClipVerifier:
        """The verifier that looks through this checkpoint."""
        images, texts = of.images(), of.texts(self.tokenizer)
        fingerprint = digest(of.fingerprint, texts.tokenizer)[:16]
        return ClipVerifier(
            self.name, picture, sentences, number, spread, instead, images, texts, fingerprint
        )


class ClipScore(ClipSettings):
    """How well a picture fits its text: 2.5 times CLIP's cosine, where positive, else 0."""

    name: ClassVar[str] = "clipscore"

    def open(self) -> ClipVerifier:
        # Not measured here: 0.71 without search and 0.82 as the best of 96 in Table 2 of
        # arXiv 2501.09732 are as far apart as 2.5 standard deviations.
        return self.verifier(self.checkpoint(), towers.cropped, _depicts, clip_score, 0.045)


class PickScore(ClipSettings):
    """Which picture of a text people would pick: CLIP H/14 trained on their choices."""

    name: ClassVar[str] = "pickscore"

    weights: str = Field(default="yuvalkirstain/PickScore_v1", description=WEIGHTS)

    def open(self) -> ClipVerifier:
        of = self.checkpoint()
        temperature = of.temperature
        # Not measured here: in Table 3 of arXiv 2501.09732 the best of 32 by a rank ensemble of
        # three gains 1.0, where alone it would gain 2.1 standard deviations; about two thirds of
        # those are taken for the ensemble.
        return self.verifier(
            of, towers.cropped_by_floor, _text, lambda cosines: cosines * temperature, 0.7
        )


class HPSv2(ClipSettings):
    """How people would like a picture of a text: the cosine of CLIP H/14 trained on rankings."""

    name: ClassVar[str] = "hpsv2"

    weights: str = Field(default="xswu/HPSv2", description=WEIGHTS)
    version: Literal["2.0", "2.1"] = Field(
        default="2.1",
        description="which of the two published, where the weights are a folder or hub id",
    )
    antialias: bool = Field(
        default=True, description="false: as its own code did with torchvision before 0.17"
    )

    def open(self) -> ClipVerifier:
        picture = towers.padded if self.antialias else towers.padded_without_antialias
        of = self.checkpoint((f"{VERSIONS[self.version]}.pt", *SAVED))
        # Not measured here and in no published table: PickScore's, which is a cosine of the same
        # network times 100.
        return self.verifier(of, picture, _text, lambda cosines: cosines, 0.007)


def clip_score(cosines: Tensor) -> Tensor:
    """arXiv 2104.08718, with its w = 2.5."""
    return 2.5 * cosines.clamp_min(0)


def _text(condition: Condition) -> Sentences | None:
    return None if condition.text is None else (condition.text,)


def _depicts(condition: Condition) -> Sentences | None:
    """With the words that CLIPScore puts before a caption."""
    return None if condition.text is None else (f"A photo depicts {condition.text}",)
