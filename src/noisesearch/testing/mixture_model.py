"""A Gaussian mixture as a model: its denoiser is known in closed form and needs no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..candidates.condition import Condition
from ..candidates.keys import seed_of
from ..candidates.noise import normals
from ..candidates.space import Space
from ..candidates.trajectory import Grid
from ..errors import ConfigError
from ..sampling.process import Linear, Process
from ..verifiers.protocol import Views

SHAPE = (1, 4, 4)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


@dataclass(frozen=True)
class Mixture:
    """Σ wₖ N(mₖ, sₖ²I) over flat vectors: ``weights`` [K], ``means`` [K, D], ``stds`` [K]."""

    weights: Tensor
    means: Tensor
    stds: Tensor

    @classmethod
    def of(
        cls, weights: Sequence[float], means: Sequence[Sequence[float]], stds: Sequence[float]
    ) -> Mixture:
        """In float64 from plain numbers."""
        return cls(*(torch.tensor(v, dtype=torch.float64) for v in (weights, means, stds)))

    @classmethod
    def default(cls, shape: Sequence[int]) -> Mixture:
        """Three well separated components of unequal weight and width."""
        means = [2.0 * normals(k, shape).ravel().astype(float) for k in (1, 2, 3)]
        return cls.of([0.5, 0.3, 0.2], [m.tolist() for m in means], [0.5, 0.3, 0.7])

    def posterior(self, process: Process, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """E[x0 | x_t] and E[ε | x_t] at x [B, D] and t [B], finite from t = 0 to t = 1."""
        weights, means, stds = (v.to(x) for v in (self.weights, self.means, self.stds))
        alpha, sigma = (f(t).to(x).reshape(-1, 1) for f in (process.alpha, process.sigma))
        variance = (alpha * stds) ** 2 + sigma**2  # [B, K]
        rest = x[:, None] - alpha[..., None] * means  # [B, K, D]
        size = x.shape[1]
        logs = weights.log() - 0.5 * ((rest**2).sum(-1) / variance + size * variance.log())
        share = logs.softmax(-1)[..., None]
        x0 = means + (alpha * stds**2 / variance)[..., None] * rest
        eps = (sigma / variance)[..., None] * rest
        return (share * x0).sum(1), (share * eps).sum(1)

    def component(self, x: Tensor) -> Tensor:
        """The most likely component [B] of clean x [B, D]."""
        far = ((x[:, None] - self.means.to(x)) ** 2).sum(-1) / self.stds.to(x) ** 2
        return (self.weights.to(x).log() - x.shape[1] * self.stds.to(x).log() - far / 2).argmax(-1)

    @property
    def mean(self) -> Tensor:
        return self.weights @ self.means

    @property
    def covariance(self) -> Tensor:
        away = self.means - self.mean
        within = (self.weights * self.stds**2).sum() * torch.eye(len(self.mean)).double()
        return within + (self.weights[:, None] * away).T @ away


class MixtureDenoiser:
    """The exact denoiser of a mixture that a condition moves as a whole.

    Computed in ``dtype`` whatever x is in; the answer is in the dtype of x. ``calls`` and ``rows``
    are the denoiser's own count of what it was made to do, fillers included.
    """

    flops = 0

    def __init__(
        self,
        mixture: Mixture,
        shape: Sequence[int] = SHAPE,
        process: Process | None = None,
        dtype: torch.dtype = torch.float32,
        forwards: int = 1,
    ) -> None:
        self.mixture, self.shape, self.dtype = mixture, tuple(shape), dtype
        self.process: Process = process or Linear()
        self.forwards = forwards
        self.calls = self.rows = 0

    def encode(self, conditions: Sequence[Condition]) -> Mapping[str, Tensor]:
        shifts = [
            torch.zeros(self.shape)
            if c == Condition()
            else torch.from_numpy(0.5 * normals(seed_of("shift", c.key), self.shape))
            for c in conditions
        ]
        return {"shift": torch.stack(shifts)}

    def __call__(
        self, x: Tensor, t: Tensor, encoded: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        self.calls += 1
        self.rows += len(x)
        flat = x.reshape(len(x), -1).to(self.dtype)
        shift = encoded["shift"].to(x).reshape(len(x), -1).to(self.dtype)
        alpha = self.process.alpha(t).to(flat).reshape(-1, 1)
        x0, eps = self.mixture.posterior(self.process, flat - alpha * shift, t)
        return (x0 + shift).to(x.dtype).reshape(x.shape), eps.to(x.dtype).reshape(x.shape)

    def decode(self, x0: Tensor) -> Tensor:
        """A grey picture whose pixels are the numbers, squashed to [0, 1]."""
        height, width = (1, *self.shape)[-2:]
        grey = x0.reshape(len(x0), -1, height, width).mean(1, keepdim=True)
        return torch.sigmoid(grey).expand(-1, 3, -1, -1)


@dataclass(frozen=True)
class MixtureModel:
    """A :class:`~noisesearch.models.protocol.Model` that is a mixture; any text is a condition."""

    shape: tuple[int, ...] = SHAPE
    process: Process = field(default_factory=Linear)
    mixture: Mixture | None = None
    forwards: int = 1
    name: str = "mixture"
    summary: str = "a Gaussian mixture in closed form, for tests"
    steps: int = 6
    guidance: float = 1.0
    solver: str = "euler"
    ensemble: tuple[str, ...] = ("brightness", "evenness")
    fingerprint: str = "1"

    @property
    def size(self) -> tuple[int, int]:
        height, width = (1, *self.shape)[-2:]
        return width, height

    @property
    def verifiers(self) -> Mapping[str, str]:
        return {name: f"{__name__}:{name}" for name in ("brightness", "evenness")}

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        return Condition(text=text, negative=negative)

    def words(self) -> tuple[str, ...]:
        return ()

    def examples(self, count: int) -> list[str]:
        return [f"prompt {i}" for i in range(count)]

    def real(self, conditions: Sequence[Condition], count: int) -> Tensor:
        """Exact samples of the mixture for the conditions in turn, as pictures."""
        mixture = self.mixture or Mixture.default(self.shape)
        denoiser = MixtureDenoiser(mixture, self.shape, self.process, torch.float64)
        shifts = denoiser.encode([conditions[i % len(conditions)] for i in range(count)])["shift"]
        normal = torch.from_numpy(normals(seed_of("real"), (count, *self.shape))).double()
        places = torch.linspace(0, 1, count + 1, dtype=torch.float64)[:-1] + 0.5 / count
        # Components by share in the order of a fixed shuffle, so that conditions get all of them.
        order = torch.from_numpy(normals(seed_of("order"), (count,))).argsort()
        part = torch.bucketize(places, mixture.weights.cumsum(0))[order]
        x0 = mixture.means[part] + mixture.stds[part, None] * normal.flatten(1)
        return denoiser.decode(x0.reshape(normal.shape) + shifts)

    def space(self) -> Space:
        return Space(self.shape, Grid.uniform, differentiable=True)

    def build(self, guidance: float, device: str, dtype: str) -> MixtureDenoiser:
        if dtype not in DTYPES:
            raise ConfigError(f"dtype is {dtype!r}, but must be one of {', '.join(DTYPES)}")
        mixture = self.mixture or Mixture.default(self.shape)
        return MixtureDenoiser(mixture, self.shape, self.process, DTYPES[dtype], self.forwards)


@dataclass(frozen=True)
class PictureScore:
    """One number of a picture, without a network."""

    name: str
    typical: float
    fingerprint: str = "1"
    differentiable: bool = True
    rows: int | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def scale(self) -> Mapping[str, float]:
        return {self.name: self.typical}

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        flat = views.images.flatten(1).double()
        mean = flat.mean(1)
        if self.name == "brightness":
            return {self.name: mean}
        return {self.name: -(flat - mean[:, None]).square().mean(1).clamp_min(0).sqrt()}

    def features(self, views: Views) -> Tensor:
        """The mean of each row of pixels [B, H]."""
        return views.images.double().mean((1, 3))


def brightness() -> PictureScore:
    """The mean of all pixels."""
    return PictureScore("brightness", 0.1)


def evenness() -> PictureScore:
    """Minus the spread of the pixels."""
    return PictureScore("evenness", 0.05)
