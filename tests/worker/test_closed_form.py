"""Solvers and renoising against a Gaussian mixture, where everything is known in closed form."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from noisesearch.noise import normals
from noisesearch.process import Linear, Trigonometric
from noisesearch.solvers import DDIM, Euler, Heun, Solver, renoise
from noisesearch.testing import Mixture, MixtureDenoiser
from noisesearch.trajectory import Condition

PLANE = Mixture.of([0.5, 0.3, 0.2], [[2.0, 1.0], [-1.5, 2.0], [0.0, -2.0]], [0.5, 0.8, 0.3])
BROAD = Mixture.of([0.6, 0.4], [[0.8, 0.2], [-0.7, 0.4]], [0.8, 0.9])
PROCESSES = [Linear(), Trigonometric()]


def draw(seed: int, count: int) -> Tensor:
    return torch.from_numpy(normals(seed, (count, 2))).double()


def integrate(
    solver: Solver,
    process: Any,
    mixture: Mixture,
    x: Tensor,
    steps: int,
    start: float = 1.0,
    end: float = 0.0,
) -> Tensor:
    """x at ``start`` taken to ``end`` in equal steps; noise by step where it is needed."""
    denoiser = MixtureDenoiser(mixture, (2,), process, torch.float64)
    encoded = denoiser.encode([Condition()] * len(x))
    grid = torch.linspace(start, end, steps + 1, dtype=torch.float64)
    state = solver.init(x)
    for k in range(steps):
        t0, t1 = grid[k].expand(len(x)), grid[k + 1].expand(len(x))
        noise = draw(1000 + k, len(x)) if solver.stochastic else None
        state = solver.step(lambda at, t: denoiser(at, t, encoded), process, state, t0, t1, noise)
    return state[0]


@cache
def reference(name: str) -> Tensor:
    """The end of the flow from the noises of seed 1."""
    process = next(p for p in PROCESSES if p.name == name)
    return integrate(Heun(), process, BROAD, draw(1, 64), 8192)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
@pytest.mark.parametrize(("solver", "order"), [(Euler(), 1), (Heun(), 2), (DDIM(), 1)],
                         ids=lambda v: getattr(v, "name", v))  # fmt: skip
def test_order(solver: Solver, order: int, process: Any) -> None:
    """The error falls with the step to the power of the order.

    From 32 to 256 steps: before that higher terms are seen, and the finest solution (Heun, 8,192
    steps) is exact to 1e-9 here, far below the smallest error compared.
    """
    x = draw(1, 64)
    exact = reference(process.name)
    counts = [32, 64, 128, 256]
    errors = [(integrate(solver, process, BROAD, x, n) - exact).norm().item() for n in counts]
    slope = stats.linregress([math.log(n) for n in counts], [math.log(e) for e in errors]).slope
    assert -slope == pytest.approx(order, abs=0.15), errors
    assert errors[-1] > 1e-7, "above what the reference is exact to"


def assert_marginal(x: Tensor, mixture: Mixture, bias: float) -> None:
    """Samples [N, 2] are of the mixture, within four standard errors and the solver's bias."""
    count = len(x)
    sigma = mixture.covariance.diagonal().sqrt()
    assert ((x.mean(0) - mixture.mean).abs() < 4 * sigma / math.sqrt(count) + bias).all()
    # A variance's standard error is √((κ−1)/N)·σ², and κ is below 3 for a spread-out mixture.
    widest = sigma.max().item() ** 2
    off = (x.T.cov() - mixture.covariance).abs().max().item()
    assert off < 4 * math.sqrt(2 / count) * widest + bias * widest
    shares = torch.bincount(mixture.component(x), minlength=len(mixture.weights)) / count
    error = 4 * (mixture.weights * (1 - mixture.weights) / count).sqrt()
    assert ((shares - mixture.weights).abs() < error + bias).all(), shares


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
@pytest.mark.parametrize(
    ("solver", "steps", "bias"),
    # What is left of the discretisation at these steps, several times as measured.
    [(Heun(), 100, 0.01), (DDIM(eta=1.0), 400, 0.03), (DDIM(eta=0.5), 400, 0.03)],
    ids=["heun", "ancestral", "half-way"],
)
def test_marginals(solver: Solver, steps: int, bias: float, process: Any) -> None:
    assert_marginal(integrate(solver, process, PLANE, draw(1, 8000), steps), PLANE, bias)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
