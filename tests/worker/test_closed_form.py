"""Solvers and renoising against a Gaussian mixture, where everything is known in closed form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from marginals import PLANE, assert_marginal, assert_moments
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import normals
from noisesearch.names.registry import TABLES
from noisesearch.sampling.process import Linear, Trigonometric
from noisesearch.sampling.solvers import DDIM, Euler, Heun, Solver, renoise
from noisesearch.sampling.solvers import solver as solver_of
from noisesearch.testing import Mixture, MixtureDenoiser

BROAD = Mixture.of([0.6, 0.4], [[0.8, 0.2], [-0.7, 0.4]], [0.8, 0.9])
PROCESSES = [Linear(), Trigonometric()]


def draw(seed: int, count: int) -> Tensor:
    return torch.from_numpy(normals(seed, (count, 2))).double()


def path(
    solver: Solver,
    process: Any,
    mixture: Mixture,
    x: Tensor,
    steps: int,
    start: float = 1.0,
    end: float = 0.0,
) -> Iterator[Tensor]:
    """x at ``start`` and after each equal step to ``end``; noise by step where it is needed."""
    denoiser = MixtureDenoiser(mixture, (2,), process, torch.float64)
    encoded = denoiser.encode([Condition()] * len(x))
    grid = torch.linspace(start, end, steps + 1, dtype=torch.float64)
    state = solver.init(x)
    yield state[0]
    for k in range(steps):
        t0, t1 = grid[k].expand(len(x)), grid[k + 1].expand(len(x))
        noise = draw(1000 + k, len(x)) if solver.stochastic else None
        state = solver.step(lambda at, t: denoiser(at, t, encoded), process, state, t0, t1, noise)
        yield state[0]


def integrate(*args: Any, **keywords: Any) -> Tensor:
    """The end of a :func:`path`."""
    *_, last = path(*args, **keywords)
    return last


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

    Catches a stage at the wrong time or state, and a step that is right for one process only.
    """
    x = draw(1, 64)
    exact = reference(process.name)
    counts = [32, 64, 128, 256]
    errors = [(integrate(solver, process, BROAD, x, n) - exact).norm().item() for n in counts]
    slope = stats.linregress([math.log(n) for n in counts], [math.log(e) for e in errors]).slope
    assert -slope == pytest.approx(order, abs=0.15), errors
    assert errors[-1] > 1e-7, "above what the reference is exact to"


def diffused(mixture: Mixture, process: Any, time: float) -> Mixture:
    """The law of α·x0 + σ·ε at a time."""
    t = torch.tensor(time, dtype=torch.float64)
    alpha, sigma = process.alpha(t), process.sigma(t)
    stds = ((alpha * mixture.stds) ** 2 + sigma**2).sqrt()
    return Mixture(mixture.weights, alpha * mixture.means, stds)


def assert_law(x: Tensor, mixture: Mixture, bias: float) -> None:
    """Mean, covariance and three projections of samples [N, 2] are those of the mixture."""
    assert_moments(x, mixture, bias)
    # Kolmogorov's distance exceeds √(ln(2/p)/2N) with probability p at most; p = 6e-5 is 4σ.
    furthest = math.sqrt(math.log(2 / 6e-5) / (2 * len(x))) + bias / 3
    for along in torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]).double():
        middles = mixture.means @ along

        def below(values: Any, middles: Tensor = middles) -> Any:
            each = stats.norm.cdf((values[:, None] - middles.numpy()) / mixture.stds.numpy())
            return each @ mixture.weights.numpy()

        assert stats.kstest((x @ along).numpy(), below).statistic < furthest


