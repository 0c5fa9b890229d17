"""A run's budget spent on the prompts where the next candidates are expected to gain most."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .live_search import LiveSearch

FIRST = 0.25  # of an even share: what every search has before any is compared
ROUNDS = 6  # in which the rest is given out
POOLED = 3  # candidates' worth that the other searches' spread counts in one's own
GRID = 64  # points at which an expectation is worked out

Values = npt.NDArray[np.float64]


def gain(values: Values, more: int, spread: float) -> float:
    """By how much the best of values [n] is expected to rise with ``more`` further draws.

    Draws are of the kernel estimate of the values' law (Silverman 1986, equation 3.31, with
    ``spread`` for the deviation), so a prompt whose values crowd at their top has less to hope
    for than one of the same deviation whose best stands alone: ∫ 1 − F(x)^more dx from the best
    on.
    """
    width = 0.9 * spread * len(values) ** -0.2
    if not more or not width > 0:
        return 0.0
    best = float(values.max())
    x = np.linspace(best, best + 5 * width, GRID)
    inside = normal((x[:, None] - values) / width).mean(1)
    return float(np.trapezoid(1 - inside**more, x))


def normal(z: Values) -> Values:
    """The distribution function of the unit normal."""
    found: Values = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(z / math.sqrt(2)))
    return found


@dataclass
class Allocation:
    """What each search of a run may spend, in NFE: at first the same, then more where more gains.

    It decides by replies alone, when all searches have spent what they had, so that a resume
    decides the same. ``total``: the run's. ``candidate``: NFE of one.
    """

    total: float
    candidate: float
    count: int
    amounts: list[float] = field(init=False)
    left: int = ROUNDS

    def __post_init__(self) -> None:
        share = max(2.0, FIRST * self.total / self.count // self.candidate) * self.candidate
        self.amounts = [min(share, self.total / self.count)] * self.count

    def more(self, searches: Sequence[LiveSearch]) -> bool:
        """Give out the next round's part; False where nothing is left that anybody could use."""
        spent = [live.ledger.counted for live in searches]
        units = int((self.total - sum(spent)) // self.candidate)
        values = [_values(live) for live in searches]
        limits = [live.settings.limits for live in searches]
        open_ = [i for i, of in enumerate(limits) if len(values[i]) and not (of and of.why)]
        if self.left < 1 or units < 1 or not open_:
            return False
        given = self._shared(values, open_, -(-units // self.left))
        self.left -= 1
        for i in open_:  # the others end again where they ended
            self.amounts[i] = spent[i] + given[i] * self.candidate
        return True

    def _shared(self, values: Sequence[Values], open_: Sequence[int], units: int) -> list[int]:
        """Candidates one by one, each where it is expected to gain most; of equals to whoever
        has had the least."""
        own = {i: float(values[i].std()) for i in open_}
        pooled = float(np.mean(list(own.values())))
        spread = {i: (len(values[i]) * own[i] + POOLED * pooled) / (len(values[i]) + POOLED)
                  for i in open_}  # fmt: skip
        given = [0] * len(values)

        def next_(i: int) -> tuple[float, int, int]:
            now, then = (gain(values[i], given[i] + k, spread[i]) for k in (0, 1))
            return now - then, len(values[i]) + given[i], i

        heap = [next_(i) for i in open_]
        heapq.heapify(heap)
        for _ in range(units):
            _, _, i = heap[0]
            given[i] += 1
            heapq.heapreplace(heap, next_(i))
        return given


def _values(live: LiveSearch) -> Values:
    """Those of a search's complete candidates."""
    record, value = live.record, live.problem.objective.value
    found = [value(r) for r in record.replies if record.is_candidate(r)]
    return np.array([value for value in found if math.isfinite(value)])
