"""How likely a network finds the answers yes and no to a question about a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..protocol import Views

STEP = 32  # questions are padded to a multiple of so many tokens


class Answerer(Protocol):
    """A network that is asked about pictures.

    Contract: returns the logarithms [B, 2] of the probabilities that its answer to question i
    about image i begins with yes, and with no. Rows are independent, to the bit.
    """

    @property
    def fingerprint(self) -> str: ...
    @property
    def differentiable(self) -> bool: ...
    @property
    def networks(self) -> tuple[nn.Module, ...]: ...

    def __call__(self, views: Views, questions: Sequence[str]) -> Tensor: ...


def by_length(lengths: Sequence[int], ask: Callable[[list[int], int], Tensor]) -> Tensor:
    """[B, …] of ``ask(rows, length)``, which answers rows whose questions have at most ``length``
    tokens.

    It is always called with B rows, some of them copies, and a row always with one length, so that
    what comes out does not depend on a row's companions, which the padding to the longest would
    make it do.
    """
    padded = [-(-length // STEP) * STEP for length in lengths]
    found: dict[int, Tensor] = {}
    for length in sorted(set(padded)):
        rows = [i for i, p in enumerate(padded) if p == length]
        answers = ask([*rows, *rows[:1] * (len(padded) - len(rows))], length)
        found |= dict(zip(rows, answers, strict=False))
    return torch.stack([found[i] for i in range(len(padded))])


def padded(rows: Sequence[Tensor], length: int, value: float = 0) -> Tensor:
    """[B, length] of rows [L], each filled at its end with ``value``."""
    return torch.stack([F.pad(row, (0, length - len(row)), value=value) for row in rows])
