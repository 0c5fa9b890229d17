"""Budgets: an amount of a unit, for every condition or for the whole run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from ..errors import ConfigError

EVEN, GAIN = "even", "gain"  # how a run's budget is shared by its searches
MAX_MISSING = 0.2  # of the replies: more without a number for a part end the run

CLOCKS = {"s": 1.0, "m": 60.0, "h": 3600.0}
COUNTS = ("nfe", "forwards", "candidates")
_FORM = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]*)(?:/(?P<per>run|condition))?")
HOW = "write 640 (NFE per condition), 640nfe/run, 1280forwards, 20candidates, 30s, 5m/condition"


@dataclass(frozen=True)
class Budget:
    """``amount`` of ``unit`` (nfe, forwards, candidates, s, usd) per condition or run.

    Counts are per condition and clocks and money per run unless said otherwise.
    """

    amount: float
    unit: str = "nfe"
    per: str = "condition"

    @classmethod
    def parse(cls, text: str | int | float | Budget) -> Budget:
        """A budget from ``640``, ``"640nfe/run"``, ``"5m"`` and so on; ConfigError otherwise."""
        if isinstance(text, Budget):
            return text
        match = _FORM.fullmatch(str(text).strip().lower())
        if match is None:
            raise ConfigError(f"budget {str(text)!r} cannot be read: {HOW}")
        amount, unit, per = float(match["amount"]), match["unit"] or "nfe", match["per"]
        if unit in CLOCKS:
            amount, unit = amount * CLOCKS[unit], "s"
        elif unit not in (*COUNTS, "usd"):
            raise ConfigError(f"budget {str(text)!r} has the unknown unit {unit!r}: {HOW}")
        if amount <= 0:
            raise ConfigError(f"budget {str(text)!r} is nothing: {HOW}")
        if math.isinf(amount):
            raise ConfigError(f"budget {str(text)!r:.40} is more than can be counted: {HOW}")
        return cls(amount, unit, per or ("run" if unit in ("s", "usd") else "condition"))

    @property
    def counted(self) -> bool:
        """True where the unit follows from the recipes, so that the cut survives a resume."""
        return self.unit in COUNTS

    def share(self, conditions: int) -> float:
        """What one condition may spend of a counted budget: an even part of a run's."""
        return self.amount // conditions if self.per == "run" else self.amount

    def __str__(self) -> str:
        # Never with an exponent, as floats write a million or a millionth: it is not read back.
        whole = self.amount == int(self.amount)
        amount = int(self.amount) if whole else f"{Decimal(repr(self.amount)):f}"
        return f"{amount}{self.unit}/{self.per}"