# Every solver there is, and DDIM between its ends.
FORMS: dict[str, Solver] = {
    **{name: solver_of(name) for name in TABLES["solver"]},
    "half-way": DDIM(eta=0.5, name="half-way"),
}


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
@pytest.mark.parametrize("solver", FORMS.values(), ids=FORMS)
def test_marginals(solver: Solver, process: Any) -> None:
    """ODE and SDE have one law at every time: x_t is α·x0 + σ·ε, a mixture again.

    Compared are means, covariances and, by Kolmogorov's distance, three projections, at times
    3/4, 1/2, 1/4 and 0, and there the components' shares and widths too. The bounds are four
    standard errors and what the discretisation leaves at these steps: with 100,000 samples no
    mean is off by more than 0.006 for an ODE and 0.013 for an SDE, and no width by 0.022.

    Catches noise that is added without what the step must take away for it, and an SDE that is
    right at the end alone.
    """
    steps, bias = 400 // solver.price() ** 2, 0.03 if solver.stochastic else 0.01
    for k, x in enumerate(path(solver, process, PLANE, draw(1, 8000), steps)):
        if k in (steps // 4, steps // 2, 3 * steps // 4, steps):
            assert_law(x, diffused(PLANE, process, 1 - k / steps), bias)
    assert_marginal(x, PLANE, bias)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
@pytest.mark.parametrize("solver", FORMS.values(), ids=FORMS)
def test_variances_of_one_gaussian(solver: Solver, process: Any) -> None:
    """On N(m, s²) each step is affine, x → a·x + b + c·z, so its moments are known without chance.

    The variance goes v → a²v + c², and must come to α²s² + σ² at every time: its largest error
    over all levels halves with the step, or falls to a quarter under Heun, and the mean's too.
    Catches an error of one part in a hundred in what an SDE adds or takes away, which samples
    cannot show.
    """
    one = Mixture.of([1.0], [[1.5]], [0.7])
    denoiser = MixtureDenoiser(one, (1,), process, torch.float64)
    encoded = denoiser.encode([Condition()] * 3)
    worst = []
    for steps in (128, 256, 512):
        grid = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        mean, variance, off = 0.0, 1.0, 0.0
        for t0, t1 in itertools.pairwise(grid):
            # Rows: the mean, one above it, and the mean with a unit of noise.
            x = torch.tensor([[mean], [mean + 1], [mean]], dtype=torch.float64)
            z = torch.tensor([[0.0], [0.0], [1.0]]).double() if solver.stochastic else None
            after, *_ = solver.step(lambda at, t: denoiser(at, t, encoded), process,
                                   solver.init(x), t0.expand(3), t1.expand(3), z)  # fmt: skip
            mean, above, moved = after[:, 0].tolist()
            variance = (above - mean) ** 2 * variance + (moved - mean) ** 2
            wanted = diffused(one, process, t1.item())
            off = max(off, abs(variance - wanted.stds.item() ** 2),
                      abs(mean - wanted.means.item()))  # fmt: skip
        worst.append(off)
    order = 2 if solver.price() == 2 else 1
    assert worst[-1] < 0.01
    for coarse, fine in itertools.pairwise(worst):
        assert math.log2(coarse / fine) > order - 0.15, worst


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
@pytest.mark.parametrize(("name", "eta"), [("ddim-ancestral", 1.0), ("half-way", 0.5)])
def test_ancestral_steps_are_draws_from_the_posterior(name: str, eta: float, process: Any) -> None:
    """Given x0 and x at t0, x at t1 is normal: two normals, multiplied.

    x₁ = α₁x0 + σ₁ε has precision 1/σ₁², and x₀ = r·x₁ + τε with r = α₀/α₁ and τ² = σ₀² − r²σ₁²
    adds r²/τ². With η = 1 a step must have that mean and deviation, with another η that times the
    deviation.

    Catches what no marginal shows, since any s at all has the right one: an s for other times, an
    η that is squared, and an ancestral solver that is the ODE.
    """
    x0, x = torch.tensor([[1.0], [-0.3]]).double(), torch.tensor([[0.4], [2.0]]).double()
    t0, t1 = torch.tensor([0.8, 0.3]).double(), torch.tensor([0.5, 0.2]).double()
    a0, a1, s0, s1 = (f(t)[:, None] for f in (process.alpha, process.sigma) for t in (t0, t1))
    pair = x0, (x - a0 * x0) / s0
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    still, moved = (FORMS[name].step(lambda at, t: pair, process, (x,), t0, t1, z)[0]
                    for z in (zero, one))  # fmt: skip
    ratio = a0 / a1
    added = s0**2 - ratio**2 * s1**2
    variance = 1 / (1 / s1**2 + ratio**2 / added)
    assert torch.allclose(moved - still, eta * variance.sqrt(), atol=1e-12)
    if eta == 1:
        assert torch.allclose(still, variance * (a1 * x0 / s1**2 + ratio * x / added), atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
@pytest.mark.parametrize("top", [0.4, 0.8])
def test_renoising_keeps_the_marginal(top: float, process: Any) -> None:
    """Clean samples diffused up and brought down again, and from a middle time too.

    Catches a renoising to the variance of another time, one that forgets what noise there is at
    the middle time, and one that leaves x unscaled.
    """
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
    """The sum of both noises has exactly σ(t)², whatever the time it came from.

    Catches what the samples above cannot show: an error below their standard error.
    """
    t0, t1 = torch.tensor([0.0, 0.3, 0.6]).double(), torch.tensor([0.5, 0.7, 1.0]).double()
    zero, one = torch.zeros(3, 1).double(), torch.ones(3, 1).double()
    kept = renoise(process, one, t0, t1, zero)[:, 0]
    added = renoise(process, zero, t0, t1, one)[:, 0]
    assert torch.allclose(kept * process.alpha(t0), process.alpha(t1), atol=1e-12)
    whole = (kept * process.sigma(t0)) ** 2 + added**2
    assert torch.allclose(whole, process.sigma(t1) ** 2, atol=1e-12)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.name)
def test_the_denoiser_is_exact(process: Any) -> None:
    """Against the posterior mean by quadrature on a fine grid of clean points.

    Catches shares that leave out a component's weight or the dimension in its norm, without which
    all other tests here would compare two wrong things.
    """
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
    """Catches a slope without its π/2 or of the other sign, and time that runs the other way."""
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
