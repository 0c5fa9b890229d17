"""The metrics of feature sets against published code's numbers and their formulas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from noisesearch.evaluation.moments import BLOCK, Accumulator
from noisesearch.evaluation.neighbours import Lying, Neighbourhoods, Points, mean_distance
from noisesearch.evaluation.scores import inception_score, kernel_distance
from noisesearch.objectives.sets import Moments, frechet_distance


@pytest.fixture
def published(reference_path: Callable[[str], Path]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        reference_path("generative_metrics_expected.json").read_text()
    )
    return found


@pytest.fixture
def features(fixture_of: Callable[[str], dict[str, Tensor]]) -> dict[str, Any]:
    tensors = fixture_of("generative_metrics_features")
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


def test_frechet_distances_are_the_published_ones(
    features: dict[str, Any], published: dict[str, Any]
) -> None:
    """Catches a covariance over n; the two published codes differ by 1e-7 where it is singular."""

    def distance(one: Any, other: Any) -> float:
        real = Moments.of(other)
        return frechet_distance(Moments.of(one), real.mean, real.covariance)

    one, other = features["features_1_generated"], features["features_2_real"]
    wanted = published["float64"]
    assert distance(one, other) == pytest.approx(wanted["fid"], rel=1e-10)
    assert distance(other, one) == pytest.approx(wanted["fid_swapped"], rel=1e-10)
    assert distance(one[:500], one[500:]) == pytest.approx(wanted["fid_self_halves_1"], rel=1e-10)
    small = distance(features["small_1_generated"], features["small_2_real"])
    assert small == pytest.approx(wanted["fid_rank_deficient_small"], rel=1e-6)


SCORES = [(10, 2020), (7, 2020), (1, 2020), (10, 0), (10, None)]


@pytest.mark.parametrize(("splits", "seed"), SCORES)
def test_inception_scores_are_the_published_ones(
    splits: int, seed: int | None, features: dict[str, Any], published: dict[str, Any]
) -> None:
    """Catches an order of the shuffle, and a deviation over n − 1."""
    given = {**({} if seed is None or splits == 1 else {"rng_seed": seed}),
             "shuffle": seed is not None, "splits": splits}  # fmt: skip
    wanted = published["float64"][f"isc {json.dumps(given)}"]
    score = inception_score(features["logits"], splits, seed)
    assert score.mean == pytest.approx(wanted["inception_score_mean"], rel=1e-12)
    assert score.deviation == pytest.approx(wanted["inception_score_std"], rel=1e-10, abs=1e-14)


KERNELS = [(500, 100, 2020), (100, 50, 2020), (800, 1, 2020), (300, 20, 0)]


@pytest.mark.parametrize(("size", "subsets", "seed"), KERNELS)
def test_kernel_distances_are_the_published_ones(
    size: int, subsets: int, seed: int, features: dict[str, Any], published: dict[str, Any]
) -> None:
    """Catches a diagonal that is counted in, and subsets that are drawn in another order."""
    given = {"kid_subset_size": size, "kid_subsets": subsets,
             **({} if seed == 2020 else {"rng_seed": seed})}  # fmt: skip
    wanted = published["float64"][f"kid {json.dumps(given)}"]
    one, other = features["features_1_generated"], features["features_2_real"]
    found = kernel_distance(one, other, subsets, size, seed)
    assert found.mean == pytest.approx(wanted["kernel_inception_distance_mean"], rel=1e-10)
    assert found.deviation == pytest.approx(
        wanted["kernel_inception_distance_std"], rel=1e-9, abs=1e-14
    )


@pytest.mark.parametrize("nearest", [1, 3, 5, 10])
def test_precision_and_recall_are_the_published_ones(
    nearest: int, features: dict[str, Any], published: dict[str, Any], monkeypatch: Any
) -> None:
    """In tiles that do not divide the sets; the published numbers are rounded to float32.

    Catches the two exchanged, a row counted among its neighbours, and a tile left out.
    """
    monkeypatch.setattr("noisesearch.evaluation.neighbours.TILE", 129)
    real = Points.of(features["features_2_real"])
    generated = Points.of(features["features_1_generated"], like=real)
    wanted = published["float64"][f"prc k={nearest} save_cpu_ram=False"]
    found = Neighbourhoods.of(generated, real, nearest)
    assert found.precision == pytest.approx(wanted["precision"], abs=1e-7)
    assert found.recall == pytest.approx(wanted["recall"], abs=1e-7)


def test_precision_and_recall_of_few_images(
    features: dict[str, Any], published: dict[str, Any]
) -> None:
    """Fewer than there are features."""
    real = Points.of(features["small_2_real"])
    found = Neighbourhoods.of(Points.of(features["small_1_generated"], like=real), real)
    wanted = published["float64"]["prc k=3 small"]
    assert found.precision == wanted["precision"]
    assert found.recall == pytest.approx(wanted["recall"], abs=1e-7)


def test_density_and_coverage_are_those_of_their_formulas(features: dict[str, Any]) -> None:
    """Catches k of precision taken for k of density, and generated balls for real ones."""
    one, other = features["features_1_generated"][:300], features["features_2_real"][:200]
    apart = np.linalg.norm(other[:, None] - one[None], axis=2)  # real by generated
    within = np.linalg.norm(other[:, None] - other[None], axis=2)
    ball = np.sort(within, 1)[:, 5, None]
    real = Points.of(other)
    found = Neighbourhoods.of(Points.of(one, like=real), real)
    assert found.density == pytest.approx((apart < ball).sum(0).mean() / 5, rel=1e-12)
    assert found.coverage == pytest.approx((apart < ball).any(1).mean(), rel=1e-12)
    assert found.density != pytest.approx(found.coverage, rel=1e-3)


def test_images_that_are_there_twice_are_no_way_apart() -> None:
    """Far from 0, where squared distances are differences of large numbers.

    Catches rounding that puts a copy outside a ball of radius 0.
    """
    rows = np.random.default_rng(0).normal(1e4, 1, (50, 64)).astype(np.float32)
    real = Points.of(np.repeat(rows, 5, axis=0))
    assert real.radii(4).max() == 0 and real.radii(5)[:, -1].min() > 1
    assert Neighbourhoods.of(Points.of(rows[:9], like=real), real).precision == 1.0


def test_balls_of_some_are_those_of_the_whole(features: dict[str, Any], monkeypatch: Any) -> None:
    """Catches bits that a tile writes over another's, and balls that a choice of them moves."""
    monkeypatch.setattr("noisesearch.evaluation.neighbours.TILE", 16)
    real = Points.of(features["features_2_real"][:150])
    generated = Points.of(features["features_1_generated"][:75], like=real)
    whole = Neighbourhoods.of(generated, real)
    among, inside = Lying.of(generated, real), Lying.of(real, generated)
    assert 0 < whole.precision < 1 and 0 < whole.recall < 1
    assert among.any().mean() == whole.precision
    assert inside.any().mean() == whole.recall
    left, right = inside.any(slice(0, 30)), inside.any(np.arange(30, 75))
    assert (left | right == inside.any()).all() and left.sum() < inside.any().sum()


