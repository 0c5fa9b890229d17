"""Noising processes x_t = α(t)·x0 + σ(t)·ε; time 0 is clean, 1 is noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from ..candidates.trajectory import Grid
from ..errors import ConfigError


class Process(Protocol):
    """α and σ and their slopes at times t [B], in the dtype of t.

    ``unit_start``: a grid begins with unit normals as they are; otherwise they are multiplied
    with σ of its first time. ``edm``: Euler's and Heun's steps are taken in x/α over σ/α, as by
    the samplers of models trained on betas, and not in x over t: a table's slopes jump at every
    entry, and where σ rises as √t a step in t would leave half of the noise in the sample.
    """

    @property
    def name(self) -> str: ...
    @property
    def unit_start(self) -> bool: ...
    @property
    def edm(self) -> bool: ...
    def alpha(self, t: Tensor) -> Tensor: ...
    def sigma(self, t: Tensor) -> Tensor: ...
    def alpha_slope(self, t: Tensor) -> Tensor: ...
    def sigma_slope(self, t: Tensor) -> Tensor: ...

    def at(self, u: Tensor) -> Tensor:
        """The time whose σ/α is that of the linear interpolant at u, u/(1 − u).

        A u noisier than this process ever is gives its noisiest time, 1.
        """
        ...


class Linear:
    """α = 1 − t, σ = t: rectified flow, SiT's linear path, FLUX."""

    name = "linear"
    unit_start = True
    edm = False

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def alpha_slope(self, t: Tensor) -> Tensor:
        return -torch.ones_like(t)

    def sigma_slope(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def at(self, u: Tensor) -> Tensor:
        return u


class Trigonometric:
    """α = cos(πt/2), σ = sin(πt/2): variance preserving, SiT's GVP path."""

    name = "trigonometric"
    unit_start = True
    edm = False

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(t * (math.pi / 2))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(t * (math.pi / 2))

    def alpha_slope(self, t: Tensor) -> Tensor:
        return -(math.pi / 2) * torch.sin(t * (math.pi / 2))

    def sigma_slope(self, t: Tensor) -> Tensor:
        return (math.pi / 2) * torch.cos(t * (math.pi / 2))

    def at(self, u: Tensor) -> Tensor:
        return torch.atan2(u, 1 - u) / (math.pi / 2)


@dataclass(frozen=True, eq=False)
class VariancePreserving:
    """α² + σ² = 1 through a table: models trained on betas (arXiv 2006.11239, Eq. 4).

    ``kept`` [N] float64 are the products ᾱ of 1 − β, falling. Training timestep i is at time
    t = (i + 1)/N, with α(t) = √ᾱᵢ, so time 1 is the last timestep and time 0 is the clean image,
    which no timestep stands for. In between σ/α is linear in t, and from 0 at time 0: that is how
    samplers read fractional timesteps off the table. With zero terminal signal-to-noise ratio
    (ᾱ = 0 at the end; arXiv 2305.08891) σ/α has no end to be linear to, and (α, σ) comes to it
    in the direction of the chord between the last two entries instead.
    """

    kept: Tensor
    unit_start: bool = True
    name: str = "variance-preserving"
    edm: bool = True
    _knots: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        kept = self.kept.detach().to("cpu", torch.float64)
        falls = bool((kept.diff() < 0).all()) and kept[-1] >= 0 and kept[0] < 1
        if kept.dim() != 1 or len(kept) < 2 or not falls:
            raise ConfigError(
                "a noise schedule must be a table of at least two products of (1 - beta) that "
                "falls from below 1 and stays at or above 0"
            )
        object.__setattr__(self, "kept", kept)

    @classmethod
    def of_betas(
        cls, betas: Sequence[float] | Tensor, unit_start: bool = True
    ) -> VariancePreserving:
        """From the variances added at the training timesteps [N]."""
        table = torch.as_tensor(betas, dtype=torch.float64)
        return cls(torch.cumprod(1 - table, 0), unit_start)

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Numerators and denominators of σ/α at the knots 0, 1/N, …, 1, and the ratios."""
        if device not in self._knots:
            kept = torch.cat([torch.ones(1, dtype=torch.float64), self.kept])
            over, under = (1 - kept).sqrt(), kept.sqrt()
            found = over.to(device), under.to(device), (over / under).to(device)
            self._knots[device] = found
        return self._knots[device]

    @property
    def length(self) -> int:
        """N, how many timesteps the model was trained on."""
        return len(self.kept)

    def _ratio(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """σ/α as a fraction (over, under) at t, and its slope in units where under is as given."""
        sigmas, alphas, ratios = self._on(t.device)
        place = t.to(torch.float64).clamp(0, 1) * self.length
        # The interval that ends at a knot holds the knot: a step from there goes down through it.
        low = (place.ceil().long() - 1).clamp(0, self.length - 1)
        part = place - low
        linear = ratios[low] + part * (ratios[low + 1] - ratios[low])
        endless = alphas[low + 1] == 0
        over = torch.where(endless, (1 - part) * sigmas[low] + part * sigmas[low + 1], linear)
        under = torch.where(endless, (1 - part) * alphas[low], torch.ones_like(part))
        rise = torch.where(
            endless,
            # (over/under)'·under², for over and under both linear in part.
            alphas[low] * sigmas[low + 1],
            ratios[low + 1] - ratios[low],
        )
        return over, under, rise * self.length

    def alpha(self, t: Tensor) -> Tensor:
        over, under, _ = self._ratio(t)
        return (under / torch.hypot(over, under)).to(t.dtype)

    def sigma(self, t: Tensor) -> Tensor:
        over, under, _ = self._ratio(t)
        return (over / torch.hypot(over, under)).to(t.dtype)

    def alpha_slope(self, t: Tensor) -> Tensor:
        """At a knot, of the interval below it, which a step from there goes down through."""
        over, under, rise = self._ratio(t)
        return (-rise * over / torch.hypot(over, under) ** 3).to(t.dtype)

    def sigma_slope(self, t: Tensor) -> Tensor:
        """At a knot, of the interval below it, which a step from there goes down through."""
        over, under, rise = self._ratio(t)
        return (rise * under / torch.hypot(over, under) ** 3).to(t.dtype)

    def at(self, u: Tensor) -> Tensor:
        return self.of_ratio(u / (1 - u))

    def of_ratio(self, ratio: Tensor) -> Tensor:
        """The time at which σ/α is ``ratio`` [B], at most 1; the inverse of the table."""
        sigmas, alphas, ratios = self._on(ratio.device)
        wanted = ratio.to(torch.float64)
        low = (torch.searchsorted(ratios, wanted) - 1).clamp(0, self.length - 1)
        linear = (wanted - ratios[low]) / (ratios[low + 1] - ratios[low])
        # On the chord: (1 − p)·σ₀ + p·σ₁ = ratio·(1 − p)·α₀, solved for p.
        ahead = wanted * alphas[low] - sigmas[low]
        chord = torch.where(wanted.isinf(), torch.ones_like(ahead),
                              ahead / (sigmas[low + 1] + ahead))  # fmt: skip
        part = torch.where(alphas[low + 1] == 0, chord, linear)
        return ((low + part) / self.length).clamp(0, 1).to(ratio.dtype)


def partial(process: Process, grid: Grid) -> list[float]:
    """Times of the levels of a grid that is not full: uniform in the linear interpolant's time.

    ``grid.start`` and ``grid.end`` are times of the linear interpolant, as every σ of arXiv
    2501.09732 is read here, and come to the process by equal σ/α. Where the process never gets as
    noisy as ``start`` (Stable Diffusion's last timestep is at 0.936), the leg begins at its
    noisiest time and is uniform from there, so that no step is spent on nothing. ConfigError
    where it never gets as noisy as ``end``.
    """
    one = torch.ones(1, dtype=torch.float64)
    sigma, alpha = process.sigma(one).item(), process.alpha(one).item()
    # The cosine of Trigonometric is 6e-17 at its end; its time there must stay exactly 1.
    top = 1.0 if alpha < 1e-12 else sigma / (sigma + alpha)
    start = min(grid.start, top)
    if grid.end >= start:
        raise ConfigError(
            f"a leg cannot go from time {grid.start:g} down to {grid.end:g} here: the noisiest "
            f"that this model knows is time {top:.4g} of the linear interpolant"
        )
    levels = replace(grid, start=start).uniform()
    found: list[float] = process.at(torch.tensor(levels, dtype=torch.float64)).tolist()
    return found


def begun(process: Process, noise: Tensor, t: Tensor) -> Tensor:
    """The state at the first time t [B] of a grid of unit normals [B, …]."""
    return noise if process.unit_start else like(process.sigma(t), noise) * noise


def renoise(process: Process, x: Tensor, t0: Tensor, t1: Tensor, noise: Tensor) -> Tensor:
    """x at time t0 [B] diffused up to t1 [B]: (α₁/α₀)·x + √(σ₁² − (α₁/α₀)²σ₀²)·ε."""
    ratio = process.alpha(t1) / process.alpha(t0)
    variance = process.sigma(t1) ** 2 - ratio**2 * process.sigma(t0) ** 2
    if bool((variance < 0).any()):
        raise ConfigError("renoising must go up in time; the variance to add came out negative")
    return like(ratio, x) * x + like(variance.sqrt(), x) * noise


def like(t: Tensor, x: Tensor) -> Tensor:
    """t [B] as [B, 1, …], in the dtype and where x [B, …] is, to multiply it."""
    return t.to(x).reshape(-1, *[1] * (x.dim() - 1))
