"""Gradients through decoder, verifier and the whole ODE, against what they must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, ascend, climb, gaussian, normals
from noisesearch.sampling.process import Linear
from noisesearch.sampling.solvers import DDIM, DPMSolver, Euler, EulerSDE, Heun, Solver
from noisesearch.testing import Mixture, MixtureDenoiser
from noisesearch.testing.mixture_model import MixtureModel, brightness
from noisesearch.worker.gradient import Flow, objective, pull_back

SHAPE = (1, 2, 2)
MIXTURE = Mixture.of([0.6, 0.4], [[0.8, 0.2, 0.1, 0.3], [-0.7, 0.4, 0.2, -0.9]], [0.8, 0.9])


def flow(solver: Solver, steps: int, rows: int = 4, mixture: Mixture = MIXTURE) -> Flow:
    denoiser = MixtureDenoiser(mixture, SHAPE, Linear(), torch.float64)
    added = torch.from_numpy(normals(9, (steps, rows, *SHAPE))).double()
    return Flow(
        denoiser,
        solver,
        torch.linspace(1, 0, steps + 1, dtype=torch.float64),
        denoiser.encode([Condition()] * rows),
        lambda level: added[level] if solver.stochastic else None,
    )


def start(rows: int = 4) -> Tensor:
    return torch.from_numpy(normals(3, (rows, *SHAPE))).double()


def pulled(of: Flow, value: Callable[[Tensor], Tensor], noise: Tensor) -> Tensor:
    return pull_back(of, of.states(noise), value, noise)


@pytest.mark.parametrize(
    "solver", [Euler(), Heun(), DDIM(), DDIM(eta=0.5), DPMSolver(), EulerSDE()], ids=str
)
def test_agrees_with_finite_differences(solver: Solver) -> None:
    """Catches a stage left out, a detached coefficient or history, rows that leak into others."""
    of, noise = flow(solver, 5), start()

    def value(x0: Tensor) -> Tensor:
        return (x0**2).flatten(1).sum(1).sin()

    exact = pulled(of, value, noise)
    numeric = torch.zeros_like(noise)
    for index in range(noise[0].numel()):
        shift = torch.zeros_like(noise).flatten(1)
        shift[:, index] = 1e-5
        shift = shift.view_as(noise)
        up, down = (value(of.states(noise + s * shift)[-1][0]) for s in (1, -1))
        numeric.view(len(noise), -1)[:, index] = (up - down) / 2e-5
    assert torch.allclose(exact, numeric, rtol=1e-6, atol=1e-8)
    assert exact.abs().min() > 1e-6, "a gradient of zeros would agree with anything flat"


def test_is_the_analytic_one_of_a_single_gaussian() -> None:
    """Of one Gaussian N(m, s²I) the flow is x0 = m + s·n, so ∇ₙ v·x0 = s·v.

    Catches a gradient of the last step alone, and one with respect to the sample.
    """
    one = Mixture.of([1.0], [[0.5, -1.0, 2.0, 0.0]], [0.7])
    v = torch.tensor([1.0, -2.0, 0.5, 3.0]).double().view(SHAPE)
    found = pulled(flow(Heun(), 2000, mixture=one), lambda x: (x * v).flatten(1).sum(1), start())
    assert torch.allclose(found, 0.7 * v.expand_as(found), rtol=1e-3)


def test_rounding_to_eight_bits_has_the_gradient_of_the_identity() -> None:
    """Catches a rounding that is differentiated itself, which makes every gradient zero."""
    of = flow(Euler(), 4)
    conditions = [Condition()] * 4
    denoiser, verifier = of.denoiser, brightness()
    found = pulled(
        of,
        lambda x0: objective(denoiser, [verifier], {"brightness": 2.0}, x0, conditions),
        start(),
    )
    smooth = pulled(of, lambda x0: 2.0 * denoiser.decode(x0).flatten(1).mean(1), start())
    assert torch.allclose(found, smooth, rtol=1e-6) and smooth.abs().min() > 0


def test_rows_without_a_score_get_zeros_and_spoil_no_other() -> None:
    """Row 1 has no score; row 2 has one without a slope there, as a root has none at 0.

    Catches a gradient that is not finite, which would make NaN of the noise that climbs it.
    """
    of, noise = flow(Heun(), 4), start()

    def value(x0: Tensor) -> Tensor:
        one, two, three, four = x0.flatten(1).sum(1)
        return torch.stack([one, two * torch.nan, three + (three - three.detach()).sqrt(), four])

    found, whole = pulled(of, value, noise), pulled(of, lambda x: x.flatten(1).sum(1), noise)
    assert (found[[1, 2]] == 0).all()
    assert torch.equal(found[[0, 3]], whole[[0, 3]]) and (whole != 0).all()


def peak_of_saved(steps: int) -> int:
    """The most bytes that were kept for a backward pass at any moment."""
    alive = most = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, most
            self.tensor, self.bytes = tensor, tensor.numel() * tensor.element_size()
            alive += self.bytes
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= self.bytes

    # With a gradient wanted, so that a way down that keeps a graph is seen too.
    of, noise = flow(Heun(), steps), start().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        pull_back(of, of.states(noise), lambda x0: x0.flatten(1).sum(1), noise)
    return most


def test_memory_does_not_grow_with_the_steps() -> None:
    """Catches a graph that is held over the steps, such as by a state that was not detached."""
    two, thirty = peak_of_saved(2), peak_of_saved(30)
    assert two == thirty > 0


def test_ascent_keeps_the_norm() -> None:
    """Appendix C: n + η∇V, at the norm of n. Catches descent, and a norm that is not restored."""
    gradient = normals(5, (3, 4, 4))
    numbers = Materialiser((3, 4, 4), fetch=lambda key: gradient)
    before = numbers(gaussian(1)).astype(float)
    after = numbers(ascend(gaussian(1), "blob", 0.5)).astype(float)
    assert abs((after**2).sum() / (before**2).sum() - 1) < 1e-6
    straight = before + 0.5 * gradient.astype(float)
    cosine = (after * straight).sum() / ((after**2).sum() * (straight**2).sum()) ** 0.5
    assert abs(cosine - 1) < 1e-6


@pytest.mark.parametrize("cosine", [0.5, 0.95, 0.995])
def test_climbing_has_exactly_the_cosine_and_goes_up(cosine: float) -> None:
    """Catches a cosine taken as a step, a step that depends on the score's scale, and descent."""
    gradient = 1e-7 * normals(5, (3, 4, 4))  # as small as it may be: only its direction counts
    numbers = Materialiser((3, 4, 4), fetch=lambda key: gradient)
    before = numbers(gaussian(1)).astype(float)
    after = numbers(climb(gaussian(1), "blob", cosine)).astype(float)
    assert abs((after**2).sum() / (before**2).sum() - 1) < 1e-6
    assert abs((after * before).sum() / (before**2).sum() - cosine) < 1e-6
    assert (after * gradient).sum() > (before * gradient).sum()


