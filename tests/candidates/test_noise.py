"""Noise recipes: golden numbers, exact neighbours, normality, graphs without recursion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import (
    Materialiser,
    Noise,
    blob,
    gaussian,
    mix,
    neighbour,
    normals,
)
from noisesearch.candidates.trajectory import Graph, Trajectory, nodes
from noisesearch.errors import ConfigError

SHAPES = [(2,), (3, 32, 32), (16, 7, 5), (1, 1, 4096)]

GOLDEN = {
    (0, (2, 3), 0): [-2.7457597, -1.6854463, -0.3615508, -1.1762252, -0.025201818, 2.0635097],
    (0, (2, 3), 1): [-0.6391787, -0.21007822, -0.12889352, 0.06803057, -0.7264186, 0.8828506],
    (18446744073709551615, (3, 32, 32), 0): [
        -1.524932,
        0.796184,
        -1.2325789,
        -0.55863136,
        -1.4371275,
        -0.73391384,
    ],
    (12345, (5,), 0): [0.5025681, 0.3797004, 0.28873324, 0.78750247, 0.6062203],
}


def cosine(a: Any, b: Any) -> float:
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def norm(a: Any) -> float:
    return float(np.sqrt((a.astype(float) ** 2).sum()))


@pytest.mark.parametrize(("seed", "shape", "purpose"), GOLDEN)
def test_golden_numbers(seed: int, shape: tuple[int, ...], purpose: int) -> None:
    """These numbers are a promise: a journal of today must give the same pictures tomorrow."""
    drawn = normals(seed, shape, purpose)
    assert drawn.shape == shape and drawn.dtype == np.float32
    assert drawn.ravel()[:6].tobytes() == np.float32(GOLDEN[seed, shape, purpose]).tobytes()


def test_golden_keys() -> None:
    """Keys are a promise too: a journal finds its replies by them."""
    near = neighbour(gaussian(7), 8, 0.95)
    whole = Trajectory.begin(Condition(text="a red circle"), near, 16).denoise()
    assert near.key == "c683282233942130821835e219d39fca"
    assert whole.key == "e594cd042d3971f98e0f926bc5f33bdb"
    assert whole.renoise(0.5, 3, 0.0, 4).denoise(seed=2).key == "420e784061ee5c813a5fa18e889c4a5f"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wanted", [0.95, 0.5, 0.0, -0.3])
def test_neighbours_are_exact(shape: tuple[int, ...], wanted: float) -> None:
    """λ is the cosine and the norm is kept. Catches λ taken as a distance, and n + e scaled."""
    make = Materialiser(shape)
    pivot = gaussian(1)
    for seed in range(5):
        n, y = make(pivot), make(neighbour(pivot, seed, wanted))
        # 1e-6 is the promise; float32 rounding of numbers of order one is a tenth of it.
        assert math.isclose(cosine(n, y), wanted, abs_tol=1e-6)
        assert math.isclose(norm(y) / norm(n), 1.0, abs_tol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_are_exact_after_500_rounds(shape: tuple[int, ...]) -> None:
    """Catches a norm that drifts with the rounds, by less than one of them shows."""
    make = Materialiser(shape)
    chain = [gaussian(1)]
    for seed in range(500):
        chain.append(neighbour(chain[-1], seed, 0.95))
    last, before, first = make(chain[-1]), make(chain[-2]), make(chain[0])
    assert math.isclose(cosine(before, last), 0.95, abs_tol=1e-6)
    assert math.isclose(norm(last) / norm(before), 1.0, abs_tol=1e-6)
    # Rounding to float32 at every round moves the norm like a walk of 500 steps of 1e-7/√D·√D.
    assert math.isclose(norm(last) / norm(first), 1.0, abs_tol=5e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.floats(-1, 1))
def test_neighbours_are_exact_for_any_seed(pivot: int, seed: int, wanted: float) -> None:
    """Catches a direction that is the pivot itself where the two have the same seed."""
    make = Materialiser((4, 3))
    n, y = make(gaussian(pivot)), make(neighbour(gaussian(pivot), seed, wanted))
    assert math.isclose(cosine(n, y), wanted, abs_tol=1e-6)
    assert math.isclose(norm(y) / norm(n), 1.0, abs_tol=1e-6)


def test_normals_are_normal() -> None:
    """Catches uniforms used twice in a pair, tails cut off, and seeds whose streams overlap."""
    drawn = normals(3, (200_000,)).astype(float)
    # Fixed seed: the p-value is a constant; below 1e-3 it would say that something is wrong.
    assert stats.kstest(drawn, "norm").pvalue > 1e-3
    pairs = drawn.reshape(2, -1)
    assert abs(np.corrcoef(pairs)[0, 1]) < 4 / math.sqrt(100_000), "the two of a pair"
    across = np.array([normals(seed, (16,)) for seed in range(5000)], float)
    assert stats.kstest(across.ravel(), "norm").pvalue > 1e-3, "consecutive seeds"
    assert np.abs(np.corrcoef(across.T) - np.eye(16)).max() < 5 / math.sqrt(5000)
    following = np.corrcoef(across[:-1].T, across[1:].T)[:16, 16:]
    assert np.abs(following).max() < 5 / math.sqrt(5000), "a seed and the next"


def test_neighbours_stay_normal() -> None:
    """Catches a direction of numbers that are not around 0."""
    make = Materialiser((64, 64))
    near = make(neighbour(gaussian(1), 2, 0.9)).ravel().astype(float)
    assert stats.kstest(near, "norm").pvalue > 1e-3


def test_purposes_and_seeds_differ() -> None:
    drawn = [normals(s, (8,), p) for s in (0, 1, 2**64 - 1) for p in (0, 1)]
    assert len({d.tobytes() for d in drawn}) == 6


def test_mix_has_unit_variance() -> None:
    """Catches a sum over the weights' sum, or over their number, for the root of their squares."""
    make = Materialiser((100, 100))
    for weights in ([1.0, 1.0], [3.0, -1.0, 0.5], [0.0, 2.0]):
        mixed = make(mix([gaussian(i) for i in range(len(weights))], weights))
        # 10,000 numbers: the standard error of the variance is √2/100.
        assert math.isclose(float(mixed.var()), 1.0, abs_tol=4 * math.sqrt(2) / 100)
    one = make(mix([gaussian(5)], [2.0]))
    assert one.tobytes() == make(gaussian(5)).tobytes()


