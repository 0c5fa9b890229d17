"""What the arms came to: columns, estimates and their paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import unknown
from ..objectives.sets import Rows
from ..objectives.statistics import Interval
from .set_metrics import METRICS, Figure, ReferenceMoments, Sample

RESAMPLES = 2000
OF_SETS = 200  # of figures that are costly, such as a Fréchet distance


@dataclass(frozen=True)
class Estimate:
    """A figure of a sample, and the same figure of resamples [r].

    ``biased``: those have another mean than the figure, as a Fréchet distance or a recall has of
    rows that are there twice.
    """

    value: float
    draws: Rows
    biased: bool = False

    @property
    def interval(self) -> Interval:
        """95 %, percentiles of the resamples; of biased ones moved to be around the figure."""
        if not np.isfinite(self.draws).any():
            return Interval(self.value, float("nan"), float("nan"))
        shift = self.value - np.nanmean(self.draws) if self.biased else 0.0
        low, high = np.nanpercentile(self.draws, [2.5, 97.5]) + shift
        return Interval(self.value, float(low), float(high))


@dataclass(frozen=True)
class Scored:
    """One arm: numbers for every image [n], in an order that is the same in all arms.

    ``cost``: of one image, by unit. ``sample``: what figures of the whole set are made of.
    """

    name: str
    line: str
    images: int
    cost: Mapping[str, float]
    columns: Mapping[str, Rows] = field(default_factory=dict)
    sample: Sample = field(default_factory=Sample)


@dataclass(frozen=True)
class Estimates:
    """All arms of an experiment; ``sets`` are the figures of whole sets that are wanted."""

    arms: Sequence[Scored]
    sets: Sequence[str] = ()
    reference: ReferenceMoments = field(default_factory=ReferenceMoments)
    seed: int = 0

    @property
    def columns(self) -> list[str]:
        """Columns that every arm has, figures of sets last."""
        first, *others = self.arms
        shared = [c for c in first.columns if all(c in arm.columns for arm in others)]
        return [*shared, *self.sets]

    def arm(self, name: str) -> Scored:
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise unknown("arm", name, [arm.name for arm in self.arms])

    @cached_property
    def _rows(self) -> npt.NDArray[np.intp]:
        """[r, n]: the same images are drawn in every arm, so that differences are paired."""
        size = self.arms[0].images
        return np.random.default_rng(self.seed).integers(0, size, (RESAMPLES, size))

    @cached_property
    def _known(self) -> dict[tuple[str, str], Estimate]:
        return {}

    def estimate(self, name: str, column: str) -> Estimate:
        """A column of an arm."""
        if (name, column) not in self._known:
            self._known[name, column] = self._estimate(self.arm(name), column)
        return self._known[name, column]

    def _estimate(self, arm: Scored, column: str) -> Estimate:
        if column in self.sets:
            figure, draws = METRICS[column](arm.sample, self.reference), self._rows[:OF_SETS]
        elif column in arm.columns:
            figure, draws = _mean(arm.columns[column]), self._rows
        else:
            raise unknown("column", column, self.columns)
        whole = figure(np.arange(arm.images))
        return Estimate(whole, np.array([figure(rows) for rows in draws]), column in self.sets)

    def contrast(self, weights: Mapping[str, float], column: str) -> Estimate:
        """The weighted sum of a column over arms, from the same resamples."""
        found = [(w, self.estimate(name, column)) for name, w in weights.items()]
        return Estimate(
            sum(w * e.value for w, e in found),
            np.sum([w * e.draws for w, e in found], axis=0),
            any(e.biased for _, e in found),
        )

    def json(self) -> list[dict[str, Any]]:
        """A row an arm: costs of an image, figures, and differences to the first arm."""
        rows = []
        for arm in self.arms:
            row: dict[str, Any] = {"arm": arm.name, "line": arm.line, **arm.cost,
                                   "images": arm.images}  # fmt: skip
            for column in self.columns:
                row[column] = _json(self.estimate(arm.name, column).interval)
                if arm is not self.arms[0]:
                    apart = self.contrast({arm.name: 1.0, self.arms[0].name: -1.0}, column)
                    row[f"{column} over first"] = _json(apart.interval)
            rows.append(row)
        return rows


def _mean(values: Rows) -> Figure:
    def figure(rows: npt.NDArray[np.intp]) -> float:
        known = values[rows]
        known = known[np.isfinite(known)]
        return float(known.mean()) if known.size else float("nan")

    return figure


def _json(interval: Interval) -> dict[str, float | None]:
    """With null where there is no number."""
    named = {"value": interval.delta, "low": interval.low, "high": interval.high}
    return {name: value if np.isfinite(value) else None for name, value in named.items()}
