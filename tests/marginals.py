"""Are samples [N, D] of a mixture? Every bound is four standard errors and a solver's bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from noisesearch.testing import Mixture

PLANE = Mixture.of([0.5, 0.3, 0.2], [[2.0, 1.0], [-1.5, 2.0], [0.0, -2.0]], [0.5, 0.8, 0.3])


def assert_moments(x: Tensor, mixture: Mixture, bias: float) -> None:
    """Mean and covariance; the latter's bias is relative to the deviations."""
    count, wanted = len(x), mixture.covariance
    sigma = wanted.diagonal().sqrt()
    assert ((x.mean(0) - mixture.mean).abs() < 4 * sigma / math.sqrt(count) + bias).all()
    # A variance's standard error is √((κ−1)/N)·σ², and κ is below 3 for a spread-out mixture.
    off = (x.T.cov() - wanted).abs() / (sigma[:, None] * sigma)
    assert (off < 4 * math.sqrt(2 / count) + bias).all(), off


def assert_marginal(x: Tensor, mixture: Mixture, bias: float) -> None:
    """Mean, covariance, the shares of well separated components, and how wide these are.

    The square distance to a component's mean in its own deviations is χ² with D degrees where the
    component is known; averaged over the components that x may be of, its mean is D still, and
    its variance is at most χ²'s, 2D.
    """
    assert_moments(x, mixture, bias)
    count, size = x.shape
    shares = torch.bincount(mixture.component(x), minlength=len(mixture.weights)) / count
    error = 4 * (mixture.weights * (1 - mixture.weights) / count).sqrt()
    assert ((shares - mixture.weights).abs() < error + bias).all(), shares
    far = ((x[:, None] - mixture.means) ** 2).sum(-1) / mixture.stds**2
    of = (mixture.weights.log() - size * mixture.stds.log() - far / 2).softmax(-1)
    width = (of * far).sum(1).mean().item() / size
    assert abs(width - 1) < 4 * math.sqrt(2 / (size * count)) + bias, width
