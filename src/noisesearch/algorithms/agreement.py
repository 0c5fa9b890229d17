"""How the drafts that a search looked at rank noises, told by those that it had in full too."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..candidates.ask import Reply
from ..candidates.trajectory import FULL
from ..objectives.single import Objective
from ..objectives.statistics import mean, rank_correlation

LEAST = 4  # noises, for a rank correlation to say anything
SURE = 1.96  # deviations of a normal to either side of 95 % of it


@dataclass(frozen=True)
class Agreement:
    """``correlation``: Spearman's between the scores of a draft and of the full samples of the
    same ``pairs`` noises, and its 95 % interval; 0 where all of one are alike, None where there
    are too few."""

    pairs: int
    correlation: float | None = None
    low: float | None = None
    high: float | None = None

    def json(self) -> dict[str, Any]:
        return asdict(self)


def agreement(objective: Objective, drafts: Iterable[Reply], full: Iterable[Reply]) -> Agreement:
    """Of replies to drafts and to full samples; those without a value count for nothing."""
    known = {r.trajectory.noise.key: objective.value(r) for r in drafts}
    pairs = [(known.get(r.trajectory.noise.key, math.nan), objective.value(r)) for r in full]
    both = [pair for pair in pairs if all(map(math.isfinite, pair))]
    if len(both) < LEAST:
        return Agreement(len(both))
    drafted, finished = np.array(both).T
    alike = np.ptp(drafted) == 0 or np.ptp(finished) == 0
    found = 0.0 if alike else rank_correlation(drafted, finished)
    return Agreement(len(both), found, *interval(found, len(both)))


def interval(correlation: float, pairs: int) -> tuple[float, float]:
    """95 % of Spearman's, by Fisher's z with the variance (1 + ρ²/2)/(n − 3) of Bonett and Wright
    (2000).

    A perfect order has no width there. It is taken as the order that is one swap of neighbours
    away, the nearest that n noises can have.
    """
    nearest = 1 - 12 / (pairs * (pairs**2 - 1))
    z = math.atanh(max(-nearest, min(nearest, correlation)))
    reach = SURE * math.sqrt((1 + correlation**2 / 2) / (pairs - 3))
    return math.tanh(z - reach), min(1.0, max(correlation, math.tanh(z + reach)))


def agreements(
    objective: Objective, replies: Sequence[Reply], drafts: Collection[str]
) -> dict[str, Agreement]:
    """Of every draft that was looked at beside full samples, by its text."""
    full = [r for r in replies if r.trajectory.finished and r.trajectory.draft == FULL]
    found = {}
    for draft in drafts:
        mine = [r for r in replies if r.trajectory.draft == draft]
        if draft != FULL and mine and full:
            found[draft] = agreement(objective, mine, full)
    return found


def sentences(searches: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What a run's JSON says of its drafts, a sentence each; of several searches the mean, with
    the bootstrap interval over them."""
    for draft in dict.fromkeys(name for s in searches for name in s.get("drafts", ())):
        every = [s["drafts"][draft] for s in searches if draft in s.get("drafts", ())]
        told = [of for of in every if of["correlation"] is not None]
        pairs = sum(of["pairs"] for of in every)
        what = f"draft {draft} was finished in full for {pairs} noise{'s' * (pairs != 1)}"
        if not told:
            yield f"{what}: too few of a prompt to say how it ranks them"
            continue
        if len(told) == 1:
            (of,) = told
            figures = f"{of['correlation']:.2f} [{of['low']:.2f}, {of['high']:.2f}]"
        else:
            figures = mean([of["correlation"] for of in told]).text(".2f")
            figures += f", the mean over {len(told)} searches"
        yield f"{what}, and ranks them as their full samples do with Spearman's {figures}"
