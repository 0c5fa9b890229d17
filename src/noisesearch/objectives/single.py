"""Objectives: how replies are compared.

Two faces. ``order`` is ordinal and serves one decision among the replies handed to it; ``value``
is cardinal and the same in every pool. Larger is better in both. A part that is missing is left
out of its candidate's mean if at least half of the parts are there; otherwise the candidate
ranks last (-inf). Their text forms are read by :mod:`noisesearch.objectives.text`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..candidates.ask import Reply
from ..errors import ConfigError


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
    ordered = np.sort(values)  # np.unique takes several times as long for a few
    below, up_to = (ordered.searchsorted(values, side) for side in ("left", "right"))
    middle: npt.NDArray[np.float64] = (below + up_to + 1) / 2.0
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
        total, have = np.zeros(len(replies)), np.zeros(len(replies))
        for part in self.scales:
            there = [i for i, r in enumerate(replies) if part in r.parts]
            if there:
                ranks = mid_ranks(np.array([replies[i].parts[part] for i in there]))
                # As a fraction of those that have it: a rank among 3 is no rank among 30.
                total[there] += (ranks - 0.5) / len(there)
                have[there] += 1
        mean = total / np.maximum(have, 1)
        return np.where(2 * have >= len(self.scales), mean, -np.inf)

    def value(self, reply: Reply) -> float:
        have = [p for p in self.scales if p in reply.parts]
        if 2 * len(have) < len(self.scales):
            return -math.inf
        return sum(reply.parts[p] / self.scales[p] for p in have) / len(have)


def gradient_weights(objective: Objective) -> dict[str, float]:
    """The weight of each part in the objective's value; ConfigError where it is not a sum."""
    if isinstance(objective, Weighted):
        return dict(objective.weights)
    if isinstance(objective, MeanRank):
        count = len(objective.scales)
        return {part: 1.0 / (scale * count) for part, scale in objective.scales.items()}
    raise ConfigError(
        f"a {type(objective).__name__.lower()} objective has no gradient; use a part, a weighted "
        "sum or a mean rank"
    )


@dataclass(frozen=True)
class Lexicographic:
    """The first part decides, the next only where the first are equal, and so on.

    ``grains``: the differences that count, by part; 0.5 makes 5.6 and 5.9 equal. Its ``value`` is
    that of the first part, rounded so.
    """

    grains: Mapping[str, float]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.grains)

    def _rounded(self, reply: Reply) -> tuple[float, ...]:
        """A missing part is worse than any number; with the first missing, all is."""
        grain = self.grains
        return tuple(
            -math.inf if (v := reply.parts.get(p)) is None
            else math.floor(v / grain[p]) * grain[p] if grain[p] else v
            for p in grain
        )  # fmt: skip

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        keys = [self._rounded(r) for r in replies]
        place = {key: float(i) for i, key in enumerate(sorted(set(keys)))}
        return np.array([-math.inf if math.isinf(k[0]) else place[k] for k in keys])

    def value(self, reply: Reply) -> float:
        return self._rounded(reply)[0]


UNMET = 1000.0  # a value below those of all candidates that keep the bounds


@dataclass(frozen=True)
class Bound:
    """``part`` at least (or, with ``above`` false, at most) ``limit``."""

    part: str
    limit: float
    above: bool
    scale: float

    def excess(self, reply: Reply) -> float:
        """By how many standard deviations the bound is broken; 0 where it is kept."""
        value = reply.parts.get(self.part)
        if value is None:
            return math.inf
        short = self.limit - value if self.above else value - self.limit
        return max(0.0, short) / self.scale

    def __str__(self) -> str:
        return f"{self.part} {'>=' if self.above else '<='} {self.limit:g}"


@dataclass(frozen=True)
class Constrained:
    """Candidates that keep all bounds, by another objective; after them the others, the nearest
    first. The ``value`` of one that breaks a bound is at most -UNMET.
    """

    bounds: tuple[Bound, ...]
    then: Objective

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*(b.part for b in self.bounds), *self.then.parts)))

    def unmet(self, reply: Reply) -> tuple[Bound, ...]:
        """The bounds that a candidate breaks."""
        return tuple(b for b in self.bounds if b.excess(reply) > 0)

    def _away(self, reply: Reply) -> float:
        return sum(b.excess(reply) for b in self.bounds)

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        """Those within the bounds from 0 up by the other's order, the others below 0."""
        away = np.array([self._away(r) for r in replies])
        inside = [i for i, distance in enumerate(away) if distance == 0]
        result = -away
        if inside:
            among = self.then.order([replies[i] for i in inside])
            result[inside] = np.where(np.isneginf(among), -np.inf, mid_ranks(among))
        return result

    def value(self, reply: Reply) -> float:
        away = self._away(reply)
        return self.then.value(reply) if away == 0 else -UNMET * (1 + away)


