"""Solvers on a process from betas, and those with a history, against the mixture."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
from scipy import stats
from test_closed_form import BROAD, draw, integrate
from torch import Tensor

from marginals import PLANE, assert_marginal
from noisesearch.sampling.process import Linear, Trigonometric
from noisesearch.sampling.solvers import DDIM, DPMSolver, Euler, EulerSDE, Heun, Solver
from noisesearch.testing.solver import betas

BETAS: Any = betas()
# Where convergence is seen. DPM-Solver++ is of second order in λ = log(α/σ), which is infinite at
# the ends of a flow: steps beside them do not get shorter in λ. To time 0 of a process from betas
# a step of any solver leaves an error that falls as σ², which is as the step there.
SPANS = {"linear": (0.9, 0.1), "trigonometric": (0.9, 0.1), BETAS.name: (1.0, 0.1)}


@cache
def reference(name: str) -> Tensor:
    """The end of the flow over the span from the noises of seed 1."""
    process = next(p for p in (Linear(), Trigonometric(), BETAS) if p.name == name)
    # Of Heun and DPM-Solver++, the one with the smaller error here at as many evaluations.
    best, steps = (DPMSolver(), 2048) if process.edm else (Heun(), 2048)
    return integrate(best, process, BROAD, draw(1, 64), steps, *SPANS[name])


@pytest.mark.parametrize(
    ("solver", "order", "process"),
    [
        (DPMSolver(), 2, Linear()),
        (DPMSolver(), 2, Trigonometric()),
        (DPMSolver(), 2, BETAS),
        (Heun(), 2, BETAS),
        (Euler(), 1, BETAS),
    ],
    ids=lambda v: getattr(v, "name", v),
)
def test_order(solver: Solver, order: int, process: Any) -> None:
    """The error falls with the step to the power of the order.

    From 32 to 256 steps: before that higher terms are seen, and the finest solution is exact to a
    fiftieth of the smallest error compared.

    Catches a history of the wrong step or weight, which would make DPM-Solver++ first order, and
    steps over t where they should be over σ/α.
    """
    x, counts = draw(1, 64), [32, 64, 128, 256]
    where, exact = SPANS[process.name], reference(process.name)
    errors = [
        (integrate(solver, process, BROAD, x, n, *where) - exact).norm().item() for n in counts
    ]
    slope = stats.linregress([math.log(n) for n in counts], [math.log(e) for e in errors]).slope
    assert -slope == pytest.approx(order, abs=0.15), errors


@pytest.mark.parametrize(
    ("solver", "steps", "bias"),
    # What is left of the discretisation at these steps, several times as measured.
    [
        (Heun(), 100, 0.01),
        (DPMSolver(), 100, 0.01),
        (DDIM(eta=0.5), 400, 0.03),
        (EulerSDE(), 200, 0.03),
        (DPMSolver(eta=1.0), 100, 0.03),
    ],
    ids=["heun", "dpm++2m", "half-way", "euler-sde", "dpm++2m-sde"],
)
def test_marginals(solver: Solver, steps: int, bias: float) -> None:
    """Catches injected noise that is not matched by what is taken away, and a history that takes
    the wrong noise along."""
    assert_marginal(integrate(solver, BETAS, PLANE, draw(1, 8000), steps), PLANE, bias)
