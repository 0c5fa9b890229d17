"""What an algorithm asks and what it is told."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .keys import digest
from .noise import Array
from .trajectory import Trajectory

GRADIENT = "gradient:"  # how the key of an ask for one begins
NOTHING: Mapping[str, Any] = MappingProxyType({})  # one for all: there are many replies


def nothing() -> Mapping[str, Any]:
    return NOTHING


@dataclass(frozen=True)
class Score:
    """The parts of the verifiers; None means all that the search is judged by."""

    parts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Gradient:
    """The gradient of Σ weight·part with respect to the start noise, and the parts with it.

    ``weights``: (part, weight) pairs.
    """

    weights: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Features:
    """What a verifier sees in the sample, an array [d], and all the parts with it."""

    verifier: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question about one trajectory; ``tag`` is for reports and not part of the key.

    ``key``: of the question; that of a score of everything is its trajectory's.
    """

    trajectory: Trajectory
    want: Score | Gradient | Features = Score()
    tag: Mapping[str, Any] = field(default_factory=nothing, hash=False, compare=False)
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self._key())

    def _key(self) -> str:
        match self.want:
            case Gradient(weights):
                return GRADIENT + digest(self.trajectory.key, sorted(weights))
            case Features(verifier):
                return digest("features", self.trajectory.key, verifier)
            case Score(parts) if parts is not None:
                return digest("score", self.trajectory.key, sorted(parts))
        return self.trajectory.key

    @property
    def stored(self) -> bool:
        """True where the answer has an array beside its numbers."""
        return isinstance(self.want, Gradient | Features)

    def parts(self, all_: tuple[str, ...]) -> tuple[str, ...]:
        """The parts asked for, where the search is judged by ``all_``."""
        wanted = self.want.parts if isinstance(self.want, Score) else None
        return all_ if wanted is None else wanted

    def answered_by(self, reply: Reply | None, all_: tuple[str, ...]) -> bool:
        """True where the reply holds what is asked, a number or a reason for every part."""
        if reply is None or (self.stored and self.key not in reply.blobs):
            return False
        return all(p in reply.parts or p in reply.missing for p in self.parts(all_))


def score(trajectory: Trajectory, **tag: Any) -> Ask:
    """Ask for every part of one trajectory's sample (or preview, where it is unfinished)."""
    return Ask(trajectory, tag=tag)


@dataclass(frozen=True, slots=True)
class Reply:
    """Named numbers, and for those that could not be had the reason.

    Contract: every number in ``parts`` is finite; a part is in one of the two mappings. ``cost``
    holds measured seconds by verifier and is no part of the reply's identity. ``blobs`` holds the
    key of the array that an ask for a gradient or for features gave, by the ask's key; ``arrays``
    the same before the driver has stored them. ``spent``: calls, tokens, money by verifier.
    """

    trajectory: Trajectory
    parts: Mapping[str, float]
    missing: Mapping[str, str] = field(default_factory=nothing)
    cost: Mapping[str, float] = field(default_factory=nothing, compare=False)
    blobs: Mapping[str, str] = field(default_factory=nothing)
    arrays: Mapping[str, Array] = field(default_factory=nothing, compare=False, repr=False)
    spent: Mapping[str, Mapping[str, float]] = field(default_factory=nothing, compare=False)

    @classmethod
    def of(
        cls,
        trajectory: Trajectory,
        numbers: Mapping[str, float | str],
        cost: Mapping[str, float] | None = None,
        spent: Mapping[str, Mapping[str, float]] | None = None,
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
        return cls(trajectory, parts, missing or NOTHING, cost or NOTHING, spent=spent or NOTHING)

    def only(self, parts: Collection[str]) -> Reply:
        """What it says of some parts, and its arrays."""
        if self.parts.keys() <= set(parts) and not self.missing:
            return self
        return replace(
            self,
            parts={k: v for k, v in self.parts.items() if k in parts},
            missing={k: v for k, v in self.missing.items() if k in parts} or NOTHING,
        )

    def joined(self, other: Reply) -> Reply:
        """What both say of one trajectory; where they differ, the other."""
        parts = {k: v for k, v in self.parts.items() if k not in other.missing}
        missing = {k: v for k, v in self.missing.items() if k not in other.parts}
        return Reply(
            self.trajectory,
            {**parts, **other.parts},
            {**missing, **other.missing},
            {**self.cost, **other.cost},
            {**self.blobs, **other.blobs},
            {**self.arrays, **other.arrays},
            {**self.spent, **other.spent},
        )
