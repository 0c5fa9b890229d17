"""Verifiers that answer later: a person, a service over the network, another process."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..candidates.condition import Condition
from .capabilities import paid, previews_of
from .protocol import Verifier, Views


@dataclass(frozen=True)
class CandidatePicture:
    """One candidate to look at: ``picture`` uint8 [H, W, 3] (of a video [F, H, W, 3]), as the file
    holds it. ``key`` names the candidate and is the stem of its file in a run's ``samples``."""

    picture: npt.NDArray[np.uint8]
    condition: Condition
    key: str


@dataclass(frozen=True)
class SlowReply:
    """What came of a look: for each part a number, or in its place the reason why there is none.

    ``spent``: what the look cost, by unit (calls, tokens, usd), every try counted.
    """

    parts: Mapping[str, float | str]
    spent: Mapping[str, float] = field(default_factory=dict)


class SlowVerifier:
    """Base of verifiers that are waited for while the search goes on elsewhere.

    Contract: :meth:`look` gives one verdict for each look, in their order. It is called from up to
    ``lanes`` threads at once, with one look, or where ``group`` is true with all candidates that
    one search asks about in one round. What it raises becomes the reason of all its looks. It may
    take as long as it likes; where the run is stopped nobody waits for it. Of one that is ``paid``
    the run's journal says so before it is asked.
    """

    name: str
    parts: tuple[str, ...]
    fingerprint: str = ""
    differentiable = False
    rows: int | None = None
    lanes: int = 4
    group: bool = False
    paid: bool = False

    @property
    def scale(self) -> Mapping[str, float]:
        return dict.fromkeys(self.parts, 1.0)

    @abstractmethod
    def look(self, looks: Sequence[CandidatePicture]) -> Sequence[SlowReply]:
        """One verdict for each look, in their order."""

    def begin(self, folder: Path, spent: Mapping[str, float]) -> None:
        """Told before a run, or its resume, asks anything: its folder, and what was spent so far
        by unit."""

    def close(self) -> None:
        """The run is over, or stopped."""

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        """Looked at here and now, for whoever has no run."""
        pictures = (views.images * 255).round().to(torch.uint8).movedim(-3, -1).cpu().numpy()
        keys = [*views.keys, *[""] * len(pictures)]
        looks = [
            CandidatePicture(*of) for of in zip(pictures, views.conditions, keys, strict=False)
        ]
        rounds = [looks] if self.group else [[one] for one in looks]
        with ThreadPoolExecutor(self.lanes) as lanes:
            verdicts = [verdict for some in lanes.map(self.look, rounds) for verdict in some]
        return {
            part: torch.tensor([_number(v.parts.get(part)) for v in verdicts], dtype=torch.float64)
            for part in self.parts
        }


def _number(value: float | str | None) -> float:
    return value if isinstance(value, int | float) else float("nan")


def is_slow_or_paid(verifier: Verifier) -> bool:
    """True where each look of a verifier is waited for or paid."""
    return isinstance(verifier, SlowVerifier) or paid(verifier)


def can_score_previews(verifier: Verifier) -> bool:
    """True of a verifier that can look at previews, and at many."""
    return not is_slow_or_paid(verifier) and not previews_of(verifier)
