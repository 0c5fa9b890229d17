"""Conditions turned into tensors, each once a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ..candidates.condition import Condition
from ..sampling.denoiser import READ, Denoiser
from .jobs import row
from .residence import Residence


class ConditionEncoder:
    """The encodings of a batch's rows; encoded in batches of exactly ``size`` rows too."""

    def __init__(self, denoiser: Denoiser, residence: Residence, device: torch.device) -> None:
        self._denoiser, self._residence, self._device = denoiser, residence, device
        self._encoded: dict[str, dict[str, Tensor]] = {}
        self._last: tuple[tuple[str, ...], int] = (), 0
        self._batch: dict[str, Tensor] = {}

    def __call__(
        self, conditions: Sequence[Condition], size: int, others: Callable[[], Iterable[Condition]]
    ) -> dict[str, Tensor]:
        """Encodings [size, …] of at most ``size`` conditions. ``others``: which more are asked
        for, where the readers come only once for all."""
        keys = tuple(c.key for c in conditions)
        if (keys, size) != self._last:
            fresh = {c.key: c for c in conditions if c.key not in self._encoded}
            if fresh and self._residence.leaves(READ):
                fresh |= {c.key: c for c in others() if c.key not in self._encoded}
            self._read(list(fresh.values()), size)
            found = [self._encoded[k] for k in keys]
            found += [found[0]] * (size - len(found))
            self._last = keys, size
            self._batch = {n: torch.cat([f[n] for f in found]).to(self._device) for n in found[0]}
        return self._batch

    def _read(self, fresh: Sequence[Condition], size: int) -> None:
        for start in range(0, len(fresh), size):
            some = fresh[start : start + size]
            self._residence.enter(READ)
            encoded = self._denoiser.encode([*some, *[some[0]] * (size - len(some))])
            if self._residence.leaves(READ):  # many prompts' encodings wait on the host
                encoded = {n: tensor.cpu() for n, tensor in encoded.items()}
            for i, condition in enumerate(some):
                self._encoded[condition.key] = row(encoded, i)
