"""Solvers of the probability-flow ODE and its stochastic relatives, as pure steps.

A step takes a state in and gives a state out; rows of a batch are at times of their own. The
only door to the network is ``denoise(x, t) -> (x0, eps)``, called ``price()`` times a step, the
first time at (state, t0). A state is a tuple of tensors with a batch dimension, x first; what a
multistep method remembers comes after it, and is lost by a renoise because ``init`` starts anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from .errors import ConfigError, unknown
from .process import Process

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


def like(t: Tensor, x: Tensor) -> Tensor:
    """t [B] as [B, 1, …] to multiply x [B, …]."""
    return t.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))


def velocity(process: Process, pair: Pair, t: Tensor) -> Tensor:
    """dx/dt = α'(t)·x0 + σ'(t)·ε at times t [B]."""
    x0, eps = pair
    return like(process.alpha_slope(t), x0) * x0 + like(process.sigma_slope(t), x0) * eps


@dataclass(frozen=True)
class Euler:
    """First order on the velocity; for the linear interpolant the sampler of rectified flows."""

    name: str = "euler"
    stochastic: bool = False

    def price(self) -> int:
        return 1

    def init(self, x: Tensor) -> State:
        return (x,)

    def step(
        self,
        denoise: Denoise,
        process: Process,
        state: State,
        t0: Tensor,
        t1: Tensor,
        noise: Tensor | None,
    ) -> State:
        (x,) = state
        return (x + like(t1 - t0, x) * velocity(process, denoise(x, t0), t0),)


@dataclass(frozen=True)
class Heun:
    """Second order: the mean of the velocities at both ends (SiT's and EDM's sampler).

    The last step has both stages too, which the pair (x0, ε) makes finite at t = 0.
    """

    name: str = "heun"
    stochastic: bool = False

    def price(self) -> int:
        return 2

    def init(self, x: Tensor) -> State:
        return (x,)

    def step(
        self,
        denoise: Denoise,
        process: Process,
        state: State,
        t0: Tensor,
        t1: Tensor,
        noise: Tensor | None,
    ) -> State:
        (x,) = state
        dt = like(t1 - t0, x)
        v0 = velocity(process, denoise(x, t0), t0)
        v1 = velocity(process, denoise(x + dt * v0, t1), t1)
        return (x + dt * (0.5 * (v0 + v1)),)


@dataclass(frozen=True)
class DDIM:
    """DDIM in (α, σ) form (arXiv 2010.02502, Eq. 12 and 16), for any process.

    x₁ = α₁·x0 + √(σ₁² − s²)·ε + s·z with s = η·(σ₁/σ₀)·√(σ₀² − (α₀/α₁)²σ₁²); η = 1 is ancestral.
    """

    eta: float = 0.0
    name: str = "ddim"

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def price(self) -> int:
        return 1

    def init(self, x: Tensor) -> State:
        return (x,)

    def step(
        self,
        denoise: Denoise,
        process: Process,
        state: State,
        t0: Tensor,
        t1: Tensor,
        noise: Tensor | None,
    ) -> State:
        (x,) = state
        x0, eps = denoise(x, t0)
        a0, a1, s0, s1 = process.alpha(t0), process.alpha(t1), process.sigma(t0), process.sigma(t1)
        spread = (s0 * s0 - (a0 / a1) ** 2 * s1 * s1).clamp_min(0).sqrt()
        s = self.eta * (s1 / s0) * spread
        rest = (s1 * s1 - s * s).clamp_min(0).sqrt()
        result = like(a1, x) * x0 + like(rest, x) * eps
        if noise is not None:
            result = result + like(s, x) * noise
        return (result,)


SOLVERS: dict[str, Callable[[], Solver]] = {
    "euler": Euler,
    "heun": Heun,
    "ddim": DDIM,
    "ddim-ancestral": lambda: DDIM(eta=1.0, name="ddim-ancestral"),
}


def solver(name: str) -> Solver:
    """The solver of a name; ConfigError with near matches otherwise."""
    if name not in SOLVERS:
        raise unknown("solver", name, SOLVERS)
    return SOLVERS[name]()


def renoise(process: Process, x: Tensor, t0: Tensor, t1: Tensor, noise: Tensor) -> Tensor:
    """x at time t0 [B] diffused up to t1 [B]: (α₁/α₀)·x + √(σ₁² − (α₁/α₀)²σ₀²)·ε."""
    ratio = process.alpha(t1) / process.alpha(t0)
    variance = process.sigma(t1) ** 2 - ratio**2 * process.sigma(t0) ** 2
    if bool((variance < 0).any()):
        raise ConfigError("renoising must go up in time; the variance to add came out negative")
    return like(ratio, x) * x + like(variance.sqrt(), x) * noise
