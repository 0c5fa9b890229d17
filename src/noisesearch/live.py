"""One live search: a generator, what it has asked, what it has been told and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .algorithms.problem import Algorithm, Problem, Search
from .ask import Ask, Reply, score
from .ledger import Ledger
from .objectives import Bound, Constrained, Objective, Pareto, ranking
from .trajectory import Trajectory


@dataclass
class Live:
    """Contract: :meth:`advance` is called with every reply of the pending asks at hand, so what a
    search does follows from its seed and its replies alone, whenever those came.
    """

    index: int
    problem: Problem
    final_steps: int
    top: int
    ledger: Ledger
    baseline_ledger: Ledger
    finalists: int = 1
    guards: Mapping[str, float] = field(default_factory=dict)
    generator: Search = field(init=False, repr=False)
    pending: list[Ask] = field(default_factory=list)
    answers: dict[str, Reply] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    winners: list[Trajectory] | None = None
    cut: bool = False
    stage: str = "new"  # new → searching → finishing → done
    started: float | None = None
    _finals: list[Trajectory] = field(default_factory=list, repr=False)

    @property
    def baseline(self) -> Trajectory:
        """The first noise, unsearched, at the final steps."""
        return self.problem.sample(self.problem.noise(0), self.final_steps)

    @property
    def objective(self) -> Objective:
        return self.problem.objective

    def start(self, algorithm: Algorithm) -> list[Ask]:
        """The first asks: the baseline, which is outside the budget, and the algorithm's own."""
        self.stage = "searching"
        self.generator = algorithm(self.problem)
        self.baseline_ledger.charge(self.baseline)
        return [score(self.baseline, role="baseline"), *self._next(None)]

    def _next(self, replies: list[Reply] | None) -> list[Ask]:
        """The asks of the next yield that the budget allows, in program order."""
        try:
            asked = next(self.generator) if replies is None else self.generator.send(replies)
        except StopIteration as stop:
            return self._finish(stop.value)
        self.pending = self.problem.affordable(asked)
        self.cut = len(self.pending) < len(asked)
        return self.pending if self.pending else self._finish(None)

    @property
    def waiting(self) -> list[Ask]:
        return [a for a in self.pending if not a.answered_by(self.answers.get(a.trajectory.key))]

    @property
    def answered_share(self) -> float:
        """Of what has been asked so far; asks are charged before they are answered."""
        return 1.0 - len(self.waiting) / max(1, len(self.replies) + len(self.pending))

    def answer(self, reply: Reply) -> None:
        """Remember a reply; what is known of the trajectory already stays known.

        A search goes on only when its baseline is there, so the guards' bounds, which are the
        baseline's parts, are set before anything is compared.
        """
        known = self.answers.get(reply.trajectory.key)
        if known is not None and known.gradients:
            reply = replace(reply, gradients={**known.gradients, **reply.gradients})
        self.answers[reply.trajectory.key] = reply
        if reply.trajectory.key == self.baseline.key and self.guards:
            known_parts = [part for part in self.guards if part in reply.parts]
            bounds = [Bound(p, reply.parts[p], True, self.guards[p]) for p in known_parts]
            self.problem.objective = Constrained(tuple(bounds), self.objective)
            self.guards = {}

    def advance(self) -> list[Ask]:
        """With all pending answered: what is asked next; empty when the search is over."""
        if self.stage == "finishing":
            self.stage = "done"
            return []
        told = self._take()
        if self.cut:
            self.generator.close()
            return self._finish(None)
        return self._next(told)

    def _take(self) -> list[Reply]:
        known = [(a, self.answers.get(a.trajectory.key)) for a in self.pending]
        told = [reply for ask, reply in known if reply is not None and ask.answered_by(reply)]
        for reply in told:
            self.ledger.spent(reply)
        self.replies += told
        self.pending = []
        return told

    def stop(self) -> list[Ask]:
        """The clock has run out: keep the replies that are there and finish with the best."""
        if self.stage != "searching":
            return []
        self._take()
        self.ledger.recount(self.replies)
        self.cut = True
        self.generator.close()
        return self._finish(None)

    def _finish(self, winners: Iterable[Trajectory] | None) -> list[Ask]:
        """Ask for the winners at the final steps; free where those are the search's own."""
        chosen = list(dict.fromkeys(t for t in winners or self.leaders() if t.finished))
        if self.whole_front:
            chosen = self.leaders()[: len(self._front())] or chosen
        self.winners = chosen if self.whole_front else chosen[: self.finalists]
        self._finals = [t.at(self.final_steps) for t in self.winners]
        for trajectory in self._finals:
            self.ledger.charge(trajectory)
        self.stage = "finishing"
        self.pending = [score(t, role="final") for t in self._finals]
        return self.pending

    def settle(self, ranked: Sequence[Trajectory]) -> None:
        """Take a ranking of complete trajectories as the search's outcome."""
        finals = {t.at(self.final_steps).key: t for t in reversed(ranked)}
        order = dict.fromkeys(t.at(self.final_steps).key for t in ranked)
        chosen = [finals[key] for key in order]
        front = len(self._front())
        self.winners = chosen[: front if self.whole_front else self.finalists]
        self._finals = [t.at(self.final_steps) for t in self.winners]
        self.stage = "done"

    @property
    def whole_front(self) -> bool:
        """All of a Pareto front are winners, where they are finished without further cost."""
        free = self.final_steps == self.problem.steps
        return isinstance(self.objective, Pareto) and free

    def _front(self) -> list[int]:
        whole = [r for r in self.replies if r.trajectory.finished]
        return self.objective.front(whole) if isinstance(self.objective, Pareto) else []

    def leaders(self) -> list[Trajectory]:
        """Complete candidates so far, best first by the objective's order."""
        whole = [r for r in self.replies if r.trajectory.finished]
        return [whole[i].trajectory for i in ranking(self.objective, whole)] if whole else []

    def unmet(self, reply: Reply) -> tuple[Bound, ...]:
        """The bounds of a constraint that a reply breaks."""
        return self.objective.unmet(reply) if isinstance(self.objective, Constrained) else ()

    def outcome(self) -> dict[str, Any]:
        """Winners and baseline with their replies; of an unfinished search what there is."""
        base = self.answers.get(self.baseline.key)
        searched = {r.trajectory.key: r for r in self.replies}
        known = [(w, self.answers.get(f.key)) for w, f in
                 zip(self.winners or (), self._finals, strict=False)]  # fmt: skip
        finals = [(w, r) for w, r in known if r is not None]
        if not finals:
            leader = [searched[t.key] for t in self.leaders()[:1]]
            finals = [(r.trajectory, r) for r in leader or ([base] if base else [])]
        if self.final_steps != self.problem.steps:
            # Finished elsewhere than they were seen: what counts is the finished sample.
            finals = [finals[i] for i in ranking(self.objective, [r for _, r in finals])]
        ranked = [
            {"reply": r, "search": searched.get(w.key), "baseline": False} for w, r in finals
        ]
        value = self.objective.value
        kept = base is not None and (not finals or value(base) > max(value(r) for _, r in finals))
        if kept:
            ranked.insert(0, {"reply": base, "search": searched.get(self.baseline.key),
                              "baseline": True})  # fmt: skip
        shown = ranked if self.whole_front else ranked[: self.top]
        return {"baseline": base, "winners": shown, "baseline_kept": kept}
