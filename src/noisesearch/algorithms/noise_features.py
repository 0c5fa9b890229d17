"""A small regression from a noise to its score, which knows how little it knows.

Ridge regression (Hoerl and Kennard 1970) on the noise's low frequencies, by the cosine transform;
these are unit normals, so one strength of the ridge serves every noise. Values are compared within
a condition alone: what a prompt is worth is no property of its noises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..candidates.spectrum import ring, turned
from ..objectives.statistics import rank_correlation

Rows = npt.NDArray[np.float64]
FOLDS = 5


def features(noise: npt.NDArray[np.float32], share: float) -> Rows:
    """The coefficients [d] of a noise below a share of the highest frequency."""
    found: Rows = turned(noise.astype(np.float64))[ring(noise.shape, 0.0, share)]
    return found


@dataclass(frozen=True)
class Examples:
    """Features [n, d] of noises that were scored, their values [n], and whose they are [n]."""

    features: Rows
    values: Rows
    of: Sequence[str]

    def __len__(self) -> int:
        return len(self.values)

    def joined(self, other: Examples) -> Examples:
        return Examples(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.values, other.values]),
            [*self.of, *other.of],
        )

    @property
    def usable(self) -> Examples:
        """Those with a finite value."""
        rows = np.flatnonzero(np.isfinite(self.values))
        return self.rows(rows)

    def rows(self, rows: npt.NDArray[np.intp]) -> Examples:
        return Examples(self.features[rows], self.values[rows], [self.of[i] for i in rows])

    @property
    def centred(self) -> Rows:
        """Values less the mean, over the deviation, of their own condition [n]."""
        found = np.zeros(len(self))
        for name in set(self.of):
            mine = [i for i, of in enumerate(self.of) if of == name]
            apart = self.values[mine] - self.values[mine].mean()
            found[mine] = apart / (apart.std() or 1.0)
        return found


def fit(examples: Examples) -> Rows:
    """Weights [d]; the ridge is as strong as one observation of all features."""
    x, y = examples.features, examples.centred
    count, width = x.shape
    # In the smaller of the two spaces: as many unknowns as examples, or as features.
    if count < width:
        weights: Rows = x.T @ np.linalg.solve(x @ x.T + width * np.eye(count), y)
    else:
        weights = np.linalg.solve(x.T @ x + width * np.eye(width), x.T @ y)
    return weights


def unseen(examples: Examples) -> float:
    """Spearman's rank correlation of predictions and values, on noises that no prediction was
    fitted on (five folds); NaN where there are too few to say."""
    if len(examples) < 2 * FOLDS:
        return float("nan")
    said = np.zeros(len(examples))
    fold = np.arange(len(examples)) % FOLDS
    for k in range(FOLDS):
        others, mine = (np.flatnonzero(at) for at in (fold != k, fold == k))
        said[mine] = examples.features[mine] @ fit(examples.rows(others))
    return rank_correlation(said, examples.centred)
