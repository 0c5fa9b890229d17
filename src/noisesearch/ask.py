"""What an algorithm asks and what it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .keys import digest
from .noise import Array
from .trajectory import Trajectory


@dataclass(frozen=True)
class Score:
    """The parts of the verifiers; None means all that the run has."""

    parts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Gradient:
    """The gradient of Σ weight·part with respect to the start noise, and the parts with it.

    ``weights``: (part, weight) pairs.
    """

    weights: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Ask:
    """A question about one trajectory; ``tag`` is for reports and not part of the key."""

    trajectories: tuple[Trajectory, ...]
    want: Score | Gradient = Score()
    tag: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    @property
    def trajectory(self) -> Trajectory:
        return self.trajectories[0]

    @property
    def key(self) -> str:
        """A score's is its trajectory's, so a later verifier adds to a known candidate."""
        if isinstance(self.want, Gradient):
            return digest("gradient", self.trajectory.key, sorted(self.want.weights))
        return self.trajectory.key

    def answered_by(self, reply: Reply | None) -> bool:
        """True where the reply holds what is asked."""
        if reply is None:
            return False
        return not isinstance(self.want, Gradient) or self.key in reply.gradients


def score(trajectory: Trajectory, **tag: Any) -> Ask:
    """Ask for every part of one trajectory's sample (or preview, where it is unfinished)."""
    return Ask((trajectory,), tag=tag)


@dataclass(frozen=True)
class Reply:
    """Named numbers, and for those that could not be had the reason.

    Contract: every number in ``parts`` is finite; a part is in one of the two mappings. ``cost``
    holds measured seconds by verifier and is no part of the reply's identity. ``gradients`` holds
    the blob of each gradient asked for, by the ask's key; ``arrays`` the same before the driver
    has stored them.
    """

    trajectory: Trajectory
    parts: Mapping[str, float]
    missing: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict, compare=False)
    gradients: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict, compare=False, repr=False)

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
