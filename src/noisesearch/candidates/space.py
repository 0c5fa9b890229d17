"""What a model can be searched by: shape, grid, process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .trajectory import Trajectory


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


@dataclass(frozen=True)
class PastRun:
    """The complete candidates of a run folder, with their values, and the model that made them.

    ``model``: its name. ``fingerprint``: that of its weights, None where the run recorded none.
    """

    model: str
    fingerprint: str | None
    candidates: Sequence[tuple[Trajectory, float | None]]


@dataclass(frozen=True)
class Known:
    """What an algorithm may learn about the run that it is loaded for.

    ``model`` and ``fingerprint``: name and weights of the run's model. ``shape``: of one noise.
    ``slow_or_paid``: whether some verifier is waited for or costs money. ``past_run``: reads a
    run folder.
    """

    model: str
    fingerprint: str
    shape: tuple[int, ...]
    slow_or_paid: bool
    past_run: Callable[[Path], PastRun]
