"""The record of one search for all conditions of a run: its winners are a set, and so is its
baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..algorithms.problem import Algorithm
from ..candidates.ask import Ask, Reply
from ..candidates.condition import Condition
from ..candidates.ledger import Ledger
from ..candidates.trajectory import Trajectory
from .journalled_choices import Choices
from .search_record import SearchOutcome, SearchRecord


@dataclass
class JointRecord(SearchRecord):
    """Of a search by an algorithm that is ``joint``; it is judged by a set objective.

    Such an algorithm has ``size`` and ``unsearched(problem)``, the trajectories that it would
    return without a search, in the order of what it returns.
    """

    _first: list[Trajectory] = field(default_factory=list, repr=False)

    def _unsearched(self, algorithm: Algorithm) -> list[Ask]:
        self._first = list(algorithm.unsearched(self.problem))  # type: ignore[attr-defined]
        finals = [t.at(self.settings.final_steps) for t in self._first]
        asks = [self.problem.member(final, role="baseline") for final in finals]
        if isinstance(self.problem.choose, Choices):
            self.problem.choose.kept |= {ask.trajectory.key for ask in asks}
        return asks

    def final_ask(self, trajectory: Trajectory) -> Ask:
        return self.problem.member(trajectory, role="final")

    def _chosen(self, ranked: list[Trajectory]) -> list[Trajectory]:
        return ranked

    def leaders(self) -> list[Trajectory]:
        """Of a set that is not complete nothing can be said: that without search."""
        return self._first

    def _sets(self) -> tuple[list[Reply], list[tuple[Reply, Reply | None]]] | None:
        """The finished sets without and with search; None before the first is there."""
        base = [self.answers.get(ask.trajectory.key) for ask in self.baselines]
        there = [reply for reply in base if reply is not None]
        if not there or len(there) < len(base):
            return None
        finals = self.finished()
        whole = len(finals) == len(self.winners or ()) > 0
        return there, finals if whole else [(reply, None) for reply in there]

    def compared(self) -> dict[str, Any] | None:
        """The set objective's value of both sets; None before they are there."""
        sets, choose = self._sets(), self.problem.choose
        if sets is None or not isinstance(choose, Choices):
            return None
        base, finals = sets
        before, after = choose.value(base), choose.value([final for final, _ in finals])
        kept = before > after
        shown = base if kept else [final for final, _ in finals]
        return {
            "size": len(base), "baseline": before, "winner": max(before, after),
            "baseline_kept": kept,
            "without_search": [reply.trajectory.key for reply in base],
            "with_search": [reply.trajectory.key for reply in shown],
        }  # fmt: skip

    def outcomes(self) -> list[SearchOutcome]:
        sets, compared = self._sets(), self.compared()
        if sets is None or compared is None:
            return [SearchOutcome(c, None, [], False) for c in self.problem.conditions]
        base, finals = sets
        kept = compared["baseline_kept"]
        shown = [(reply, None) for reply in base] if kept else finals

        def of(condition: Condition) -> SearchOutcome:
            mine = [(f, s) for f, s in shown if f.trajectory.condition == condition]
            first = next(r for r in base if r.trajectory.condition == condition)
            return SearchOutcome(condition, first, mine, kept)

        return [of(condition) for condition in self.problem.conditions]

    def ledgers(self) -> list[tuple[Ledger, Ledger]]:
        finals = [final for final, _ in self.finished()]
        return [
            (self._share(condition, [*self.replies, *finals]),
             self._share(condition, [self.answers[a.trajectory.key] for a in self.baselines
                                     if a.trajectory.key in self.answers]))
            for condition in self.problem.conditions
        ]  # fmt: skip

    def _share(self, condition: Condition, replies: Sequence[Reply]) -> Ledger:
        """What the replies about one condition cost."""
        ledger = Ledger(self.problem.run.ledger.rates)
        mine = [r for r in replies if r.trajectory.condition == condition]
        ledger.recount(mine)
        for reply in mine:
            ledger.spent(reply)
        return ledger