def unmet(objective: Objective, reply: Reply) -> tuple[Bound, ...]:
    """Return the bounds that a candidate breaks; none where the objective has no bounds."""
    return objective.unmet(reply) if isinstance(objective, Constrained) else ()


@dataclass(frozen=True)
class Pareto:
    """No part is traded for another: candidates that no other beats in every part come first.

    Among equals the sum of part / ``scale`` decides, which is also the ``value``; so a search
    has one pivot to go on from, and a run returns the whole :meth:`front`.
    """

    scales: Mapping[str, float]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.scales)

    def value(self, reply: Reply) -> float:
        if any(p not in reply.parts for p in self.scales):
            return -math.inf
        return sum(reply.parts[p] / s for p, s in self.scales.items()) / len(self.scales)

    def fronts(self, replies: Sequence[Reply]) -> list[int]:
        """The front each reply is on, from 0; -1 where a part is missing."""
        rows = {i: np.array([r.parts[p] for p in self.scales]) for i, r in enumerate(replies)
                if math.isfinite(self.value(r))}  # fmt: skip
        result, number = [-1] * len(replies), 0
        while rows:
            table = np.stack(list(rows.values()))
            unbeaten = [
                i for i, row in rows.items()
                if not ((row <= table).all(1) & (row < table).any(1)).any()
            ]  # fmt: skip
            for i in unbeaten:
                result[i] = number
                del rows[i]
            number += 1
        return result

    def front(self, replies: Sequence[Reply]) -> list[int]:
        """Indices of the replies that no other beats, best value first."""
        fronts = self.fronts(replies)
        return [i for i in ranking(self, replies) if fronts[i] == 0]

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        fronts = self.fronts(replies)
        values = np.array([self.value(r) for r in replies])
        within = mid_ranks(values) / (len(values) + 1)
        return np.array([-np.inf if f < 0 else w - f for f, w in zip(fronts, within, strict=True)])


@dataclass(frozen=True)
class Stage:
    """Candidates are ordered by ``objective``, and the ``keep`` best of a yield go on: a number,
    or below 1 a share; None in the last stage.
    """

    objective: Objective
    keep: float | None = None

    def kept(self, replies: Sequence[Reply]) -> list[int]:
        """Indices of those that go on, in the order they were asked."""
        share = self.keep if self.keep is not None else len(replies)
        count = math.ceil(share * len(replies)) if share < 1 else int(share)
        return sorted(ranking(self.objective, replies)[:count])


@dataclass(frozen=True)
class Cascade:
    """A cheap verifier looks at all candidates of a yield, a dear one at the best of them.

    Who came further is better; among those who came equally far their last stage decides, and
    its objective gives the ``value``, less UNMET for each stage not reached.
    """

    stages: tuple[Stage, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p for stage in self.stages for p in stage.objective.parts))

    def reached(self, reply: Reply) -> int:
        """Number of the last stage that looked at a candidate; -1 where none did."""
        looked = reply.parts.keys() | reply.missing.keys()
        number = -1
        for stage in self.stages:
            if looked.isdisjoint(stage.objective.parts):
                break
            number += 1
        return number

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        at = [self.reached(r) for r in replies]
        result = np.full(len(replies), -np.inf)
        for number, stage in enumerate(self.stages):
            if here := [i for i, reached in enumerate(at) if reached == number]:
                among = stage.objective.order([replies[i] for i in here])
                within = number + mid_ranks(among) / (len(here) + 1)
                result[here] = np.where(np.isneginf(among), -np.inf, within)
        return result

    def value(self, reply: Reply) -> float:
        at = self.reached(reply)
        if at < 0:
            return -math.inf
        return self.stages[at].objective.value(reply) - UNMET * (len(self.stages) - 1 - at)
