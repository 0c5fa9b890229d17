"""Inception Score and kernel distance of features that are there, as published code has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, xlogy

from .moments import Features

SEED = 2020  # of the published code's shuffles and subsets
SPLITS = 10
SUBSETS, SUBSET = 100, 1000


class SplitEstimate(NamedTuple):
    """Mean and population standard deviation over splits or subsets."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> SplitEstimate:
        return cls(float(np.mean(values)), float(np.std(values)))


def singular(images: int, features: int) -> str | None:
    """What to say of a Fréchet distance of too few images; None where there are enough."""
    if images > features:
        return None
    return (
        f"a Fréchet distance of {images} images by {features} features is not to be trusted, "
        f"since their covariance is singular; {features + 1} images would be enough"
    )


@dataclass(frozen=True)
class ClassProbabilities:
    """What a classifier says of images: probabilities [n, classes], and Σ p log p of each [n]."""

    probabilities: npt.NDArray[np.float64]
    certainty: npt.NDArray[np.float64]

    @classmethod
    def of(cls, probabilities: npt.NDArray[np.float64]) -> ClassProbabilities:
        return cls(probabilities, xlogy(probabilities, probabilities).sum(1))

    def score(self, rows: npt.NDArray[np.intp] | slice = slice(None)) -> float:
        """exp of the mean KL(p(y|x) ‖ p(y)) over some of the rows (arXiv 1606.03498)."""
        share = self.probabilities[rows].mean(0)
        return float(np.exp(self.certainty[rows].mean() - xlogy(share, share).sum()))


def inception_score(
    logits: Features, splits: int = SPLITS, seed: int | None = SEED
) -> SplitEstimate:
    """The score of each split of the rows (:meth:`Classes.score`).

    ``logits`` [n, classes]; without a ``seed`` the rows are not shuffled.
    """
    count = len(logits)
    order = np.arange(count) if seed is None else np.random.RandomState(seed).permutation(count)
    scores = []
    for i in range(splits):
        some = order[i * count // splits : (i + 1) * count // splits]
        logs = log_softmax(logits[some].astype(np.float64), axis=1)
        sure = np.exp(logs)
        scores.append(ClassProbabilities(sure, (sure * logs).sum(1)).score())
    return SplitEstimate.of(scores)


def kernel_distance(
    one: Features,
    other: Features,
    subsets: int = SUBSETS,
    size: int = SUBSET,
    seed: int = SEED,
) -> SplitEstimate:
    """Unbiased squared MMD by the kernel (x·y / d + 1)³ (arXiv 1801.01401); may be below 0.

    ``one`` [n, d] and ``other`` [m, d], from which ``subsets`` of ``size`` rows each are drawn.
    """
    draw = np.random.RandomState(seed)

    def drawn(rows: Features) -> npt.NDArray[np.float64]:
        return rows[draw.choice(len(rows), size, replace=False)].astype(np.float64)

    values = []
    for _ in range(subsets):
        x, y = drawn(one), drawn(other)
        within = sum(_others(_kernel(rows, rows)) for rows in (x, y))
        values.append(within / (size * (size - 1)) - 2 * float(_kernel(x, y).mean()))
    return SplitEstimate.of(values)


def _kernel(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = x @ y.T
    values /= x.shape[1]
    values += 1
    return values * values * values


def _others(kernel: npt.NDArray[np.float64]) -> float:
    """The sum over pairs of two different rows."""
    return float(kernel.sum() - np.trace(kernel))
