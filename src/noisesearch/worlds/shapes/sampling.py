"""The generator as a denoiser: coordinates, guidance, precision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ...candidates.condition import Condition
from ...models.footprint import peak_bytes
from ...sampling.denoiser import DENOISE, READ, Encoded
from ...sampling.process import Linear
from ...sampling.solvers import Pair, like
from . import prompts
from .network import ShapesTransformer, load

# ε of an x-prediction is (x − (1 − t)·x0)/t; below this time the division would blow up the
# network's rounding, and only Heun's last stage (t = 0) ever asks there.
SMALLEST_TIME = 0.02


class ShapesDenoiser:
    """x-prediction on the linear interpolant, with classifier-free guidance (arXiv 2207.12598).

    Guidance other than 1 costs two forwards: x0 = x̂(∅) + g·(x̂(text) − x̂(∅)); a negative
    prompt takes the place of ∅.
    """

    shape = (3, 32, 32)

    def __init__(self, name: str, guidance: float, device: str, dtype: str) -> None:
        self.process = Linear()
        self.guidance = guidance
        self.forwards = 1 if guidance == 1 else 2
        self._network = load(name).to(device)
        self._device = torch.device(device)
        self._half = dtype == "bfloat16"
        self.flops = self._count_flops()

    @property
    def networks(self) -> dict[str, list[nn.Module]]:
        """One network reads and denoises; pictures need none."""
        return {READ: [self._network], DENOISE: [self._network]}

    def work(self, rows: int) -> dict[str, int]:
        """Bytes beside the weights, by phase, in batches of ``rows``; counted on shapes alone."""
        with torch.no_grad():
            context = self._context([prompts.unconditional()]).to("meta")
        network = copy.deepcopy(self._network).to("meta")
        size = rows * self.forwards
        x, t = (torch.zeros(size, *of, device="meta") for of in (self.shape, ()))
        return {DENOISE: peak_bytes(lambda: network(x, t, context.expand(size, -1, -1)))}

    def rewired(self, change: Callable[[nn.Module], nn.Module]) -> ShapesDenoiser:
        """The same with the network that ``change`` makes of its own."""
        made = copy.copy(self)
        made._network = cast(ShapesTransformer, change(self._network))
        made.flops = made._count_flops()
        return made

    def encode(self, conditions: Sequence[Condition]) -> Encoded:
        """Contexts [B, 16, width] of the prompts and of what guidance leads away from."""
        tokens = [prompts.unconditional() if c.text is None else prompts.tokenize(c.text)
                  for c in conditions]  # fmt: skip
        away = [prompts.unconditional() if c.negative is None else prompts.tokenize(c.negative)
                for c in conditions]  # fmt: skip
        result = {"text": self._context(tokens)}
        if self.forwards == 2:
            result["away"] = self._context(away)
        return result

    def _context(self, tokens: Sequence[object]) -> Tensor:
        stacked = torch.stack([torch.as_tensor(t) for t in tokens]).to(self._device)
        return self._network.encode(stacked)

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded) -> Pair:
        """(x0, ε) at x [B, 3, 32, 32], t [B]."""
        t = t.to(x.dtype)
        if self.forwards == 1:
            x0 = self._predict(x, t, encoded["text"])
        else:
            contexts = torch.cat([encoded["text"], encoded["away"]])
            text, away = self._predict(torch.cat([x, x]), torch.cat([t, t]), contexts).chunk(2)
            x0 = away + self.guidance * (text - away)
        time = like(t, x)
        return x0, (x - (1 - time) * x0) / time.clamp_min(SMALLEST_TIME)

    def _predict(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            predicted: Tensor = self._network(x, t, context)
        return predicted.to(x.dtype)

    def decode(self, x0: Tensor) -> Tensor:
        """Images [B, 3, 32, 32] in [0, 1]; the model works in pixels from -1 to 1."""
        return (x0 * 0.5 + 0.5).clamp(0, 1)

    def _count_flops(self) -> int:
        from torch.utils.flop_counter import FlopCounterMode

        x, t = torch.zeros(1, *self.shape, device=self._device), torch.ones(1, device=self._device)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self._network(x, t, self._context([prompts.unconditional()]))
        return int(counter.get_total_flops())
