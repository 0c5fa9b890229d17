"""Figures of whole sets: functions of features and class probabilities alone.

``prepared`` once for an arm, then evaluated for any rows of it, which is what a bootstrap needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..set_objectives import Frechet, Rows

Indices = npt.NDArray[np.intp]
Figure = Callable[[Indices], float]  # of the rows [n] of a sample, some of them more than once
NEIGHBOURS = 3  # of which the balls of precision and recall are made (arXiv 1904.06991)


@dataclass(frozen=True)
class Sample:
    """Features [n, d] and class probabilities [n, k] of a set; None where nothing needs them."""

    features: Rows | None = None
    classes: Rows | None = None


@dataclass(frozen=True)
class Reference:
    """What sets are compared with: mean [d] and covariance [d, d] of real images' features, and
    features [m, d] of some."""

    mean: Rows | None = None
    covariance: Rows | None = None
    features: Rows | None = None


def frechet(sample: Sample, to: Reference) -> Figure:
    """The Fréchet distance to the reference (arXiv 1706.08500); smaller is better."""
    assert sample.features is not None and to.mean is not None and to.covariance is not None
    of, distance = sample.features, Frechet("", to.mean, to.covariance)
    return lambda rows: -distance.value(distance.joined(None, of[rows]))


def inception_score(sample: Sample, to: Reference) -> Figure:
    """exp of the mean divergence of p(class | image) from p(class) (arXiv 1606.03498)."""
    assert sample.classes is not None
    sure = sample.classes.clip(1e-12)
    own = (sure * np.log(sure)).sum(1)  # Σ p log p of each image

    def score(rows: Indices) -> float:
        share = sure[rows].mean(0)
        return float(np.exp(own[rows].mean() - (share * np.log(share)).sum()))

    return score


def precision(sample: Sample, to: Reference) -> Figure:
    """The share of the set that lies among real images (arXiv 1904.06991)."""
    assert sample.features is not None and to.features is not None
    among = np.any(_covered(sample.features, to.features), axis=1)
    return lambda rows: float(np.mean(np.take(among, rows)))


def recall(sample: Sample, to: Reference) -> Figure:
    """The share of real images that lie among the set (arXiv 1904.06991)."""
    assert sample.features is not None and to.features is not None
    # The balls are those of the whole set: a resample has some of them, and none that are new.
    inside = _covered(to.features, sample.features)
    return lambda rows: float(inside[:, np.unique(rows)].any(1).mean())


def _covered(points: Rows, centres: Rows) -> npt.NDArray[np.bool_]:
    """[n, m]: which points [n, d] are in which ball around centres [m, d], each as wide as it is
    far to its third neighbour."""
    among = np.sqrt(_squares(centres, centres))
    radius = np.sort(among, axis=1)[:, min(NEIGHBOURS, len(centres) - 1)]
    inside: npt.NDArray[np.bool_] = np.sqrt(_squares(points, centres)) <= radius
    return inside


def _squares(a: Rows, b: Rows) -> Rows:
    both: Rows = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return both.clip(0)


# By name: the figure, and what it needs beside features of the eye.
METRICS: dict[str, Callable[[Sample, Reference], Figure]] = {
    "frechet": frechet,
    "inception-score": inception_score,
    "precision": precision,
    "recall": recall,
}
NEEDS = {
    "frechet": ("eye", "statistics"),
    "inception-score": ("classes",),
    "precision": ("eye", "real"),
    "recall": ("eye", "real"),
}
