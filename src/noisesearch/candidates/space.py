"""What a model can be searched by: shape, grid, process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Space:
    """What the model lets an algorithm do; no tensors.

    ``shape``: of one noise. ``times(grid)``: the times of a grid's levels, or pairs (arrived,
    left) where a schedule looks at a level at another time than the step before it came to.
    ``stochastic``: the run's solver injects noise, so moves name a seed. ``drafts``: what a
    candidate can be asked for at, and the steps of each: "full", and drafts by their text.
    """

    shape: tuple[int, ...]
    times: Callable[..., Sequence[float] | Sequence[tuple[float, float]]]
    stochastic: bool = False
    differentiable: bool = False
    black_box: bool = False
    drafts: Mapping[str, int] = field(default_factory=dict)


PIPELINE = "pipeline"  # the solver of a run whose steps are a pipeline's own