@pytest.mark.parametrize("top", [0.4, 0.8])
def test_renoising_keeps_the_marginal(top: float, process: Any) -> None:
    """Clean samples diffused up and brought down again, and from a middle time too."""
    at_half = integrate(Heun(), process, PLANE, draw(1, 8000), 60, end=0.2)
    clean = integrate(Heun(), process, PLANE, at_half, 20, start=0.2)
    times = [torch.full((8000,), t, dtype=torch.float64) for t in (0.0, 0.2, top)]
    for x, t0 in ((clean, times[0]), (at_half, times[1])):
        up = renoise(process, x, t0, times[2], draw(2, 8000))
        assert not torch.allclose(up, x, atol=0.1)
        down = integrate(Heun(), process, PLANE, up, 60, start=top)
        assert_marginal(down, PLANE, 0.01)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
def test_renoised_variance_is_that_of_the_time(process: Any) -> None:
    """The sum of both noises has exactly σ(t)², whatever the time it came from."""
    t0, t1 = torch.tensor([0.0, 0.3, 0.6]).double(), torch.tensor([0.5, 0.7, 1.0]).double()
    zero, one = torch.zeros(3, 1).double(), torch.ones(3, 1).double()
    kept = renoise(process, one, t0, t1, zero)[:, 0]
    added = renoise(process, zero, t0, t1, one)[:, 0]
    assert torch.allclose(kept * process.alpha(t0), process.alpha(t1), atol=1e-12)
    whole = (kept * process.sigma(t0)) ** 2 + added**2
    assert torch.allclose(whole, process.sigma(t1) ** 2, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
def test_the_denoiser_is_exact(process: Any) -> None:
    """Against the posterior mean by quadrature on a fine grid of clean points."""
    side = torch.linspace(-6, 6, 601, dtype=torch.float64)
    points = torch.cartesian_prod(side, side)
    prior = sum(
        w / (2 * math.pi * s**2) * torch.exp(-((points - m) ** 2).sum(-1) / (2 * s**2))
        for w, m, s in zip(PLANE.weights, PLANE.means, PLANE.stds, strict=True)
    )
    for x, time in ((torch.tensor([0.5, -0.3]), 0.6), (torch.tensor([1.0, 2.0]), 0.9)):
        t, x = torch.tensor([time]).double(), x.double()
        alpha, sigma = process.alpha(t), process.sigma(t)
        likely = prior * torch.exp(-((x - alpha * points) ** 2).sum(-1) / (2 * sigma**2))
        wanted = (likely[:, None] * points).sum(0) / likely.sum()
        x0, eps = PLANE.posterior(process, x[None], t)
        assert torch.allclose(x0[0], wanted, atol=1e-6)
        assert torch.allclose(alpha * x0 + sigma * eps, x[None], atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
def test_slopes_are_those_of_the_process(process: Any) -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64).requires_grad_()
    for value, slope in (
        (process.alpha, process.alpha_slope),
        (process.sigma, process.sigma_slope),
    ):
        (exact,) = torch.autograd.grad(value(t).sum(), t)
        assert torch.allclose(slope(t.detach()), exact, atol=1e-12)
    ends = torch.tensor([0.0, 1.0]).double()
    assert torch.allclose(process.alpha(ends), torch.tensor([1.0, 0.0]).double(), atol=1e-12)
    assert torch.allclose(process.sigma(ends), torch.tensor([0.0, 1.0]).double(), atol=1e-12)
