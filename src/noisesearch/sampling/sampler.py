"""The door to a black box: a pipeline with a loop of its own, from start noises to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ..candidates.condition import Condition


class Sampler(Protocol):
    """Whole samples from start noises: no previews, no gradients, no times.

    ``shape``: of one noise, in the layout that the pipeline takes. ``forwards``: network calls in
    an evaluation of one sample. ``flops``: of one forward. ``together``: rows may share a call;
    where not, each call has one. ``rows``: of a call, unless asked otherwise.
    ``seconds_per_nfe``: measured when it was loaded, for plans.

    Contract: a row depends on its own noise, seed and condition, up to the rounding of a batch.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def forwards(self) -> int: ...
    @property
    def flops(self) -> int: ...
    @property
    def together(self) -> bool: ...
    @property
    def rows(self) -> int: ...
    @property
    def seconds_per_nfe(self) -> float: ...

    def price(self, steps: int) -> int:
        """NFE of one sample at so many steps; ConfigError where they cannot be had."""
        ...

    def alike(self, one: Condition, other: Condition) -> bool:
        """True where two conditions may share a call."""
        ...

    def sample(
        self, noises: Tensor, seeds: Sequence[int], conditions: Sequence[Condition], steps: int
    ) -> tuple[Tensor, int]:
        """Images [B, 3, H, W] or videos [B, F, 3, H, W] in [0, 1] of noises [B, …], and the NFE
        that each row took. ``seeds`` name whatever else a row draws."""
        ...
