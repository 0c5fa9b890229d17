"""What the processes of a run have spent: seconds, evaluations, and what verifiers cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..files.journal import Journal

Physical = dict[str, dict[str, float]]
Spent = dict[str, dict[str, dict[str, float]]]  # by search, verifier and unit


class Spending:
    """The sums over the journal of a run, and what the present process adds to them.

    ``seconds_before`` and ``physical_before``: of the processes before this one. ``spent``: what
    verifiers cost, over all processes. ``lost``: paid looks of processes before that were never
    answered, by verifier. ``cuts``: seconds at which a condition's own clock stopped it.
    """

    def __init__(self, journal: Journal) -> None:
        self.seconds_before = 0.0
        self.physical_before: Physical = {}
        self.spent: Spent = {}
        self.lost: Counter[str] = Counter()
        self.cuts: dict[str, float] = {}
        self._journal = journal
        self._asking: dict[str, set[str]] = {}  # looks of the present process, by verifier
        self._session: Physical = {}  # of the process that is read, by its latest lines
        self._latest = 0.0

    def read(self, record: Mapping[str, Any]) -> None:
        """Enter a line of the journal; lines that are not about spending change nothing."""
        if "reply" in record:
            self.pay(record)
            self._session[record["search"]] = record["physical"]
            self._latest = record["seconds"]
        elif record.get("event") == "asking":
            self._asking.setdefault(record["verifier"], set()).update(record["of"])
        elif record.get("event") == "cut":
            self._latest = max(self._latest, record["seconds"])
            if "condition" in record:
                self.cuts[record["condition"]] = record["at"]
        elif record.get("event") == "open":
            self.close_session()

    def close_session(self) -> None:
        """What a process spent is in its last lines; the sum over processes is the physical. What
        it had asked and paid for, and did not hear, is lost."""
        self.lost.update({verifier: len(of) for verifier, of in self._asking.items() if of})
        self._asking.clear()
        self.seconds_before += self._latest
        for search, units in self._session.items():
            sums = self.physical_before.setdefault(search, {})
            for unit, count in units.items():
                sums[unit] = sums.get(unit, 0) + count
        self._session, self._latest = {}, 0.0

    def pay(self, record: Mapping[str, Any]) -> None:
        """Enter what a reply's verifiers took and cost."""
        for verifier in record["cost"]:
            self._asking.get(verifier, set()).discard(record["reply"])
        for verifier, units in record.get("spent", {}).items():
            sums = self.spent.setdefault(record["search"], {}).setdefault(verifier, {})
            for unit, count in units.items():
                sums[unit] = sums.get(unit, 0) + count

    def asks(self, verifier: str, keys: Sequence[str]) -> None:
        """Journal that a verifier is about to be asked, and paid: what a crash then loses is known
        to be lost."""
        self._asking.setdefault(verifier, set()).update(keys)
        self._journal.append({"event": "asking", "verifier": verifier, "of": list(keys)})

    def money(self, searches: Iterable[str]) -> float:
        """What the verifiers of some searches cost so far, in usd."""
        return sum(units.get("usd", 0.0) for search in searches
                   for units in self.spent.get(search, {}).values())  # fmt: skip

    def spent_on(self, verifier: str) -> dict[str, float]:
        """What a verifier cost so far, by unit; ``unanswered`` counts looks that were lost."""
        sums: dict[str, float] = {"unanswered": self.lost[verifier]}
        for of in self.spent.values():
            for unit, count in of.get(verifier, {}).items():
                sums[unit] = sums.get(unit, 0) + count
        return sums
