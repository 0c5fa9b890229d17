"""Intervals of paired differences."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """A mean difference and its 95 % interval."""

    delta: float
    low: float
    high: float

    def json(self) -> dict[str, float]:
        return asdict(self)

    def text(self, form: str = "+.3f") -> str:
        return f"{self.delta:{form}} [{self.low:{form}}, {self.high:{form}}]"


def paired(before: npt.ArrayLike, after: npt.ArrayLike, seed: int = 0) -> Interval:
    """Mean of after − before [n] with its percentile bootstrap interval over the pairs."""
    difference = np.asarray(after, float) - np.asarray(before, float)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(difference), (RESAMPLES, len(difference)))
    low, high = np.percentile(difference[drawn].mean(1), [2.5, 97.5])
    return Interval(float(difference.mean()), float(low), float(high))
