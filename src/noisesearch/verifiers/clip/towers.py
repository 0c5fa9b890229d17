"""CLIP's two towers: pictures and sentences as unit vectors of one space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..preprocess import CLIP_MEAN, CLIP_STD, clip_picture, longest_side_padded, normalise
from ..protocol import Views

Picture = Callable[[Tensor, int], Tensor]  # (images, side) -> what the image tower looks at
Sentences = tuple[str, ...]


def cropped(images: Tensor, side: int) -> Tensor:
    """As torchvision crops: CLIPScore, the aesthetic predictor, the zero-shot classifier."""
    return clip_picture(images, side)


def cropped_by_floor(images: Tensor, side: int) -> Tensor:
    """As transformers' processor crops: PickScore."""
    return clip_picture(images, side, floor=True)


def padded(images: Tensor, side: int) -> Tensor:
    """The whole picture between black borders: HPSv2."""
    return normalise(longest_side_padded(images, side), CLIP_MEAN, CLIP_STD)


def padded_without_antialias(images: Tensor, side: int) -> Tensor:
    """As HPSv2's own code makes it with torchvision before 0.17."""
    return normalise(longest_side_padded(images, side, antialias=False), CLIP_MEAN, CLIP_STD)


@dataclass(frozen=True)
class ImageTower:
    """``network``: transformers' image tower with its projection. ``key``: which weights these
    are, at which precision. ``side``: of the square pictures that it takes."""

    network: nn.Module
    key: tuple[str, ...]
    side: int

    def features(self, views: Views, picture: Picture) -> Tensor:
        """Unit vectors [B, d] of the images, at least float32; worked out once for all verifiers
        that look through this tower in the same way."""

        def seen() -> Tensor:
            weight = next(self.network.parameters())
            pixels = picture(views.images, self.side)
            return _unit(self.network(pixels.to(weight.dtype)).image_embeds)

        return views.once((*self.key, picture), seen)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class TextTower:
    """``network``: transformers' text tower with its projection. ``tokens``: numbers [N, length]
    of sentences, filled up to one length. ``end``: the number that ends a sentence.
    ``tokenizer``: which tokenizer that is."""

    network: nn.Module
    tokens: Callable[[Sequence[str]], Tensor]
    end: int
    tokenizer: str
    known: dict[Sentences, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def vectors(self, of: Sequence[Sentences | None], device: torch.device) -> Tensor:
        """[B, d]: for each the unit vector of its sentence, of several that of the mean of their
        unit vectors; NaN for None. Each is worked out once and kept."""
        found = {key: self._vector(key) for key in of if key is not None}
        size = self.network.get_parameter("text_projection.weight").shape[0]
        nothing = torch.full((size,), float("nan"))
        rows = [nothing if key is None else found[key] for key in of]
        return torch.stack([row.to(device) for row in rows])

    def _vector(self, sentences: Sentences) -> Tensor:
        if sentences not in self.known:
            # Alone in its call, so that a vector does not depend on the other conditions.
            self.known[sentences] = _unit(self._encoded(sentences).mean(0))
        return self.known[sentences]

    def _encoded(self, sentences: Sentences) -> Tensor:
        """Unit vectors [N, d]."""
        numbers = self.tokens(sentences).to(next(self.network.parameters()).device)
        # Pooled here and not in transformers, which looks for the number that the config names,
        # and silently takes the first place where no sentence holds that.
        last = self.network.text_model(numbers).last_hidden_state  # type: ignore[operator]
        ends = (numbers == self.end).int().argmax(1)
        rows = torch.arange(len(numbers), device=numbers.device)
        return _unit(self.network.text_projection(last[rows, ends]))  # type: ignore[operator]


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=-1)
