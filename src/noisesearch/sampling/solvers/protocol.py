"""What a solver is: pure steps of the probability-flow ODE or of its stochastic relatives.

A step takes a state in and gives a state out; rows of a batch are at times of their own. The
only door to the network is ``denoise(x, t) -> (x0, eps)``, called ``price()`` times a step, the
first time at (state, t0). A state is a tuple of tensors with a batch dimension, x first; what a
multistep method remembers comes after it, and is lost by a renoise because ``init`` starts anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from ..process import Process, like

State = tuple[Tensor, ...]
Pair = tuple[Tensor, Tensor]
Denoise = Callable[[Tensor, Tensor], Pair]


class Solver(Protocol):
    """Contract: rows are independent, nothing is drawn, nothing is kept between calls.

    ``noise`` is unit normal like x for stochastic solvers, None for the others.
    """

    @property
    def name(self) -> str: ...
    @property
    def stochastic(self) -> bool: ...

    def price(self) -> int:
        """Denoiser evaluations in one step."""
        ...

    def init(self, x: Tensor) -> State: ...

    def step(
        self,
        denoise: Denoise,
        process: Process,
        state: State,
        t0: Tensor,
        t1: Tensor,
        noise: Tensor | None,
    ) -> State:
        """From times t0 [B] to t1 [B], t1 < t0."""
        ...


def velocity(process: Process, pair: Pair, t: Tensor) -> Tensor:
    """dx/dt = α'(t)·x0 + σ'(t)·ε at times t [B]."""
    x0, eps = pair
    return like(process.alpha_slope(t), x0) * x0 + like(process.sigma_slope(t), x0) * eps


def mixed(process: Process, pair: Pair, t: Tensor) -> Tensor:
    """α(t)·x0 + σ(t)·ε: the pair put together at another time t [B]."""
    x0, eps = pair
    return like(process.alpha(t), x0) * x0 + like(process.sigma(t), x0) * eps


def ends(process: Process, t0: Tensor, t1: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """α(t0), α(t1), σ(t0), σ(t1) of a step from t0 [B] to t1 [B]."""
    return process.alpha(t0), process.alpha(t1), process.sigma(t0), process.sigma(t1)