def test_a_long_chain_needs_no_recursion() -> None:
    chain = gaussian(0)
    for seed in range(3000):
        chain = neighbour(chain, seed, 0.99)
    assert Materialiser((2,))(chain).shape == (2,)
    graph = Graph()
    start = Trajectory.begin(Condition(), chain, 2)
    for node in nodes(start, set()):
        graph.add(node.key, node.line())
    assert graph.trajectory(start.key) == start


def test_memory_does_not_change_numbers() -> None:
    chain = [gaussian(0)]
    for seed in range(40):
        chain.append(neighbour(chain[-1], seed, 0.9))
    small, large = Materialiser((8,), capacity=2), Materialiser((8,))
    for noise in [*chain, *chain[::-3], chain[7]]:
        assert small(noise).tobytes() == large(noise).tobytes()


def test_results_are_read_only() -> None:
    drawn = Materialiser((2,))(gaussian(1))
    with pytest.raises(ValueError, match="read-only"):
        drawn[0] = 0


def test_blobs_come_from_the_run() -> None:
    stored = np.float32([1, 2])
    make = Materialiser((2,), fetch={"k": stored}.__getitem__)
    assert cosine(make(neighbour(blob("k"), 1, 0.5)), stored) == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(ConfigError, match="no blobs"):
        Materialiser((2,))(blob("k"))
    with pytest.raises(ConfigError, match="shape"):
        Materialiser((3,), fetch={"k": stored}.__getitem__)(blob("k"))


def test_bad_recipes_are_refused() -> None:
    with pytest.raises(ConfigError, match="between -1 and 1"):
        neighbour(gaussian(1), 2, 1.5)
    with pytest.raises(ConfigError, match="one weight for each"):
        mix([gaussian(1)], [1.0, 2.0])
    with pytest.raises(ConfigError, match="not all zero"):
        mix([gaussian(1)], [0.0])
    with pytest.raises(ConfigError, match="at least two numbers"):
        Materialiser((1,))(neighbour(gaussian(1), 2, 0.5))
    with pytest.raises(ConfigError, match="unknown operation"):
        Materialiser((2,))(Noise("magic"))


def recipe() -> list[tuple[str, dict[str, Any]]]:
    noise = mix([neighbour(gaussian(1), 2, 0.95), gaussian(3), blob("b")], [1.0, 2.0, 0.5])
    whole = (
        Trajectory.begin(Condition(text="x", negative="y"), noise, 6)
        .denoise(3, seed=4)
        .renoise(0.75, 5, 0.25, 3)
        .denoise()
        .renoise(0.5, 6, 0.0, 2)
        .denoise(seed=2**63)
    )
    return [(n.key, n.line()) for n in nodes(whole, set())]


def test_graph_round_trip() -> None:
    import json

    graph = Graph()
    for key, line in recipe():
        graph.add(key, json.loads(json.dumps(line)))
    assert [(k, n.line()) for k, n in graph.nodes.items()] == recipe()


@pytest.mark.parametrize("number", range(11))
def test_tampered_lines_are_refused(number: int) -> None:
    """Any value of any line: changed, missing, or of another kind."""
    lines = recipe()
    assert len(lines) == 11
    key, line = lines[number]
    before = Graph()
    for k, v in lines[:number]:
        before.add(k, v)
    for name, value in line.items():
        others = [None, "other", [], -1, 10**6, lines[0][0], [lines[0][0]], {"text": "z"}]
        # No level at all is the end of the grid, and that is the same recipe.
        for other in [o for o in others if o != value and (name, o) != ("to", None)]:
            with pytest.raises(ConfigError):
                before.add(key, {**line, name: other})
        with pytest.raises(ConfigError):
            before.add(key, {k: v for k, v in line.items() if k != name})
    before.add(key, line)


def test_a_start_needs_a_noise() -> None:
    graph = Graph()
    for key, line in recipe():
        graph.add(key, line)
    start = next(line for _, line in recipe() if line["op"] == "begin")
    with pytest.raises(ConfigError, match="not a noise"):
        graph.add("0" * 32, {**start, "noise": recipe()[-1][0]})
