"""A network of diffusers as a denoiser: guidance, clock, pictures; no loop of diffusers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...errors import ConfigError
from ...sampling.denoiser import DENOISE, LOOK, READ, Encoded, fill
from ...sampling.process import Process
from ...sampling.solvers import Pair, like
from ..footprint import on_meta, peak_bytes
from ..schedules import Schedule

# Pixels decoded at a time: at 1024×1024 the decoder of Stable Diffusion needs some gigabytes.
PIXELS = 1024 * 1024
AWAY = "away."  # prefix of the encodings that guidance leads away from


class Backbone(Protocol):
    """The parts of a pipeline that a denoiser is made of, in the family's own terms.

    Contract: rows are independent. ``inputs(x [B, C, H, W], timestep [B], encoded)`` are the
    arguments of ``network``; ``output`` turns what it returns into the shape of x, and
    ``prediction``, a key of PREDICTIONS, says what that is. Nothing of the pipeline is changed.
    """

    pipeline: Any
    network: Any
    size: tuple[int, int]
    prediction: str
    tiling: bool

    @property
    def vae(self) -> Any: ...
    @property
    def readers(self) -> Sequence[nn.Module]: ...

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        """Tensors [B, …] of the texts; None where no text was given."""
        ...

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]: ...
    def output(self, found: Tensor) -> Tensor: ...

    def pictures(self, x0: Tensor) -> Tensor:
        """Images [B, 3, H, W] from -1 to 1 of clean latents [B, C, h, w]."""
        ...

    @staticmethod
    def native(x: Tensor) -> Tensor:
        """Latents [B, C, h, w] as the pipeline's ``latents=`` takes them: the same numbers, in
        another order."""
        ...


def of_flow(process: Process, x: Tensor, t: Tensor, v: Tensor) -> Pair:
    """(x0, ε) of a flow's v = ε − x0 = dx/dt on x = (1 − t)·x0 + t·ε, finite at both ends."""
    time = like(t, x)
    return x - time * v, x + (1 - time) * v


def of_epsilon(process: Process, x: Tensor, t: Tensor, eps: Tensor) -> Pair:
    """(x0, ε) of ε on x = α·x0 + σ·ε; finite wherever α is not 0; there ε says nothing of x0."""
    return (x - like(process.sigma(t), x) * eps) / like(process.alpha(t), x), eps


def of_v(process: Process, x: Tensor, t: Tensor, v: Tensor) -> Pair:
    """(x0, ε) of v = α·ε − σ·x0 on x = α·x0 + σ·ε with α² + σ² = 1 (arXiv 2202.00512, Appendix D),
    finite at both ends."""
    alpha, sigma = like(process.alpha(t), x), like(process.sigma(t), x)
    return alpha * x - sigma * v, sigma * x + alpha * v


# What a network may give: (process, x [B, …], t [B], output [B, …]) → (x0, ε).
PREDICTIONS: dict[str, Callable[[Process, Tensor, Tensor, Tensor], Pair]] = {
    "flow": of_flow,
    "epsilon": of_epsilon,
    "v_prediction": of_v,
}


