"""Questions to a person, the answers that are understood, and the numbers that follow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import ConfigError
from ...names.forms import numeral

SKIP = "skip"
ALIKE = "="

Order = tuple[tuple[str, ...], ...]  # keys, the best first; those in one tier are alike


class NoAnswer(Exception):
    """There is nobody to answer any more; the message is the reason."""


@dataclass(frozen=True)
class Question:
    """Which of these candidates of one condition is the best?

    ``shown``: their keys, numbered from 1; where the condition has a best so far it is the first
    of them, and has the number 0. ``condition`` is what a person reads, ``of`` its key.
    """

    name: str
    condition: str
    of: str
    shown: tuple[str, ...]
    best: str | None = None

    @property
    def numbers(self) -> range:
        """The number of each that is shown."""
        first = 1 if self.best is None else 0
        return range(first, first + len(self.shown))

    @property
    def help(self) -> str:
        """What can be answered."""
        low, high = self.numbers[0], self.numbers[-1]
        return (
            f"the number of the best ({low} to {high}), an order such as {high} {low}, "
            f"{ALIKE} where all are alike, or {SKIP}"
        )

    def order(self, text: str) -> Order | None:
        """The order that an answer gives to all that are shown; None where it skips them.

        ``3``: the best; ``3 1 2`` (or ``3,1,2``, ``3>1>2``): an order; ``3 1=2``: two that are
        alike; ``=``: all are. ConfigError says what is wrong with anything else.
        """
        said = text.strip()
        if said.lower() == SKIP:
            return None
        if said == ALIKE:
            return (self.shown,)
        words = re.sub(r"\s*=\s*", ALIKE, re.sub(r"[,>]", " ", said)).split()
        tiers = tuple(tuple(map(self._key, word.split(ALIKE))) for word in words)
        named = [key for tier in tiers for key in tier]
        twice = next((key for key in named if named.count(key) > 1), None)
        if twice is not None:
            number = self.numbers[self.shown.index(twice)]
            raise ConfigError(f"{said!r} names {number} twice; give {self.help}")
        if not tiers:
            raise ConfigError(f"the answer is empty; give {self.help}")
        return completed(tiers, self.shown, self.best)

    def _key(self, word: str) -> str:
        number = numeral(word)
        if number is None:
            raise ConfigError(f"{word!r} is no number; give {self.help}")
        if number not in self.numbers:
            raise ConfigError(f"there is no {number}; give {self.help}")
        return self.shown[self.numbers.index(number)]


def completed(tiers: Order, shown: Sequence[str], best: str | None) -> Order:
    """The order with those that it does not name: below it, and alike, but the best so far is
    above the others of them, since it has won before."""
    named = {key for tier in tiers for key in tier}
    left = [key for key in shown if key not in named]
    before = tuple(key for key in left if key == best)
    others = tuple(key for key in left if key != best)
    return tuple(tier for tier in (*tiers, before, others) if tier)


def levels(order: Order, best: str | None = None, level: float = 0.0) -> dict[str, float]:
    """The number of each: a step a tier, such that the best so far keeps its ``level``.

    Without a best so far the first tier is at 0.
    """
    place = next((i for i, tier in enumerate(order) if best in tier), 0)
    return {key: level + place - i for i, tier in enumerate(order) for key in tier}
