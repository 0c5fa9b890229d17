"""A SiT as a denoiser: its clock, its guidance, its pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...sampling.denoiser import DENOISE, LOOK, Encoded
from ...sampling.process import Linear
from ...sampling.solvers import Pair, like
from ..autoencoder import Autoencoder
from ..footprint import peak_bytes
from .config import SiTConfig
from .network import SiT

# The published code guides the first three channels and leaves the others as they are, also of
# latents with four (`forward_with_cfg`); the published samples are made so.
GUIDED_CHANNELS = 3


class SiTDenoiser:
    """The velocity of a SiT as the pair (x0, ε) on the linear interpolant.

    SiT's own time τ runs from 0 (noise) to 1 (data): τ = 1 − t, and its velocity is x0 − ε, the
    negative of dx/dt. With x = (1 − t)·x0 + t·ε this gives x0 = x + t·v and ε = x − (1 − t)·v,
    finite at both ends. Guidance g other than 1 costs two forwards: v(∅) + g·(v(class) − v(∅)) in
    the first three channels, v(class) in the others.

    ``decode``: images [B, 3, H, W] in [0, 1] of clean samples.
    """

    def __init__(
        self, network: SiT, guidance: float, decode: Callable[[Tensor], Tensor], device: str
    ) -> None:
        self.process = Linear()
        self.guidance = guidance
        self.forwards = 1 if guidance == 1 else 2
        self.shape = network.config.shape
        self.flops = count_flops(network.config)
        self._network, self._decode = network, decode
        self._call: Callable[..., Tensor] = network
        self._null = network.config.num_classes
        self._device = torch.device(device)

    @property
    def networks(self) -> dict[str, list[nn.Module]]:
        """The modules by phase; classes are read by the network itself."""
        decode = self._decode
        decoders = [decode.network] if isinstance(decode, Autoencoder) else []
        return {DENOISE: [self._network], LOOK: decoders}

    def compile(self) -> None:
        """Have torch.compile translate the network."""
        self._call = torch.compile(self._network)

    def work(self, rows: int) -> dict[str, int]:
        """Bytes beside the weights, by phase, in batches of ``rows``; counted on shapes alone."""
        config, dtype = self._network.config, next(self._network.parameters()).dtype
        size = rows * self.forwards
        with torch.device("meta"):
            network = SiT(config).to(dtype)
            x, clock = torch.zeros(size, *config.shape), torch.zeros(size)
            labels = torch.zeros(size, dtype=torch.long)
        found = {DENOISE: peak_bytes(lambda: network(x, clock, labels))}
        if isinstance(self._decode, Autoencoder):
            found[LOOK] = self._decode.work(rows, config.shape)
        return found

    def rewired(self, change: Callable[[nn.Module], nn.Module]) -> SiTDenoiser:
        """The same with the network that ``change`` makes of its own."""
        made, config = copy.copy(self), self._network.config
        made._call = made._network = cast(SiT, change(self._network))
        with torch.device("meta"):
            made.flops = flops_of(change(SiT(config)), config)
        return made

    def encode(self, conditions: Sequence[Condition]) -> Encoded:
        """Class numbers [B]; the null class for no condition."""
        labels = [self._null if c.label is None else c.label for c in conditions]
        return {"label": torch.tensor(labels, device=self._device)}

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded) -> Pair:
        """(x0, ε) at x [B, C, S, S], t [B], in the dtype of x."""
        v = self._velocity(x, (1 - t).to(x.dtype), encoded["label"])
        time = like(t, x)
        return x + time * v, x - (1 - time) * v

    def _velocity(self, x: Tensor, clock: Tensor, labels: Tensor) -> Tensor:
        """x0 − ε at SiT's own times ``clock`` [B]."""
        if self.forwards == 1:
            return self._call(x, clock, labels).to(x.dtype)
        both = torch.cat([labels, torch.full_like(labels, self._null)])
        found = self._call(torch.cat([x, x]), torch.cat([clock, clock]), both).to(x.dtype)
        named, null = found.chunk(2)
        some = slice(None, GUIDED_CHANNELS)
        guided = null[:, some] + self.guidance * (named[:, some] - null[:, some])
        return torch.cat([guided, named[:, GUIDED_CHANNELS:]], dim=1)

    def decode(self, x0: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [0, 1] of clean samples [B, C, S, S]."""
        return self._decode(x0)


def pixels(x0: Tensor) -> Tensor:
    """Images [B, 3, S, S] in [0, 1] of pictures [B, 1 or 3, S, S] in [−1, 1]."""
    return (x0 * 0.5 + 0.5).clamp(0, 1).expand(-1, 3, -1, -1)


@cache
def count_flops(config: SiTConfig) -> int:
    """Of one forward of one sample, a multiply-add being two; nothing is computed."""
    with torch.device("meta"):
        return flops_of(SiT(config), config)


def flops_of(network: nn.Module, config: SiTConfig) -> int:
    """The same of a network on the meta device."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *config.shape), torch.zeros(1), torch.zeros(1, dtype=torch.long))
    return int(counter.get_total_flops())