class DiffusersDenoiser:
    """A backbone on the process and the clock of a schedule, with classifier-free guidance.

    Guidance (arXiv 2207.12598) is taken for a scale above 1, as the pipelines do, at two forwards
    in one call: f(∅) + scale·(f(text) − f(∅)), a negative prompt in the place of ∅.
    """

    def __init__(
        self, backbone: Backbone, schedule: Schedule, shape: tuple[int, ...], scale: float
    ) -> None:
        self.process = schedule.process
        self.shape = shape
        self.scale = scale
        self.forwards = 2 if scale > 1 else 1
        self._timestep = schedule.timestep
        self._backbone = backbone
        self._network: Callable[..., Any] = backbone.network
        self._change: Callable[[Any], Any] = lambda network: network

    @property
    def pipeline(self) -> Any:
        """Whose weights these are."""
        return self._backbone.pipeline

    @property
    def networks(self) -> dict[str, list[nn.Module]]:
        """The pipeline's modules by phase."""
        of = self._backbone
        return {READ: list(of.readers), DENOISE: [of.network], LOOK: [of.vae]}

    def compile(self) -> None:
        """Have torch.compile translate the network; the pipeline's own stays as it is."""
        self._network = torch.compile(self._backbone.network)

    def tile(self) -> None:
        """Decode large pictures in tiles, which shows a little where they meet."""
        if not hasattr(self._backbone.vae, "use_tiling"):
            kind = type(self._backbone.vae).__name__
            raise ConfigError(f"the {kind} of this model has no tiles; leave out --tiling")
        self._backbone.tiling = True

    def rewired(self, change: Callable[[Any], Any]) -> DiffusersDenoiser:
        """The same with the network that ``change`` makes of its own; the pipeline stays."""
        made = copy.copy(self)
        made.__dict__.pop("flops", None)
        made._backbone = copy.copy(self._backbone)
        made._network = made._backbone.network = change(self._backbone.network)
        before = self._change
        made._change = lambda network: change(before(network))
        return made

    @torch.no_grad()
    def encode(self, conditions: Sequence[Condition]) -> Encoded:
        """What the pipeline's text encoders make of the prompts, and of the negative ones."""
        found = self._backbone.encode([c.text or "" for c in conditions], False)
        if self.forwards == 1:
            return found
        away = self._backbone.encode([c.negative for c in conditions], True)
        return {**found, **{f"{AWAY}{name}": tensor for name, tensor in away.items()}}

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded) -> Pair:
        """(x0, ε) at x [B, C, H, W], t [B], in the dtype of x."""
        guided = self._guided(x, self._timestep(t).float(), encoded)
        return PREDICTIONS[self._backbone.prediction](self.process, x, t, guided)

    def _guided(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> Tensor:
        if self.forwards == 1:
            return self._found(x, timestep, encoded)
        both = {n: torch.cat([encoded[AWAY + n], tensor])
                for n, tensor in encoded.items() if not n.startswith(AWAY)}  # fmt: skip
        found = self._found(torch.cat([x, x]), torch.cat([timestep, timestep]), both)
        away, towards = found.chunk(2)
        return away + self.scale * (towards - away)

    def _found(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> Tensor:
        of = self._backbone
        inputs = of.inputs(x.to(of.network.dtype), timestep, encoded)
        return of.output(self._network(**inputs, return_dict=False)[0]).to(x.dtype)

    def decode(self, x0: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [0, 1], in slices that fit into memory.

        The slices have one size, the last one filled up, so that a row's bits do not depend on
        its place in the batch.
        """
        size = min(len(x0), self._slice)
        found = []
        for part in torch.split(x0, size):
            images = self._backbone.pictures(fill(list(part), size))[: len(part)]
            found.append((images.float() * 0.5 + 0.5).clamp(0, 1))
        return torch.cat(found)

    def native(self, x: Tensor) -> Tensor:
        """Latents [B, C, H, W] as the pipeline's own ``latents=`` takes them."""
        return self._backbone.native(x)

    @cached_property
    def flops(self) -> int:
        """Of one forward of one sample, a multiply-add being two; counted without computing."""
        from torch.utils.flop_counter import FlopCounterMode

        network = self._backbone.network
        inputs = on_meta(self._inputs(1))  # in float32: of another precision the count is the same
        with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
            empty = self._change(type(network).from_config(network.config))
            try:
                empty(**inputs, return_dict=False)
            except (RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"the {type(network).__name__} cannot take what the pipeline's text encoders "
                    f"give ({str(error).splitlines()[0]}): they are of two pipelines; get the "
                    "pipeline's files again"
                ) from error
        return int(counter.get_total_flops())

    def work(self, rows: int) -> dict[str, int]:
        """Bytes beside the weights, by phase, in batches of ``rows``; of the network and of the
        decoder. Counted on shapes alone."""
        of, vae = self._backbone, self._backbone.vae
        inputs = on_meta(self._inputs(rows * self.forwards), of.network.dtype)
        latents = torch.zeros(min(rows, self._slice), *self.shape, device="meta", dtype=vae.dtype)
        network, decoder = self._change(_empty(of.network)), _empty(vae)
        if of.tiling:
            decoder.use_tiling = True
        return {
            DENOISE: peak_bytes(lambda: network(**inputs, return_dict=False)),
            LOOK: peak_bytes(lambda: decoder.decode(latents, return_dict=False)),
        }

    def _inputs(self, rows: int) -> dict[str, Any]:
        """What the network is given, without any meaning."""
        network = self._backbone.network
        encoded = {n: e.expand(rows, *e.shape[1:]) for n, e in self._nothing.items()}
        x = torch.zeros(rows, *self.shape, dtype=network.dtype, device=network.device)
        at = {n: e.to(network.device) for n, e in encoded.items()}
        return self._backbone.inputs(x, torch.ones(rows, device=network.device), at)

    @cached_property
    def _nothing(self) -> Mapping[str, Tensor]:
        """The encoding of the empty prompt."""
        with torch.no_grad():
            return self._backbone.encode([""], False)

    @property
    def _slice(self) -> int:
        """How many pictures are decoded at a time."""
        width, height = self._backbone.size
        return max(1, PIXELS // (width * height))


def _empty(of: Any) -> Any:
    """The same network without numbers."""
    with torch.device("meta"):
        # Its own to() would speak of layers that are better kept in float32.
        return nn.Module.to(type(of).from_config(of.config), of.dtype)
