"""Figures of whole sets by :mod:`noisesearch.evaluation`, of any rows of a set.

Prepared once for an arm, then worked out for every resample of a bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..objectives.sets import Frechet, Rows

if TYPE_CHECKING:
    from ..evaluation.neighbours import Points

Indices = npt.NDArray[np.intp]
Figure = Callable[[Indices], float]  # of the rows [n] of a sample, some of them more than once


@dataclass(frozen=True)
class Sample:
    """Features [n, d] and class probabilities [n, k] of a set; None where nothing needs them."""

    features: Rows | None = None
    classes: Rows | None = None


@dataclass(frozen=True)
class ReferenceMoments:
    """What sets are compared with: mean [d] and covariance [d, d] of real images' features, and
    features [m, d] of some."""

    mean: Rows | None = None
    covariance: Rows | None = None
    features: Rows | None = None


def frechet(sample: Sample, to: ReferenceMoments) -> Figure:
    """The Fréchet distance to the reference (arXiv 1706.08500); smaller is better."""
    assert sample.features is not None and to.mean is not None and to.covariance is not None
    of, distance = sample.features, Frechet("", to.mean, to.covariance)
    return lambda rows: -distance.value(distance.joined(None, of[rows]))


def inception_score(sample: Sample, to: ReferenceMoments) -> Figure:
    """Of all rows together, in no splits (arXiv 1606.03498)."""
    from ..evaluation.scores import ClassProbabilities

    assert sample.classes is not None
    return ClassProbabilities.of(sample.classes).score


def precision(sample: Sample, to: ReferenceMoments) -> Figure:
    """The share of the set that lies among real images (arXiv 1904.06991)."""
    from ..evaluation.neighbours import Lying

    among = Lying.of(*_points(sample, to)).any()
    return lambda rows: float(among[rows].mean())


def recall(sample: Sample, to: ReferenceMoments) -> Figure:
    """The share of real images that lie among the set (arXiv 1904.06991)."""
    from ..evaluation.neighbours import Lying

    generated, real = _points(sample, to)
    # The balls are those of the whole set: a resample has some of them, and none that are new.
    inside = Lying.of(real, generated)
    return lambda rows: float(inside.any(rows).mean())


def _points(sample: Sample, to: ReferenceMoments) -> tuple[Points, Points]:
    """The set and the real images."""
    from ..evaluation.neighbours import Points

    assert sample.features is not None and to.features is not None
    real = Points.of(to.features)
    return Points.of(sample.features, like=real), real


# By name: the figure, and what it needs beside features of the eye.
METRICS: dict[str, Callable[[Sample, ReferenceMoments], Figure]] = {
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
