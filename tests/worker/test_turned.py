"""Injected noise that is a neighbour of another: its recipe, and what a step adds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian, normals
from noisesearch.candidates.trajectory import Denoise, Graph, Grid, Trajectory, nodes
from noisesearch.sampling.solvers import solver
from noisesearch.testing import Mixture, MixtureDenoiser
from noisesearch.testing.mixture_model import SHAPE
from noisesearch.worker.engine import Worker
from noisesearch.worker.jobs import injected

START = Trajectory.begin(Condition(text="any"), gaussian(7), 12)
TURNS = ((11, 0.9), (12, 0.8))


def added(move: Denoise, level: int, size: int = 64) -> np.ndarray:
    return injected(torch.zeros(1, size).double(), {0: (move, level)})[0].numpy()


def test_recipes_without_turns_keep_their_keys() -> None:
    """Those of runs there are. Catches an empty list of turns that enters a key."""
    early = START.denoise(5, 3)
    assert early.key == "5117b0f739260ecc90d7d68d1fdfd2a9"
    assert early.edge == "7ea75c56a5b113a08fc27e70fdab8ad6"
    assert early.denoise(9, 4).key == "2984f9c2f28e4f876090a8ced2f4d13f"
    assert "turns" not in early.line()


def test_turned_recipes_are_written_and_read() -> None:
    """Catches turns that are lost on the way to the journal, by a merge or at other steps."""
    turned = START.denoise(5, 3, TURNS)
    keys = {START.denoise(5, 3).key, turned.key, START.denoise(5, 3, TURNS[:1]).key,
            START.denoise(5, 3, TURNS[::-1]).key}  # fmt: skip
    assert len(keys) == 4
    assert turned.denoise(9, 3, TURNS) == START.denoise(9, 3, TURNS), "one move"
    assert turned.denoise(9, 3).moves == (Denoise(5, 3, TURNS), Denoise(9, 3)), "two moves"
    graph = Graph()
    for node in nodes(turned.denoise(9, 4), set()):
        graph.add(node.key, node.line())
    assert graph.trajectory(turned.denoise(9, 4).key).moves == turned.denoise(9, 4).moves
    assert turned.denoise(9, 4).at(24).moves == (Denoise(10, 3, TURNS), Denoise(18, 4))


@pytest.mark.parametrize("level", [0, 3])
def test_a_neighbour_has_the_norm_and_the_cosine(level: int) -> None:
    """However often it is turned. Catches noise whose variance grows with every round, as in the
    published code, and turns that are the same at every step."""
    before, rounds = added(Denoise(5, 3), level), ()
    for turn in range(20):
        rounds = (*rounds, (100 + turn, 0.9))
        after = added(Denoise(5, 3, rounds), level)
        norms = np.linalg.norm(before), np.linalg.norm(after)
        assert np.isclose(*norms, rtol=1e-5)
        assert np.isclose(before @ after / norms[0] / norms[1], 0.9, atol=1e-5)
        before = after
    directions = [added(Denoise(5, 3, ((9, 0.1),)), at) for at in (1, 2)]
    assert abs(np.corrcoef(*directions)[0, 1]) < 0.5


def test_turned_noise_is_unit_normal() -> None:
    """2,000 turned draws of eight numbers: mean 0, variances 1, no correlations.

    Standard errors: 1/√N of a mean and a correlation, √(2/N) of a variance, at four of them.
    """
    drawn = np.stack([added(Denoise(5, s, ((s + 10**6, 0.5), (s + 10**7, 0.5))), 2, 8)
                      for s in range(2000)])  # fmt: skip
    assert (np.abs(drawn.mean(0)) < 4 / np.sqrt(2000)).all()
    assert (np.abs(np.cov(drawn.T) - np.eye(8)) < 4 * np.sqrt(2 / 2000)).all()


def test_the_worker_adds_what_the_move_says() -> None:
    """A step of DDIM's with η = 1 adds s·z, so two samples differ by s times their noises'."""
    denoiser = MixtureDenoiser(Mixture.default(SHAPE), dtype=torch.float64)
    worker = Worker(denoiser, solver("ddim-ancestral"), [], Materialiser(SHAPE), Grid.uniform,
                    rows=4)  # fmt: skip
    ways = [START.denoise(1, 3), START.denoise(1, 3, TURNS)]
    for way in ways:
        worker.submit(score(way))
    while worker.wait():
        pass
    states = [place.state[0] for way in ways if (place := worker.cache.get(way.edge, 1))]
    z = [added(Denoise(1, 3, turns), 0, normals(0, SHAPE).size) for turns in ((), TURNS)]
    # From t = 1 all of the noise at t₁ = 11/12 is fresh.
    wanted = torch.from_numpy(11 / 12 * (z[1] - z[0])).reshape(SHAPE)
    assert torch.allclose((states[1] - states[0])[0].double(), wanted, atol=1e-5)
