"""Solvers whose steps know nothing of the steps before."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..process import Process, like
from .protocol import Denoise, State, ends, mixed, velocity


class SingleStep:
    """One evaluation a step, and no state but x."""

    def price(self) -> int:
        return 1

    def init(self, x: Tensor) -> State:
        return (x,)


@dataclass(frozen=True)
class Euler(SingleStep):
    """First order: on the velocity for a flow, on σ/α for a model trained on betas.

    The second is x₁/α₁ = x₀/α₀ + (r₁ − r₀)·ε with r = σ/α (arXiv 2206.00364, Algorithm 1 without
    its correction), which put in terms of (x0, ε) is DDIM, and finite where α₀ = 0.
    """

    name: str = "euler"
    stochastic: bool = False

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
        pair = denoise(x, t0)
        if process.edm:
            return (mixed(process, pair, t1),)
        return (x + like(t1 - t0, x) * velocity(process, pair, t0),)


@dataclass(frozen=True)
class Heun(SingleStep):
    """Second order: the mean of the slopes at both ends (SiT's and EDM's sampler).

    For a flow the slopes are velocities, and the last step has both stages too, which the pair
    (x0, ε) makes finite at t = 0. For a model trained on betas they are those of x/α over
    r = σ/α (arXiv 2206.00364, Algorithm 1). There a step to r = 0 is Euler's, as in the paper:
    the network has not been trained on clean images. Its second evaluation is made and paid all
    the same, so that a step has one price. A step from α = 0, of infinite length in r, is Euler's
    for want of anything better.
    """

    name: str = "heun"
    stochastic: bool = False

    def price(self) -> int:
        return 2

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
        pair = denoise(x, t0)
        if not process.edm:
            dt = like(t1 - t0, x)
            v0 = velocity(process, pair, t0)
            v1 = velocity(process, denoise(x + dt * v0, t1), t1)
            return (x + dt * (0.5 * (v0 + v1)),)
        guess = mixed(process, pair, t1)
        _, eps = denoise(guess, t1)
        a0, a1, s0, s1 = ends(process, t0, t1)
        # α₁·(r₁ − r₀)/2, what the mean of both slopes adds to Euler's step.
        half = 0.5 * (s1 - a1 * s0 / torch.where(a0 > 0, a0, 1))
        half = torch.where((a0 > 0) & (s1 > 0), half, 0)
        return (guess + like(half, x) * (eps - pair[1]),)


@dataclass(frozen=True)
class DDIM(SingleStep):
    """DDIM for any process (arXiv 2010.02502); ``ddim:ETA`` with noise, ancestral with η = 1.

    In (α, σ) form, Eq. 12 and 16:
    x₁ = α₁·x0 + √(σ₁² − s²)·ε + s·z with s = η·(σ₁/σ₀)·√(σ₀² − (α₀/α₁)²σ₁²).
    """

    eta: float = 0.0
    name: str = "ddim"

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

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
        a0, a1, s0, s1 = ends(process, t0, t1)
        spread = (s0 * s0 - (a0 / a1) ** 2 * s1 * s1).clamp_min(0).sqrt()
        s = self.eta * (s1 / s0) * spread
        rest = (s1 * s1 - s * s).clamp_min(0).sqrt()
        result = like(a1, x) * x0 + like(rest, x) * eps
        if noise is not None:
            result = result + like(s, x) * noise
        return (result,)


DDIM_ANCESTRAL = DDIM(eta=1.0, name="ddim-ancestral")


@dataclass(frozen=True)
class EulerSDE(SingleStep):
    """Euler's with fresh noise on the way: the SDE of the same marginals, ``euler-sde:KAPPA``.

    dx = (v + κσ'·ε)·dt + √(2κσσ')·dw, run from noise to clean: of the family in arXiv
    2401.08740, with diffusion g² = 2κ·σσ', which is 2κ·σ on the linear interpolant, and κ = 1.
    κ = 0 is the ODE.
    Over a step x0 is held and the noise integrated exactly, x₁ = α₁·x0 + σ₁·(ρ·ε + √(1 − ρ²)·z)
    with ρ = (σ₁/σ₀)^κ, so that the noise in x₁ is that of t₁ whatever the length of the step, and
    none is left at the end, where adding √(g²·dt)·z would leave some.
    """

    kappa: float = 1.0
    name: str = "euler-sde"

    @property
    def stochastic(self) -> bool:
        return self.kappa > 0

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
        s0, s1 = process.sigma(t0), process.sigma(t1)
        rho = (s1 / s0) ** self.kappa
        result = like(process.alpha(t1), x) * x0 + like(s1 * rho, x) * eps
        if noise is not None:
            result = result + like(s1 * (1 - rho * rho).clamp_min(0).sqrt(), x) * noise
        return (result,)
