"""When a search has enough: its target is reached, or nothing better has come for long."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..candidates.ask import Ask, Reply
from ..candidates.ledger import Ledger, Rates
from ..errors import ConfigError
from ..objectives.single import Objective

TARGET, PLATEAU = "target", "plateau"  # what ends a search before its budget does


@dataclass(frozen=True)
class Target:
    """``number`` that the best candidate must reach, in the objective's value or in one part."""

    number: float
    part: str = ""

    @classmethod
    def parse(cls, text: str, parts: tuple[str, ...] = ()) -> Target:
        """From ``7.5`` or ``imagereward=1.2``; ConfigError for a part that is not scored."""
        part, mark, number = text.strip().rpartition("=")
        try:
            found = cls(float(number), part.strip())
        except ValueError:
            found = cls(math.nan)
        if not math.isfinite(found.number) or (mark and not found.part):
            raise ConfigError(
                f"target is {text!r}, but must be a score such as 7.5, or a part's such as "
                "imagereward=1.2"
            )
        if found.part and found.part not in parts:
            raise ConfigError(
                f"target {text!r} names the part {found.part!r}, which no verifier of this run "
                f"gives (there are {', '.join(parts)}); name one of these"
            )
        return found

    def reached(self, reply: Reply, value: float) -> bool:
        """True where a reply of this value is good enough."""
        return (reply.parts.get(self.part, -math.inf) if self.part else value) >= self.number

    def __str__(self) -> str:
        return f"{self.part}={self.number:g}" if self.part else f"{self.number:g}"


@dataclass
class Enough:
    """Follows one search in the order of its asks, so that it ends at the same place whatever
    order answers come in.

    ``patience``: NFE, as the budget counts them, that may be spent without a better candidate.
    ``why``: what ended the search, once something has. ``best``: the best complete reply so far.
    """

    rates: Rates
    target: Target | None = None
    patience: float = math.inf
    why: str = ""
    best: Reply | None = None
    _spent: Ledger = field(init=False, repr=False)
    _value: float = -math.inf
    _since: float = 0.0  # spent when the best came

    def __post_init__(self) -> None:
        self._spent = Ledger(self.rates)

    def baseline(self, reply: Reply, objective: Objective) -> bool:
        """True where the unsearched sample is good enough; it is no candidate, so no best one."""
        if self.target is not None and self.target.reached(reply, objective.value(reply)):
            self.why = TARGET
        return bool(self.why)

    def told(self, ask: Ask, reply: Reply, objective: Objective, whole: bool) -> bool:
        """True where the search is over with this reply; only a ``whole`` candidate is one."""
        self._spent.charge_ask(ask)
        value = objective.value(reply)
        if whole and value > self._value:
            self._value, self._since, self.best = value, self._spent.counted, reply
            if self.target is not None and self.target.reached(reply, value):
                self.why = TARGET
        elif self._spent.counted - self._since >= self.patience:
            self.why = PLATEAU
        return bool(self.why)

    def short_of(self, winner: Reply, value: float) -> str:
        """The target, where the winner does not reach it."""
        reached = self.target is None or self.target.reached(winner, value)
        return "" if reached else str(self.target)
