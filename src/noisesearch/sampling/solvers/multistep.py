"""Solvers that remember the evaluation of the step before."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..process import Process, like
from .protocol import Denoise, State, ends


@dataclass(frozen=True)
class DPMSolver:
    """DPM-Solver++ 2M: second order at one evaluation a step; sde: with fresh noise on the way.

    arXiv 2211.01095, Algorithm 2, for any process, in λ = log(α/σ). With h the step in λ, h₀ the
    one before and m, m₀ the clean predictions of both:
    x₁ = (σ₁/σ₀)·x − α₁(e⁻ʰ − 1)·(m + h/(2h₀)·(m − m₀)). Here the part without m₀ is written
    α₁·x0 + σ₁·ε, which is the same and finite at both ends. ``eta`` 1 is the same paper's
    SDE-DPM-Solver++ 2M: fresh noise takes the place of ε as in ancestral DDIM, with e⁻²ʰ for e⁻ʰ
    in what m₀ adds.

    State: x, m₀ [B, …] and the time of m₀ [B] in float64. A row without history has time 0 there,
    since whatever came before came from a higher time than now. Its step is of first order, as is
    a step to σ = 0 (h is infinite) and one after a step from α = 0 (h₀ is).
    """

    eta: float = 0.0
    name: str = "dpm++2m"

    @property
    def stochastic(self) -> bool:
        return self.eta > 0

    def price(self) -> int:
        return 1

    def init(self, x: Tensor) -> State:
        never = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        return x, torch.zeros_like(x), never

    def step(
        self,
        denoise: Denoise,
        process: Process,
        state: State,
        t0: Tensor,
        t1: Tensor,
        noise: Tensor | None,
    ) -> State:
        x, before, then = state
        x0, eps = denoise(x, t0)
        a0, a1, s0, s1 = ends(process, t0, t1)
        fall = torch.where(a1 > 0, (s1 / s0) * (a0 / a1), 1)  # e⁻ʰ
        left = fall**self.eta
        result = like(a1, x) * x0 + like(s1 * left, x) * eps
        share = like(self._share(process, then, t0, t1), x)
        result = result + 0.5 * like(a1 * (1 - fall * left), x) * share * (x0 - before)
        if noise is not None:
            result = result + like(s1 * (1 - left * left).clamp_min(0).sqrt(), x) * noise
        return result, x0, t0.to(then)

    def _share(self, process: Process, then: Tensor, t0: Tensor, t1: Tensor) -> Tensor:
        """h/h₀ [B], and 0 where the step is of first order."""
        second = (then > t0) & (process.sigma(t1) > 0) & (process.alpha(then) > 0)
        # Rows of first order get times that give finite numbers, which are then not used.
        last, now, goal = (torch.where(second, t, d) for t, d in ((then, 0.75), (t0, 0.5),
                                                                  (t1, 0.25)))  # fmt: skip
        lambdas = [process.alpha(t).log() - process.sigma(t).log() for t in (last, now, goal)]
        ratio = (lambdas[2] - lambdas[1]) / (lambdas[1] - lambdas[0])
        return torch.where(second, ratio, 0)


DPM_SOLVER_SDE = DPMSolver(eta=1.0, name="dpm++2m-sde")
