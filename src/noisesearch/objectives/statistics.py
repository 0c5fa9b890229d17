"""Means with their intervals, and rank correlation."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from .single import mid_ranks

RESAMPLES = 10_000
AT_ONCE = 2**22  # numbers drawn together, so that many values take no memory to speak of


@dataclass(frozen=True)
class Interval:
    """A mean, mostly of differences, and its 95 % interval."""

    delta: float
    low: float
    high: float

    def json(self) -> dict[str, float]:
        return asdict(self)

    def text(self, form: str = "+.3f") -> str:
        return f"{self.delta:{form}} [{self.low:{form}}, {self.high:{form}}]"


def paired(before: npt.ArrayLike, after: npt.ArrayLike, seed: int = 0) -> Interval:
    """Mean of after − before [n] with its percentile bootstrap interval over the pairs."""
    return mean(np.asarray(after, float) - np.asarray(before, float), seed)


def mean(values: npt.ArrayLike, seed: int = 0) -> Interval:
    """Mean of values [n] with its percentile bootstrap interval over them."""
    known = np.asarray(values, float)
    rng = np.random.default_rng(seed)
    some = max(1, AT_ONCE // max(1, len(known)))
    rows = [min(some, RESAMPLES - start) for start in range(0, RESAMPLES, some)]
    means = [known[rng.integers(0, len(known), (n, len(known)))].mean(1) for n in rows]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return Interval(float(known.mean()), float(low), float(high))


def means(values: npt.ArrayLike, seed: int = 0) -> list[Interval]:
    """Of every column of values [n, k] what :func:`mean` says, all from the same draws."""
    known = np.asarray(values, float)
    count = len(known)
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    # How often each row is drawn: their means are then one product.
    places = (drawn + count * np.arange(RESAMPLES)[:, None]).ravel()
    weights = np.bincount(places, minlength=RESAMPLES * count).reshape(RESAMPLES, count)
    lows, highs = np.percentile(weights @ known / count, [2.5, 97.5], axis=0)
    columns = zip(known.mean(0), lows, highs, strict=True)
    return [Interval(*map(float, column)) for column in columns]


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Spearman's, of values [n] each, ties averaged; NaN where all of one are equal or none is."""
    a, b = (mid_ranks(np.asarray(values, float)) for values in (first, second))
    if not len(a):
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else float("nan")
