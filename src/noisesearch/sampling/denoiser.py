"""The door to the network: the denoiser protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..candidates.condition import Condition
from .process import Process
from .solvers import Pair

Encoded = Mapping[str, Tensor]
# The phases of the work: prompts are read; noise is denoised; samples are decoded and scored.
READ, DENOISE, LOOK = PHASES = ("read", "denoise", "look")
Memory = tuple[Tensor, ...]  # what a denoiser keeps of a row between two evaluations
RowMemories = dict[
    int, Memory | None
]  # the rows of a batch that are work, with what is kept of each


class Denoiser(Protocol):
    """A network in its own coordinates, x_t = α(t)·x0 + σ(t)·ε.

    Contract: rows are independent of each other; ``t`` is a time a row, 1 noise to 0 clean; a
    model with another clock converts inside. ``forwards``: network calls in one evaluation (2
    under classifier-free guidance). ``flops``: of one forward of one sample.

    What it may offer beyond this is in :mod:`sampling.capabilities`.
    """

    @property
    def process(self) -> Process: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def forwards(self) -> int: ...
    @property
    def flops(self) -> int: ...

    def encode(self, conditions: Sequence[Condition]) -> Encoded:
        """Tensors [B, …] that hold all the network needs of the conditions."""
        ...

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded) -> Pair:
        """(x0, ε) at x [B, …] and t [B]; finite at t = 0 and t = 1."""
        ...

    def decode(self, x0: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [0, 1] of clean samples [B, …]."""
        ...


def fill(rows: Sequence[Tensor], size: int) -> Tensor:
    """Rows stacked to a batch of exactly ``size``, the empty places copies of the first.

    A matrix product gives a row other last bits in another batch size; at one fixed shape a
    row's bits do not depend on its slot or its companions.
    """
    return torch.stack([*rows, *[rows[0]] * (size - len(rows))])
