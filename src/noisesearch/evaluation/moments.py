"""Features of images as they come, batch by batch: in one pass, and over several processes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..objectives.sets import Moments

Features = npt.NDArray[np.float32 | np.float64]
BLOCK = 1024  # rows that are entered together


@dataclass
class Accumulator:
    """Count, mean and scatter of rows [b, d] that are added in batches; none of them is kept.

    Rows are entered in blocks of one size, whatever the batches, so the moments of the same rows
    in the same order are equal to the bit. Processes that saw a share of the images each add up by
    :meth:`Moments.merged`, which agrees to about 1e-12.
    """

    _entered: Moments | None = None
    _waiting: list[Features] = field(default_factory=list)
    _count: int = 0

    def add(self, rows: Features) -> None:
        while len(rows):
            some = rows[: BLOCK - self._count]
            self._waiting.append(some)
            self._count += len(some)
            rows = rows[len(some) :]
            if self._count == BLOCK:
                self._entered = self.moments
                self._waiting, self._count = [], 0

    @property
    def moments(self) -> Moments:
        """Of all rows so far; ValueError where there are none."""
        if not self._waiting:
            if self._entered is None:
                raise ValueError("moments of no rows")
            return self._entered
        fresh = Moments.of(np.concatenate(self._waiting).astype(np.float64))
        return fresh if self._entered is None else self._entered.merged(fresh)
