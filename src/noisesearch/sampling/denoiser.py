"""The door to the network: the denoiser protocol and the wrapper that pads and counts."""

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

    It may also have ``networks``, its modules by phase (READ, DENOISE, LOOK), which are then moved
    where a phase needs them; ``compile()``, after which torch.compile has hold of its network;
    ``tile()``, after which pictures are decoded in tiles; ``work(rows)``, the bytes that each
    phase needs beside its weights.

    As drafts need it: ``recall(x, t, encoded, live) -> (x0, eps)``, the same evaluation by a
    network that remembers: it finds in ``live`` what it kept of each row that is work, None at a
    row's first evaluation, and leaves what it keeps; a memory that is the one it found means that
    the row was not computed in full. And ``rewired(change) -> Denoiser``, itself with the network
    that ``change(network)`` gives.
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


class Counted:
    """A denoiser called at one fixed number of rows, and the count of the rows that were meant."""

    def __init__(self, denoiser: Denoiser, rows: int) -> None:
        self.denoiser = denoiser
        self.rows = rows
        self.nfe = 0

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded, live: RowMemories) -> Pair:
        """One evaluation of x [rows, …]; the rows of ``live`` are work, the others fillers."""
        assert x.shape[0] == self.rows, "the worker fills every batch"
        recall = getattr(self.denoiser, "recall", None)
        pair: Pair
        pair = self.denoiser(x, t, encoded) if recall is None else recall(x, t, encoded, live)
        self.nfe += len(live)  # a call that failed is made again, and is no work
        return pair

    @property
    def forwards(self) -> int:
        return self.nfe * self.denoiser.forwards
