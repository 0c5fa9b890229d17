"""Objectives: how replies are compared.

Two faces. ``order`` is ordinal and serves one decision among the replies handed to it; ``value``
is cardinal and the same in every pool. Larger is better in both. A part that is missing is left
out of its candidate's mean if at least half of the parts are there; otherwise the candidate
ranks last (-inf).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .ask import Reply
from .errors import ConfigError, unknown


class Objective(Protocol):
    """Pure functions of the replies; ``parts`` names what they look at."""

    @property
    def parts(self) -> tuple[str, ...]: ...

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        """One number a reply, larger is better; comparable within this call only."""
        ...

    def value(self, reply: Reply) -> float:
        """The same number for the same reply in every pool."""
        ...


def best(objective: Objective, replies: Sequence[Reply]) -> int:
    """Index of the best reply; of equals the first, so that earlier asks win ties."""
    return int(np.argmax(objective.order(replies)))


def ranking(objective: Objective, replies: Sequence[Reply]) -> list[int]:
    """Indices from best to worst; equals keep their order."""
    return [int(i) for i in np.argsort(-objective.order(replies), kind="stable")]


@dataclass(frozen=True)
class Weighted:
    """Weighted sum of parts; a single part is the sum of one."""

    weights: Mapping[str, float]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def value(self, reply: Reply) -> float:
        """Missing parts are left out and the rest scaled up, so candidates stay comparable."""
        have = [p for p in self.weights if p in reply.parts]
        if 2 * len(have) < len(self.weights):
            return -math.inf
        there = sum(abs(self.weights[p]) for p in have)
        whole = sum(map(abs, self.weights.values()))
        return sum(self.weights[p] * reply.parts[p] for p in have) * whole / there

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        return np.array([self.value(r) for r in replies])


def mid_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks [n] from 1 (smallest), equal values sharing the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: npt.NDArray[np.float64] = (ends - (counts - 1) / 2.0)[inverse]
    return middle


@dataclass(frozen=True)
class MeanRank:
    """The paper's Verifier Ensemble: the unweighted mean of the per-part ranks, ties averaged.

    Its ``value`` is the mean over the parts of part / ``scale``, where a part's scale is its
    typical standard deviation among i.i.d. candidates of one prompt.
    """

    scales: Mapping[str, float]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.scales)

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        columns = np.full((len(self.scales), len(replies)), np.nan)
        for row, part in zip(columns, self.scales, strict=True):
            there = [i for i, r in enumerate(replies) if part in r.parts]
            if there:
                ranks = mid_ranks(np.array([replies[i].parts[part] for i in there]))
                # As a fraction of those that have it: a rank among 3 is no rank among 30.
                row[there] = (ranks - 0.5) / len(there)
        present = np.isfinite(columns)
        mean = np.where(present, columns, 0.0).sum(0) / np.maximum(present.sum(0), 1)
        return np.where(2 * present.sum(0) >= len(self.scales), mean, -np.inf)

    def value(self, reply: Reply) -> float:
        have = [p for p in self.scales if p in reply.parts]
        if 2 * len(have) < len(self.scales):
            return -math.inf
        return sum(reply.parts[p] / self.scales[p] for p in have) / len(have)


FORMS = "'part(x)', 'weighted(x=1, y=0.5)' or 'mean-rank(x, y)'"


def parse(text: str, scales: Mapping[str, float]) -> Objective:
    """The objective of a text such as ``weighted(x=1, y=0.5)``; "" is the mean rank of all.

    ``scales`` has every part of the run. A single part is its own order.
    """
    kind, inside = _split(text, scales)
    names = [part.split("=")[0].strip() for part in inside]
    for name in names:
        if name not in scales:
            raise unknown("part of the objective", name, scales)
    if len(set(names)) < len(names):
        raise ConfigError(f"objective {text!r} names a part twice; name each once")
    if kind != "weighted" and any("=" in part for part in inside):
        raise ConfigError(f"objective {text!r} cannot be read: only 'weighted' takes numbers")
    if kind == "part" and len(names) == 1:
        return Weighted({names[0]: 1.0})
    if kind == "mean-rank" and names:
        return (
            Weighted({names[0]: 1.0})
            if len(names) == 1
            else MeanRank({n: scales[n] for n in names})
        )
    if kind == "weighted" and names:
        return Weighted(dict(zip(names, map(_weight, inside), strict=True)))
    raise ConfigError(f"objective {text!r} cannot be read: it must be {FORMS}")


def _split(text: str, scales: Mapping[str, float]) -> tuple[str, list[str]]:
    if not text:
        return "mean-rank", list(scales)
    kind, bracket, rest = text.strip().partition("(")
    if not bracket or not rest.endswith(")"):
        raise ConfigError(f"objective {text!r} cannot be read: it must be {FORMS}")
    return kind.strip(), [p.strip() for p in rest[:-1].split(",") if p.strip()]


def _weight(text: str) -> float:
    name, _, number = text.partition("=")
    try:
        weight = float(number) if number else 1.0
    except ValueError as error:
        raise ConfigError(f"weight of {name.strip()!r} is {number!r}, not a number") from error
    if weight == 0.0 or not math.isfinite(weight):
        raise ConfigError(
            f"weight of {name.strip()!r} is {weight}, but must be finite and not zero; "
            "leave out a part that does not count"
        )
    return weight
