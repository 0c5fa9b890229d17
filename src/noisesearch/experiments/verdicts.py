"""Whether what was claimed holds: decided by an interval, never by wish."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ..errors import unknown
from ..objectives.sets import Rows
from ..objectives.statistics import Interval, rank_correlation
from .estimates import OF_SETS, Estimate, Estimates
from .spec import Claim

Verdict = Literal["holds", "does not hold", "cannot be told"]
FEWEST = 20  # images: of fewer a bootstrap's interval is too narrow to decide anything
TEST = (
    "A claim holds where the 95 % interval of its figure (percentiles of a paired bootstrap over "
    "the images) lies wholly on the claimed side of its bound, does not hold where it lies wholly "
    f"on the other, and cannot be told in between, nor of fewer than {FEWEST} images. An "
    "experiment's finding holds where all its claims hold, does not hold where one does not, and "
    "cannot be told otherwise. No correction for many claims is made."
)
Candidates = Mapping[str, Rows]  # numbers of all candidates [m], by part


@dataclass(frozen=True)
class Judged:
    """A claim, its figure and what follows from it; ``why`` where nothing was computed."""

    says: str
    verdict: Verdict
    interval: Interval | None = None
    bound: str = ""
    why: str = ""

    def json(self) -> dict[str, Any]:
        found = asdict(self)
        return {**found, "interval": self.interval and self.interval.json()}


def judged(
    claims: Sequence[Claim], board: Estimates, candidates: Callable[[str], Candidates]
) -> list[Judged]:
    """Every claim; ``candidates(arm)`` are those of the arm's run."""
    return [_judged(claim, board, candidates) for claim in claims]


def overall(found: Sequence[Judged]) -> Verdict:
    """Of all claims together."""
    verdicts = {each.verdict for each in found}
    if "does not hold" in verdicts:
        return "does not hold"
    return "holds" if verdicts == {"holds"} else "cannot be told"


def decided(interval: Interval, claim: Claim) -> Verdict:
    """By where the interval lies."""
    low, high = interval.low, interval.high
    if claim.more_than is not None:
        sure, against = low > claim.more_than, high < claim.more_than
    else:
        assert claim.less_than is not None
        sure, against = high < claim.less_than, low > claim.less_than
    return "holds" if sure else "does not hold" if against else "cannot be told"


def _judged(claim: Claim, board: Estimates, candidates: Callable[[str], Candidates]) -> Judged:
    if claim.untestable:
        return Judged(claim.says, "cannot be told", why=claim.untestable)
    if claim.correlate:
        found = _correlation(claim.correlate, candidates(claim.of))
    else:
        found = board.contrast(claim.contrast, claim.column)
    sign, bound = (">", claim.more_than) if claim.less_than is None else ("<", claim.less_than)
    few = not claim.correlate and board.arms[0].images < FEWEST
    verdict: Verdict = "cannot be told" if few else decided(found.interval, claim)
    return Judged(claim.says, verdict, found.interval, f"{sign} {bound:g}")


def _correlation(parts: tuple[str, str], candidates: Candidates) -> Estimate:
    """Spearman's over all candidates that have both numbers."""
    for part in parts:
        if part not in candidates:
            raise unknown("part of the correlation", part, candidates)
    first, second = (np.asarray(candidates[part]) for part in parts)
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    drawn = np.random.default_rng(0).integers(0, len(first), (OF_SETS, len(first)))
    draws = np.array([rank_correlation(first[rows], second[rows]) for rows in drawn])
    return Estimate(rank_correlation(first, second), draws)
