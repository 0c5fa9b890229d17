"""The shapes world's verifiers, in the roles of the paper's, and the checker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...candidates.condition import Condition
from ...files.fingerprint import of_file
from ...verifiers.features.self_supervised import Similarity
from ...verifiers.protocol import Views
from . import prompts, scorers

Score = Callable[[Tensor, Tensor], Tensor]
# The deviation of self-supervised among images of one prompt; measured on the default generator
# by `python training/self_supervised.py`.
SETTLED = 0.0066


@dataclass(frozen=True)
class Learned:
    """A small network in the role of a published verifier; NaN where it needs a text."""

    name: str
    network: scorers.ImageText | scorers.Preference | scorers.Taste
    finish: Callable[[Tensor], Tensor]
    scale: Mapping[str, float]
    fingerprint: str
    needs_text: bool = True
    differentiable: bool = True
    rows: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def networks(self) -> tuple[torch.nn.Module, ...]:
        return (self.network,)

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        tokens = tokens_of(views.conditions, views.images.device)
        score = self.finish(self.network.score(views.images, tokens))
        if self.needs_text:
            there = torch.tensor([c.text is not None for c in views.conditions])
            score = score.masked_fill(~there.to(score.device), float("nan"))
        return {self.name: score}

    def features(self, views: Views) -> Tensor:
        """What the network sees [B, d], whatever the prompt."""
        return self.network.features(views.images)


def tokens_of(conditions: Sequence[Condition], device: torch.device) -> Tensor:
    """Token numbers [B, 16]; an unconditional row gets the words for nothing."""
    rows = [prompts.unconditional() if c.text is None else prompts.tokenize(c.text)
            for c in conditions]  # fmt: skip
    return torch.stack([torch.as_tensor(r) for r in rows]).to(device)


def _learned(name: str, file: str, finish: Callable[[Tensor], Tensor], text: bool) -> Learned:
    network = scorers.load(file)
    print_ = of_file(scorers.WEIGHTS / f"{file}.safetensors")
    return Learned(name, network, finish, {name: scorers.SCALES[file]}, print_, text)


def clipscore() -> Learned:
    """2.5·max(cos, 0) of two towers trained by contrast (arXiv 2104.08718)."""
    return _learned("clipscore", "image-text", lambda s: 2.5 * s.clamp_min(0), True)


def imagereward() -> Learned:
    """A prompt-conditional preference learned from pairs (arXiv 2304.05977)."""
    return _learned("imagereward", "preference", lambda s: s, True)


def aesthetic() -> Learned:
    """A rating of looks alone, about 1 to 10."""
    return _learned("aesthetic", "taste", lambda s: s, False)


def self_supervised() -> Similarity:
    """How like the x-prediction at time 0.4 is to the sample, by clipscore's image tower."""
    judge = clipscore()
    return Similarity(
        "self-supervised-clip", judge.features, judge.networks, judge.fingerprint, SETTLED
    )


@dataclass(frozen=True)
class Checker:
    """The exact checker as an oracle verifier: the share of the prompt that is right, 0 to 1."""

    name: str = "checker"
    fingerprint: str = "1"
    differentiable: bool = False
    rows: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        return ("checker",)

    @property
    def scale(self) -> Mapping[str, float]:
        return {"checker": 0.3}

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        from .checker import check

        pictures = (views.images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        # Fillers are copies of the first row, and reading a picture is not cheap.
        known: dict[bytes, float] = {}
        scores = []
        for picture, condition in zip(pictures, views.conditions, strict=True):
            at = picture.tobytes() + condition.key.encode()
            if at not in known:
                text = condition.text
                known[at] = float("nan") if text is None else check(picture, text).score
            scores.append(known[at])
        return {"checker": torch.tensor(scores)}


def checker() -> Checker:
    """Reads colour, shape, number and relation off the image: the ground truth."""
    return Checker()
