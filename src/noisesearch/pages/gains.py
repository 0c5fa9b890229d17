"""What a search changed, over all of its conditions."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..objectives.statistics import Interval, means, paired
from ..store.answered_candidates import AnsweredCandidate
from ..store.history import RunHistory, SearchHistory

VALUE = "objective"  # the row and the curve of the objective's own value
POINTS = 24  # places on a curve, spread evenly over its longest search


@dataclass(frozen=True)
class Gain:
    """One part over the pairs that have it on both sides: a pair a condition, or a pair a place
    of a set. ``interval``: of the mean gain, paired bootstrap, 95 %; None for one pair, which has
    none. ``scale``: the part's usual deviation among candidates of one prompt, where known."""

    part: str
    role: str
    pairs: int
    baseline: float
    winner: float
    better: int
    worse: int
    interval: Interval | None
    scale: float | None

    @property
    def delta(self) -> float:
        return self.winner - self.baseline

    @property
    def verdict(self) -> str:
        """What the interval allows to be said; of one condition only which way it went."""
        if self.interval is None:
            return "unchanged" if self.delta == 0 else "higher" if self.delta > 0 else "lower"
        if self.better == self.worse == 0:
            return "unchanged"
        if self.interval.low > 0:
            return "rose"
        return "fell" if self.interval.high < 0 else "cannot be told"


def number_of(candidate: AnsweredCandidate, part: str) -> float | None:
    """A candidate's number for a part, or its value; None where that was left out by a bound."""
    if part != VALUE:
        return candidate.reply.parts.get(part)
    return None if candidate.out else candidate.score


def gains(reading: RunHistory) -> list[Gain]:
    """The objective first, where it has values, then every part."""
    names = [*([VALUE] if reading.objective else []), *reading.parts]
    return [gain for name in names if (gain := _gain(reading, name)) is not None]


def _gain(reading: RunHistory, part: str) -> Gain | None:
    pairs = [(number_of(a, part), number_of(b, part)) for a, b in reading.pairs()]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not known:
        return None
    before, after = zip(*known, strict=True)
    return Gain(
        part,
        "objective" if part == VALUE else reading.role(part),
        len(known),
        math.fsum(before) / len(known),
        math.fsum(after) / len(known),
        sum(b > a for a, b in known),
        sum(b < a for a, b in known),
        paired(before, after) if len(known) > 1 else None,
        reading.spec.scales.get(part),
    )


@dataclass(frozen=True)
class Curve:
    """The mean gain of the best so far over the baseline at ``nfe`` spent a condition. Every
    point is over the same conditions; ``low`` and ``high`` are their 95 % interval."""

    part: str
    held_out: bool
    nfe: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def curves(reading: RunHistory) -> list[Curve]:
    """Of the objective and every part, where the best so far is known: needs an objective with
    values and several conditions."""
    if reading.objective is None or len(reading.searches) < 2:
        return []
    last = max(c.nfe for s in reading.searches for c in s.candidates)
    grid = sorted({round(last * (i + 1) / POINTS, 3) for i in range(POINTS)})
    found = (_curve(reading, part, grid) for part in (VALUE, *reading.parts))
    return [curve for curve in found if curve is not None]


def _curve(reading: RunHistory, part: str, grid: Sequence[float]) -> Curve | None:
    before: list[float] = []
    along: list[list[float]] = []
    for search in reading.searches:
        base = number_of(search.baseline, part)
        leaders = _leading(search, part)
        if base is None or not leaders:
            continue
        before.append(base)
        at = [nfe for nfe, _ in leaders]
        # Before the search has answered, the baseline is what there is.
        along.append([leaders[k - 1][1] if (k := bisect_right(at, x)) else base for x in grid])
    if len(before) < 2:
        return None
    points = means(np.asarray(along) - np.asarray(before)[:, None])
    return Curve(
        part,
        part in reading.held_out,
        grid,
        [p.delta for p in points],
        [p.low for p in points],
        [p.high for p in points],
    )


def _leading(search: SearchHistory, part: str) -> list[tuple[float, float]]:
    """(NFE, the part's number) of each best so far that has one."""
    bests = [search.candidates[i] for i in search.bests()]
    known = [(c.nfe, number_of(c, part)) for c in bests]
    return [(nfe, number) for nfe, number in known if number is not None]
