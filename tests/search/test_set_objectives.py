"""The objectives that compare sets, and the moments that they are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

from noisesearch.objectives.sets import Frechet, Mean, Moments, frechet_distance


def normal(count: int, size: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)


def test_moments_join_as_if_they_were_one() -> None:
    """Catches a merge that forgets the distance of the means."""
    rows = normal(57, 5, 0)
    state = None
    for start, end in ((0, 1), (1, 20), (20, 57)):
        state = Frechet("", np.zeros(5), np.eye(5)).joined(state, rows[start:end])
    assert state is not None and state.count == 57
    assert np.allclose(state.mean, rows.mean(0), rtol=1e-12)
    assert np.allclose(state.covariance, np.cov(rows.T), rtol=1e-12)


def test_frechet_is_that_of_its_formula() -> None:
    """Catches a root of the wrong product, and a covariance over n in place of n − 1."""
    one, other = normal(40, 6, 1), normal(90, 6, 2)
    reference = Moments.of(other)
    distance = Frechet("", reference.mean, reference.covariance)
    a, b = np.cov(one.T), np.cov(other.T)
    apart = one.mean(0) - other.mean(0)
    wanted = apart @ apart + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert -distance.value(distance.joined(None, one)) == pytest.approx(wanted, rel=1e-9)
    assert distance.value(distance.joined(None, other)) == pytest.approx(0, abs=1e-8)


def test_the_running_distance_is_the_naive_one_of_every_staged_set() -> None:
    """With few samples too, whose covariance is singular, as is the reference's here.

    Catches a batch's mean that is left out of what the scatter gains.
    """
    real = normal(60, 12, 3)
    real[:, 4] = real[:, 5]
    reference = Moments.of(real)
    distance = Frechet("", reference.mean, reference.covariance)
    rows, state = normal(100, 12, 4), None
    for start, end in ((0, 3), (3, 4), (4, 11), (11, 40), (40, 100)):
        state = distance.joined(state, rows[start:end])
        staged = np.cov(rows[:end].T)
        apart = rows[:end].mean(0) - reference.mean
        both = sqrtm(staged @ reference.covariance).real
        wanted = apart @ apart + np.trace(staged + reference.covariance - 2 * both)
        assert -distance.value(state) == pytest.approx(wanted, rel=1e-6)
        assert frechet_distance(
            Moments.of(rows[:end]), reference.mean, reference.covariance
        ) == pytest.approx(wanted, rel=1e-6)


def test_frechet_agrees_with_the_published_code(reference_path: Callable[[str], Path]) -> None:
    """Catches covariances over n, which another reading of the formula would agree with."""
    from safetensors.numpy import load_file

    features = load_file(reference_path("generative_metrics_features.safetensors"))
    wanted = json.loads(reference_path("generative_metrics_expected.json").read_text())
    first, second = (
        features[f"features_{name}"].astype(np.float64) for name in ("1_generated", "2_real")
    )
    reference = Moments.of(second)
    distance = Frechet("", reference.mean, reference.covariance)
    found = -distance.value(distance.joined(None, first))
    assert found == pytest.approx(wanted["float64"]["fid"], rel=1e-10)


def test_a_missing_value_costs_more_than_any_value_gains() -> None:
    """Catches one −inf that makes all later choices equal."""
    mean = Mean()
    known = mean.joined(mean.empty(), np.array([[1.0], [3.0]]))
    lost = mean.joined(known, np.array([[-np.inf], [500.0]]))
    assert mean.value(known) == 2.0
    assert mean.value(lost) < mean.value(mean.joined(known, np.array([[-9.0], [-9.0]])))
    worse = mean.joined(lost, np.array([[-np.inf]]))
    assert mean.value(worse) < mean.value(lost)
