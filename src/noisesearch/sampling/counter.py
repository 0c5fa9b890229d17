"""A denoiser that is called at one size and counted."""

from __future__ import annotations

from torch import Tensor

from ..names.capabilities import offered
from .capabilities import Remembering
from .denoiser import Denoiser, Encoded, RowMemories
from .solvers import Pair


class Counted:
    """A denoiser called at one fixed number of rows, and the count of the rows that were meant."""

    def __init__(self, denoiser: Denoiser, rows: int) -> None:
        self.denoiser = denoiser
        self.rows = rows
        self.nfe = 0
        self._remembering = offered(denoiser, Remembering)

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded, live: RowMemories) -> Pair:
        """One evaluation of x [rows, …]; the rows of ``live`` are work, the others fillers."""
        assert x.shape[0] == self.rows, "the worker fills every batch"
        if self._remembering is None:
            pair = self.denoiser(x, t, encoded)
        else:
            pair = self._remembering.recall(x, t, encoded, live)
        self.nfe += len(live)  # a call that failed is made again, and is no work
        return pair

    @property
    def forwards(self) -> int:
        return self.nfe * self.denoiser.forwards
