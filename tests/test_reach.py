"""Compute to reach a score, on curves whose crossing is known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from reach import COSTS, Curve, Point, crossing, ratios, rows

COUNT = 40


def point(candidates: float, value: np.ndarray, right: float = 1.0) -> Point:
    """All costs are the candidates', whatever their unit."""
    cost = {unit: np.full(len(value), float(candidates)) for unit in COSTS}
    return Point(candidates, value, np.full(len(value), right), cost)


def curve(name: str, gain: float, budgets: tuple[int, ...] = (1, 4, 16, 64)) -> Curve:
    """Values that rise by ``gain`` with each quadrupling, over images of their own difficulty."""
    ease = np.random.default_rng(0).standard_normal(COUNT)
    return Curve(name, [point(b, ease + gain * np.log2(b) / 2) for b in budgets])


def test_a_target_between_two_points_is_found_by_the_logarithm_of_the_cost() -> None:
    costs, values = np.array([[4.0], [16.0]]), np.array([1.0, 2.0])
    assert crossing(costs, values, 1.5) == pytest.approx([8.0])
    assert crossing(costs, values, 2.0) == pytest.approx([16.0])
    assert crossing(costs, values, 0.5) == pytest.approx([4.0]), "below the first nothing is known"
    assert np.isnan(crossing(costs, values, 2.1)).all()


def test_a_curve_that_falls_again_has_reached_it() -> None:
    costs, values = np.array([[4.0], [16.0], [64.0]]), np.array([1.0, 3.0, 2.0])
    assert crossing(costs, values, 2.0) == pytest.approx([8.0])


def test_ratios_are_of_the_reference() -> None:
    random = curve("random", 1.0)
    reference = random.points[-1]
    of_itself = ratios(random, reference)
    assert of_itself["reached"] == 64
    assert all(r["value"] == pytest.approx(1.0) for r in of_itself["ratios"].values())
    # Twice the gain for each quadrupling is there after half as many: 8 of 64.
    quick = ratios(curve("quick", 2.0), reference)
    assert quick["ratios"]["nfe"]["value"] == pytest.approx(1 / 8, abs=1e-4)
    assert quick["reached"] == 16 and quick["checker_delta"]["value"] == 0.0


def test_paired_images_leave_no_uncertainty_where_there_is_none() -> None:
    """It would catch images that are drawn apart for each arm: their ease would count as noise."""
    quick = ratios(curve("quick", 2.0), curve("random", 1.0).points[-1])["ratios"]["nfe"]
    assert quick["high"] - quick["low"] < 1e-3


def test_what_is_not_reached_is_said() -> None:
    slow = ratios(curve("slow", 0.5), curve("random", 1.0).points[-1])
    assert slow["reached"] is None and slow["checker_delta"] is None
    assert slow["ratios"]["nfe"]["value"] is None
    assert slow["share_of_resamples_that_reach"] == 0.0


def test_a_row_a_point() -> None:
    table = rows([curve("a", 1.0), curve("b", 2.0)])
    assert [(row["line"], row["candidates"]) for row in table][:2] == [("a", 1), ("a", 4)]
    assert all(row["value"]["low"] <= row["value"]["value"] <= row["value"]["high"]
               for row in table)  # fmt: skip
