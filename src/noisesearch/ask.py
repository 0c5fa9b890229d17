"""What an algorithm asks and what it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .keys import digest
from .trajectory import Trajectory


@dataclass(frozen=True)
class Score:
    """The parts of the verifiers; None means all that the run has."""

    parts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Ask:
    """A question about one trajectory; ``tag`` is for reports and not part of the key."""

    trajectories: tuple[Trajectory, ...]
    want: Score = Score()
    tag: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @property
    def trajectory(self) -> Trajectory:
        return self.trajectories[0]

    @property
    def key(self) -> str:
        """The same for every set of parts, so a later verifier adds to a known candidate."""
        return digest("score", [t.key for t in self.trajectories])


def score(trajectory: Trajectory, **tag: Any) -> Ask:
    """Ask for every part of one trajectory's sample (or preview, where it is unfinished)."""
    return Ask((trajectory,), tag=tag)


@dataclass(frozen=True)
class Reply:
    """Named numbers, and for those that could not be had the reason.

    Contract: every number in ``parts`` is finite; a part is in one of the two mappings. ``cost``
    holds measured seconds by verifier and is no part of the reply's identity.
    """

    trajectory: Trajectory
    parts: Mapping[str, float]
    missing: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        trajectory: Trajectory,
        numbers: Mapping[str, float | str],
        cost: Mapping[str, float] | None = None,
    ) -> Reply:
        """From numbers and, in place of a number, reasons; NaN and infinity become missing."""
        parts: dict[str, float] = {}
        missing: dict[str, str] = {}
        for name, value in numbers.items():
            if isinstance(value, str):
                missing[name] = value
            elif not math.isfinite(value):
                missing[name] = f"the verifier gave {value}"
            else:
                parts[name] = float(value)
        return cls(trajectory, parts, missing, cost or {})
