"""Pictures through the networks that the scores need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...errors import ConfigError
from ...files.pictures import Picture
from ...verifiers.clip.scores import ClipSettings, ClipVerifier
from ...verifiers.clip.towers import Sentences, cropped
from ...verifiers.protocol import Views
from ...verifiers.vqa.answers import Answerer
from ...verifiers.vqa.vqascore import VqaScore
from ..protocol import ImageSet

ROWS = 8  # pictures of every batch; always as many, so that a figure does not depend on the others

Rows = tuple[list[int], Views]
Row = TypeVar("Row")


@cache
def blip_vqa(weights: str) -> Answerer:
    """BLIP-VQA, as it was published for T2I-CompBench."""
    try:
        return VqaScore.model_validate({"weights": weights}).open().answerer
    except ConfigError as error:
        raise ConfigError(f"{error} (of a metric: its setting blip=/path/to/folder)") from error


class Cosine(ClipSettings):
    """CLIP's cosine of a picture and its text, as CLIPScore_eval/CLIP_similarity.py has it."""

    name: ClassVar[str] = "compbench-clip"

    def open(self) -> ClipVerifier:
        return self.verifier(self.checkpoint(), cropped, _text, lambda cosine: cosine, 1.0)

    @classmethod
    @cache
    def opened(cls, weights: str) -> ClipVerifier:
        try:
            return cls(weights=weights).open()
        except ConfigError as error:
            raise ConfigError(
                f"{error} (of a metric: its setting clip=/path/to/folder)"
            ) from error


def _text(condition: Condition) -> Sentences | None:
    return None if condition.text is None else (condition.text,)


def batches(images: ImageSet, texts: Sequence[str], device: str) -> Iterator[Rows]:
    """(which pictures, views of them), in order; all of a batch are of one size, and the views
    are filled up with copies of the first to :data:`ROWS`."""
    rows, pictures = list[int](), list[Picture]()
    for i in range(len(texts)):
        picture = images.picture(i)
        if rows and (len(rows) == ROWS or picture.shape != pictures[0].shape):
            yield rows, _views(pictures, [texts[k] for k in rows], device)
            rows, pictures = [], []
        rows.append(i)
        pictures.append(picture)
    if rows:
        yield rows, _views(pictures, [texts[k] for k in rows], device)


def _views(pictures: Sequence[Picture], texts: Sequence[str], device: str) -> Views:
    stacked = torch.from_numpy(np.stack(_filled(pictures))).movedim(-1, 1).to(device) / 255
    return Views(stacked, [Condition(text=text) for text in _filled(texts)])


def _filled(of: Sequence[Row]) -> list[Row]:
    return [*of, *list(of[:1]) * (ROWS - len(of))]


def probabilities(
    answerer: Answerer, images: ImageSet, questions: Sequence[Sequence[str]], device: str
) -> list[list[float]]:
    """For each picture those of yes against no to its own questions."""
    _moved(answerer.networks, device)
    found: list[list[float]] = [[] for _ in questions]
    for batch, views in batches(images, ["" for _ in questions], device):
        # A picture is looked at once, and asked one question after the other.
        for k in range(max(len(questions[i]) for i in batch)):
            asked = [questions[i][k] if k < len(questions[i]) else "" for i in batch]
            with torch.inference_mode():
                logs = answerer(views, _filled(asked))
            yes = (logs[:, 0] - logs[:, 1]).sigmoid().tolist()
            for i, probability in zip(batch, yes, strict=False):
                if k < len(questions[i]):
                    found[i].append(probability)
    return found


def scored(
    verifier: ClipVerifier, images: ImageSet, texts: Sequence[str], device: str
) -> list[float]:
    """The verifier's number for each picture and its text."""
    _moved(verifier.networks, device)
    found: list[float] = []
    for batch, views in batches(images, texts, device):
        with torch.inference_mode():
            part: Tensor = verifier(views)[verifier.name]
        found += part[: len(batch)].tolist()
    return found


def _moved(networks: Sequence[nn.Module], device: str) -> None:
    for network in networks:
        network.to(device)
