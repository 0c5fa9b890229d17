"""Objectives that compare sets of samples: what a population search is led by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..candidates.ask import Reply
from .single import UNMET

Rows = npt.NDArray[np.float64]


class SetObjective(Protocol):
    """How good a set of samples is; larger is better.

    ``features``: the verifier whose features are the rows; None: the rows [n, 1] are the values
    of the run's objective. ``joined`` leaves the state it is given as it was.
    """

    @property
    def features(self) -> str | None: ...

    def empty(self) -> Any:
        """The state of no samples."""
        ...

    def joined(self, state: Any, rows: Rows) -> Any:
        """The state with a batch [b, d] more."""
        ...

    def value(self, state: Any) -> float: ...


@dataclass(frozen=True)
class Moments:
    """Count, mean [d] and scatter Σ(x − μ)(x − μ)ᵀ [d, d] of rows."""

    count: int
    mean: Rows
    scatter: Rows

    @classmethod
    def of(cls, rows: Rows) -> Moments:
        mean = rows.mean(0)
        away = rows - mean
        return cls(len(rows), mean, away.T @ away)

    def merged(self, other: Moments) -> Moments:
        """Of both together, exactly (Chan, Golub, LeVeque 1983)."""
        count = self.count + other.count
        apart = other.mean - self.mean
        share = self.count * other.count / count
        scatter = self.scatter + other.scatter + share * np.outer(apart, apart)
        return Moments(count, self.mean + apart * (other.count / count), scatter)

    @property
    def covariance(self) -> Rows:
        """Unbiased, as the published Fréchet distances have it; zeros for one row."""
        return self.scatter / max(1, self.count - 1)


def frechet_distance(one: Moments, mean: Rows, covariance: Rows) -> float:
    """‖μ − μ_r‖² + tr Σ + tr Σ_r − 2 tr (Σ_r^½ Σ Σ_r^½)^½ (arXiv 1706.08500, eq. 6).

    ``mean`` [d] and ``covariance`` [d, d] of the reference.
    """
    half = root(covariance)
    traces = float(np.trace(one.covariance) + np.trace(covariance))
    both = np.asarray(np.linalg.eigvalsh(half @ one.covariance @ half), np.float64)
    return _distance(one.mean - mean, traces, both)


def root(covariance: Rows) -> Rows:
    """The symmetric root [d, d] of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    half: Rows = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return half


def _distance(apart: Rows, traces: float, both: Rows) -> float:
    """``both``: the eigenvalues of Σ_r^½ Σ Σ_r^½, which are those of the product Σ Σ_r."""
    return float(apart @ apart + traces - 2 * np.sqrt(both.clip(0)).sum())


@dataclass(frozen=True)
class Whitened:
    """Moments of rows, the scatter [d, d] that of the rows times the reference's root.

    ``mean`` [d] and ``trace`` (of the scatter) are of the rows as they are.
    """

    count: int
    mean: Rows
    trace: float
    scatter: Rows

    @property
    def freedom(self) -> int:
        """What a scatter is divided by, as in :class:`Moments`."""
        return max(1, self.count - 1)

    @property
    def covariance(self) -> Rows:
        """Of the rows times the root."""
        return self.scatter / self.freedom


@dataclass(frozen=True)
class Frechet:
    """Minus the Fréchet distance of the set's features to a reference (arXiv 1706.08500, eq. 6).

    With Inception features and ImageNet's statistics this is the paper's oracle FID
    (arXiv 2501.09732, Appendix A.3). ``mean`` [d] and ``covariance`` [d, d] of the reference.

    Sets are compared many times over, so rows are multiplied by the root of the reference once,
    when they come; a batch of b changes the scatter by a matrix of rank b, and a value is one
    symmetric eigenvalue problem.
    """

    features: str
    mean: Rows
    covariance: Rows

    def empty(self) -> Whitened | None:
        return None

    def joined(self, state: Whitened | None, rows: Rows) -> Whitened:
        width = len(self.mean)
        known = state or Whitened(0, np.zeros(width), 0.0, np.zeros((width, width)))
        count = known.count + len(rows)
        centre = rows.mean(0)
        apart = centre - known.mean
        # All that the scatter gains: the batch's own, and that of the two means.
        gain = np.vstack([rows - centre, apart * np.sqrt(known.count * len(rows) / count)])
        white = gain @ self._root
        return Whitened(
            count,
            known.mean + apart * (len(rows) / count),
            known.trace + float((gain * gain).sum()),
            known.scatter + white.T @ white,
        )

    @cached_property
    def _root(self) -> Rows:
        return root(self.covariance)

    def value(self, state: Whitened | None) -> float:
        """Minus the distance, as :func:`frechet_distance` has it; -inf for an empty set."""
        if state is None:
            return -np.inf
        both = np.linalg.eigvalsh(state.scatter) / state.freedom
        traces = state.trace / state.freedom + float(np.trace(self.covariance))
        return -_distance(state.mean - self.mean, traces, both)


@dataclass(frozen=True)
class Spread:
    """Any function of the features [n, d] of a whole set, larger is better."""

    features: str
    function: Callable[[Rows], float]

    def empty(self) -> tuple[Rows, ...]:
        return ()

    def joined(self, state: tuple[Rows, ...], rows: Rows) -> tuple[Rows, ...]:
        return (*state, rows)

    def value(self, state: tuple[Rows, ...]) -> float:
        return float(self.function(np.concatenate(state))) if state else -np.inf


@dataclass(frozen=True)
class Mean:
    """The mean over the set of the run's objective: a set that is no more than its samples.

    The state is (samples with a value, their sum, samples without); each of the latter costs
    UNMET, so that a set is better the fewer it has.
    """

    features: None = None

    def empty(self) -> tuple[int, float, int]:
        return 0, 0.0, 0

    def joined(self, state: tuple[int, float, int], rows: Rows) -> tuple[int, float, int]:
        count, total, lost = state
        known = rows[np.isfinite(rows)]
        lacking = rows.size - known.size
        return count + known.size, total + float(known.sum()), lost + lacking

    def value(self, state: tuple[int, float, int]) -> float:
        count, total, lost = state
        return (total / count if count else 0.0) - UNMET * lost


@dataclass(frozen=True)
class NoOrder:
    """In place of an objective where only sets are compared: no sample is better than another."""

    parts: tuple[str, ...]

    def value(self, reply: Reply) -> float:
        return -np.inf

    def order(self, replies: Sequence[Reply]) -> Rows:
        return np.full(len(replies), -np.inf)
