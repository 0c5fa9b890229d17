"""The process of a table of betas, and times from one process to another."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Grid, Trajectory
from noisesearch.errors import ConfigError
from noisesearch.sampling.process import (
    Linear,
    Trigonometric,
    VariancePreserving,
    partial,
    renoise,
)
from noisesearch.sampling.solvers import Euler, solver
from noisesearch.testing import Mixture, MixtureDenoiser
from noisesearch.testing.mixture_model import SHAPE, brightness
from noisesearch.testing.solver import drained
from noisesearch.worker.engine import Worker

LINEAR = torch.linspace(1e-4, 0.02, 1000).double()
EARLY = torch.linspace(0.0292, 0.1095, 1000).double() ** 2
COSINE = torch.tensor(
    [
        min(1 - math.cos((i + 1.008) / 1.008e3 * math.pi / 2) ** 2
            / math.cos((i + 0.008) / 1.008e3 * math.pi / 2) ** 2, 0.999)
        for i in range(1000)
    ]
).double()  # fmt: skip


def endless() -> VariancePreserving:
    """A table whose last entry has no signal left."""
    kept = torch.cumprod(1 - EARLY, 0).sqrt()
    return VariancePreserving(((kept - kept[-1]) * kept[0] / (kept[0] - kept[-1])) ** 2)


TABLES = [VariancePreserving.of_betas(b) for b in (LINEAR, EARLY, COSINE)] + [endless()]


@pytest.mark.parametrize("process", TABLES, ids=["linear", "scaled", "cosine", "endless"])
def test_timesteps_have_the_numbers_of_the_table(process: VariancePreserving) -> None:
    """Catches a table that is off by one, and an interpolation that misses its knots."""
    t = torch.arange(1, 1001).double() / 1000
    kept = process.kept
    assert torch.allclose(process.alpha(t), kept.sqrt(), rtol=1e-9, atol=0)
    assert torch.allclose(process.sigma(t), (1 - kept).sqrt(), rtol=0, atol=1e-12)
    zero = torch.zeros(1).double()
    assert process.alpha(zero).item() == 1 and process.sigma(zero).item() == 0
    between = torch.linspace(0, 1, 7919).double()
    assert (process.sigma(between).diff() >= 0).all(), "noise only grows"
    whole = process.alpha(between) ** 2 + process.sigma(between) ** 2
    assert torch.allclose(whole, torch.ones_like(whole), atol=1e-12)


def test_without_a_signal_left_the_end_is_pure_noise() -> None:
    one = torch.ones(1).double()
    assert endless().alpha(one).item() == 0 and endless().sigma(one).item() == 1
    u = torch.tensor([0.5, 1.0]).double()
    assert endless().at(u)[1].item() == 1.0, "the linear interpolant's end is this one's"


@pytest.mark.parametrize("process", TABLES, ids=["linear", "scaled", "cosine", "endless"])
def test_slopes_are_those_of_the_process(process: VariancePreserving) -> None:
    """Between knots, against differences; at a knot, of the interval below."""
    t = torch.tensor([0.0004, 0.1234, 0.5677, 0.9983, 0.9996]).double()
    d = 1e-8
    for value, slope in (
        (process.alpha, process.alpha_slope),
        (process.sigma, process.sigma_slope),
    ):
        numeric = (value(t + d) - value(t - d)) / (2 * d)
        assert torch.allclose(slope(t), numeric, rtol=1e-5, atol=1e-5)
        knot = torch.tensor([0.25, 1.0]).double()
        below = (value(knot) - value(knot - d)) / d
        assert torch.allclose(slope(knot), below, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "process", [*TABLES, Linear(), Trigonometric()], ids=lambda p: getattr(p, "name", "")
)
def test_times_of_equal_noise(process: Any) -> None:
    """σ/α at the time found is that of the linear interpolant, u/(1 − u)."""
    u = torch.linspace(0.001, 0.9, 50).double()
    t = process.at(u)
    assert torch.allclose(process.sigma(t) * (1 - u), process.alpha(t) * u, atol=1e-12)


def test_noise_beyond_the_table_is_its_end() -> None:
    """The linear interpolant begins at pure noise, which no table of betas has."""
    found = TABLES[1].at(torch.tensor([0.94, 0.99, 1.0]).double())
    assert found.tolist() == [1.0, 1.0, 1.0]


def test_partial_grids_of_a_flow_are_uniform_to_the_bit() -> None:
    """A run's times must not move when they are made by way of the linear interpolant."""
    for grid in (Grid(27, 1.0, 0.11), Grid(5, 0.89, 0.08), Grid(3, 0.3)):
        assert partial(Linear(), grid) == grid.uniform()


def test_a_leg_that_would_begin_below_its_end_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"noisiest that this model knows is time 0\.93"):
        partial(TABLES[1], Grid(3, 1.0, 0.95))


@pytest.mark.parametrize("table", [[0.5], [0.5, 0.5], [1.2, 0.1], [0.5, -0.1]])
def test_a_table_that_is_none_is_refused(table: list[float]) -> None:
    with pytest.raises(ConfigError, match="falls from below 1"):
        VariancePreserving(torch.tensor(table))


@pytest.mark.parametrize("unit", [True, False])
def test_the_worker_renoises_to_the_time_of_equal_noise(unit: bool) -> None:
    """Catches a time of the linear interpolant taken for one of the process, in the first leg,
    in a renoising or in a leg after it, and a first noise of the wrong size."""
    process = VariancePreserving.of_betas(EARLY, unit_start=unit)
    denoiser = MixtureDenoiser(Mixture.default(SHAPE), process=process)
    noises = Materialiser(SHAPE)
    worker = Worker(
        denoiser, Euler(), [brightness()], noises, lambda g: partial(process, g), rows=4
    )
    first = Trajectory.begin(Condition(), gaussian(1), 10, end=0.3)
    last = first.denoise().renoise(0.8, 5, 0.0, 4).denoise()
    worker.submit(score(last))
    drained(worker)
    place = worker.cache.get(last.edge, last.level)
    assert place is not None

    encoded = denoiser.encode([Condition()] * 4)
    x, fresh = (torch.tensor(noises(gaussian(s)))[None].repeat(4, 1, 1, 1) for s in (1, 5))
    sigma, alpha = (1 - process.kept[-1]).sqrt().item(), process.kept[-1].sqrt().item()
    x = x if unit else x * sigma
    now = torch.zeros(4)
    for grid in (first.grid, last.grid):
        top = min(grid.start, sigma / (sigma + alpha))
        u = torch.linspace(top, grid.end, grid.steps + 1).double()
        t = process.of_ratio(u / (1 - u))[:, None].expand(-1, 4)
        x = x if grid is first.grid else renoise(process, x, now, t[0], fresh)
        for k in range(grid.steps):
            (x,) = Euler().step(
                lambda at, s: denoiser(at, s, encoded), process, (x,), t[k], t[k + 1], None
            )
        now = t[-1]
    assert torch.allclose(place.state[0], x[:1], atol=1e-5)


@pytest.mark.parametrize("name", ["ddim:0.5", "euler-sde:0.3", "ddim:0"])
def test_a_solver_takes_a_number_after_its_name(name: str) -> None:
    found = solver(name)
    assert found.name == name and found.stochastic == (name != "ddim:0")


@pytest.mark.parametrize(
    ("name", "says"),
    [("ddim:2", "from 0 to 1"), ("ddim:x", "must be a number"), ("ddim:nan", "must be a number"),
     ("heun:1", "heun takes no number"), ("huen", "did you mean 'heun'")],
)  # fmt: skip
def test_a_solver_that_is_none_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        solver(name)