def test_climbing_nowhere_stays() -> None:
    numbers = Materialiser((3, 4, 4), fetch=lambda key: normals(5, (3, 4, 4)) * 0)
    assert (numbers(climb(gaussian(1), "blob", 0.9)) == numbers(gaussian(1))).all()


def test_climbs(tmp_path: Path) -> None:
    """On a smooth problem each small step raises the score; 3 NFEs are counted for each (App. C).

    Catches descent, an iteration that counts as two candidates, and a recompute that nobody pays.
    """
    result = ns.search("any", model=MixtureModel(), verifier=[brightness()], rows=4,
                       algorithm=ns.FirstOrder(step=20.0), budget="30candidates",
                       out=tmp_path / "run")  # fmt: skip
    scores = [c.score for c in result.candidates]
    assert len(scores) == 10 and scores == sorted(scores) and scores[-1] > scores[0] + 0.05
    assert result.ledger["nfe"] == result.ledger["backward"] == result.ledger["recompute"] == 60
    assert result.ledger["physical"]["nfe"] == 60 == result.ledger["physical"]["recompute"]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"verifier": [lambda images, conditions: images.mean((1, 2, 3))]}, "not differentiable"),
        ({"objective": "pareto(brightness, evenness)"}, "no gradient"),
        ({"budget": "2candidates"}, "needs at least 18"),
    ],
)
def test_refused_before_there_is_a_folder(
    settings: dict[str, object], what: str, tmp_path: Path
) -> None:
    with pytest.raises(ns.ConfigError, match=what):
        ns.search("any", model=MixtureModel(), algorithm=ns.FirstOrder(), rows=4,
                  out=tmp_path / "run", **settings)  # type: ignore[call-overload]  # fmt: skip
    assert not (tmp_path / "run").exists()