def test_a_lone_image_has_no_ball_but_itself() -> None:
    one = Points.of(np.array([[1.0, 2.0]]))
    there = Points.of(np.array([[1.0, 2.0], [1.0, 2.5]]), like=one)
    assert Lying.of(there, one).any().tolist() == [True, False]


def test_diversity_is_the_mean_distance_of_pairs(monkeypatch: Any) -> None:
    """Catches a row paired with itself, and tiles that are counted once in place of twice."""
    monkeypatch.setattr("noisesearch.evaluation.neighbours.TILE", 8)
    rows = np.random.default_rng(1).normal(size=(21, 5))
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    wanted = apart[np.triu_indices(21, 1)].mean()
    assert mean_distance(Points.of(rows)) == pytest.approx(wanted, rel=1e-12)


def in_batches(rows: Any, size: int) -> Moments:
    found = Accumulator()
    for start in range(0, len(rows), size):
        found.add(rows[start : start + size])
    return found.moments


def test_moments_do_not_depend_on_the_batches() -> None:
    """To the bit in one pass, to 1e-10 over processes; far from 0, where one-pass sums of squares
    lose all their digits."""
    rows = np.random.default_rng(2).normal(1e5, 1, (2 * BLOCK + 300, 6))
    whole = in_batches(rows, len(rows))
    assert np.allclose(whole.covariance, np.cov(rows.T), rtol=1e-10)
    for size in (1, 7, BLOCK, BLOCK + 1):
        found = in_batches(rows, size)
        assert found.count == whole.count
        assert (found.mean == whole.mean).all() and (found.scatter == whole.scatter).all()
    apart = in_batches(rows[:500], 64).merged(in_batches(rows[500:], 64))
    assert np.allclose(apart.mean, whole.mean, rtol=1e-10)
    assert np.allclose(apart.scatter, whole.scatter, rtol=1e-10, atol=1e-10 * whole.scatter.max())
    with pytest.raises(ValueError, match="no rows"):
        _ = Accumulator().moments
