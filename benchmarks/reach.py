"""What it takes to reach a score: curves of winners over what their searches cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
RESAMPLES = 2000
COSTS = ("nfe", "flops", "forwards", "looks", "seconds")  # looks: samples that verifiers saw


@dataclass(frozen=True)
class Point:
    """One algorithm under one budget: a number for every image, in an order that all share.

    ``value``: the objective's of the winner. ``right``: 1 where the checker finds all of it right.
    ``cost``: by unit, of one image each; ``nfe`` is FLOPs in NFEs of the full model.
    """

    candidates: float
    value: Rows
    right: Rows
    cost: Mapping[str, Rows]


@dataclass(frozen=True)
class Curve:
    """One algorithm under growing budgets."""

    name: str
    points: Sequence[Point]
    preset: Mapping[str, Any] = field(default_factory=dict)

    def means(self, rows: npt.NDArray[np.intp] | slice = slice(None)) -> tuple[Rows, Rows]:
        """(cost [points, units], value [points]), means over some images."""
        costs = [[point.cost[unit][rows].mean() for unit in COSTS] for point in self.points]
        return np.array(costs), np.array([point.value[rows].mean() for point in self.points])


def crossing(costs: Rows, values: Rows, target: float) -> Rows:
    """The cost [units] at which a curve of values first reaches a target, between two points by
    the logarithm of the cost; NaN where it does not get there.

    Points are in the order of their budgets, and a curve need not rise; before the first point
    nothing is known, so that one is the least that can be said.
    """
    over = np.flatnonzero(values >= target)
    if not over.size:
        return np.full(costs.shape[1], np.nan)
    at = int(over[0])
    if at == 0:
        return np.asarray(costs[0], float)
    share = (target - values[at - 1]) / (values[at] - values[at - 1])
    between: Rows = np.exp((1 - share) * np.log(costs[at - 1]) + share * np.log(costs[at]))
    return between


def ratios(curve: Curve, reference: Point, seed: int = 0) -> dict[str, Any]:
    """What a curve needs to reach the reference's mean value, over what the reference took.

    ``reached``: the smallest budget measured whose mean value is there; ``right``: the checker's
    share there less the reference's. Intervals are percentiles over images drawn again, in all
    arms the same.
    """
    count = len(reference.value)
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    spent = np.array([reference.cost[unit].mean() for unit in COSTS])
    costs, values = curve.means()
    target = float(reference.value.mean())
    found = crossing(costs, values, target) / spent
    again = []
    for rows in drawn:
        of = np.array([reference.cost[unit][rows].mean() for unit in COSTS])
        c, v = curve.means(rows)
        again.append(crossing(c, v, float(reference.value[rows].mean())) / of)
    resampled = np.array(again)
    over = np.flatnonzero(values >= target)
    reached = curve.points[int(over[0])] if over.size else None
    return {
        "reached": None if reached is None else reached.candidates,
        "ratios": {unit: _interval(found[i], resampled[:, i]) for i, unit in enumerate(COSTS)},
        "share_of_resamples_that_reach": round(float(np.isfinite(resampled[:, 0]).mean()), 3),
        "checker_delta": reached and _paired(reached.right, reference.right, drawn),
    }  # fmt: skip


def _interval(value: float, draws: Rows) -> dict[str, float | None]:
    """An end that most resamples do not have is open: null."""
    bad = np.where(np.isfinite(draws), draws, np.inf)
    low, high = np.percentile(bad, [2.5, 97.5], method="nearest")
    return {"value": _number(value), "low": _number(low), "high": _number(high)}


def _paired(now: Rows, before: Rows, drawn: npt.NDArray[np.intp]) -> dict[str, float | None]:
    apart = now - before
    low, high = np.percentile(apart[drawn].mean(1), [2.5, 97.5])
    return {"value": _number(float(apart.mean())), "low": _number(low), "high": _number(high)}


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def rows(curves: Sequence[Curve], seed: int = 0) -> list[dict[str, Any]]:
    """A row a point for tables and plots: costs, value and checker with their intervals."""
    found = []
    for curve in curves:
        for point in curve.points:
            count = len(point.value)
            drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
            zero = np.zeros(count)
            found.append({
                "line": curve.name, "candidates": point.candidates,
                **{unit: float(point.cost[unit].mean()) for unit in COSTS},
                "value": _paired(point.value, zero, drawn),
                "right": _paired(point.right, zero, drawn),
            })  # fmt: skip
    return found
