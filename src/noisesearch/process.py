"""Noising processes x_t = α(t)·x0 + σ(t)·ε; time 0 is clean, 1 is noise."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor


class Process(Protocol):
    """α and σ and their slopes at times t [B], in the dtype of t."""

    @property
    def name(self) -> str: ...
    def alpha(self, t: Tensor) -> Tensor: ...
    def sigma(self, t: Tensor) -> Tensor: ...
    def alpha_slope(self, t: Tensor) -> Tensor: ...
    def sigma_slope(self, t: Tensor) -> Tensor: ...


class Linear:
    """α = 1 − t, σ = t: rectified flow, SiT's linear path, FLUX."""

    name = "linear"

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def alpha_slope(self, t: Tensor) -> Tensor:
        return -torch.ones_like(t)

    def sigma_slope(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)


class Trigonometric:
    """α = cos(πt/2), σ = sin(πt/2): variance preserving, SiT's GVP path."""

    name = "trigonometric"

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(t * (math.pi / 2))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(t * (math.pi / 2))

    def alpha_slope(self, t: Tensor) -> Tensor:
        return -(math.pi / 2) * torch.sin(t * (math.pi / 2))

    def sigma_slope(self, t: Tensor) -> Tensor:
        return (math.pi / 2) * torch.cos(t * (math.pi / 2))
