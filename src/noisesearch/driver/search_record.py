"""What one search has been told, and what it has come to: winners, baseline, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..algorithms.problem import Algorithm, Problem
from ..candidates.ask import Ask, Reply, score
from ..candidates.condition import Condition
from ..candidates.ledger import Ledger
from ..candidates.trajectory import FULL, Trajectory
from ..objectives.single import Pareto, ranking
from .stopping import Enough
from .winners import Select, leaders


@dataclass(frozen=True)
class SearchSettings:
    """What a search is made with, beside its problem.

    ``index``: its number in the run. ``final_steps``: at which winners are finished. ``top``: how
    many winners are shown; ``finalists``: how many are finished. ``guards``: parts that must not
    fall below the baseline's, with their scales. ``watch``: parts of held-out verifiers, asked for
    at each improvement. ``limits``: what may end the search before its budget does.
    """

    index: int
    final_steps: int
    top: int
    finalists: int = 1
    guards: Mapping[str, float] = field(default_factory=dict)
    watch: tuple[str, ...] = ()
    limits: Enough | None = None


@dataclass
class SearchOutcome:
    """What a condition's search has come to; each winner comes with what the search saw of it.

    ``winners``: best first.
    """

    condition: Condition
    baseline: Reply | None
    winners: list[tuple[Reply, Reply | None]]
    baseline_kept: bool


@dataclass
class SearchRecord:
    """The replies of one search, and the winners that follow from them.

    ``select``: which of several complete candidates, best first, are good and unlike each other.
    ``baselines``: the asks for what would be made without a search; they are outside the budget.
    ``answers``: the latest reply about each trajectory, by its key. ``replies``: what the
    algorithm has been told, in the order of its asks. ``winners``: as the search saw them; None
    before they are chosen.
    """

    problem: Problem
    settings: SearchSettings
    select: Select | None = None
    baselines: list[Ask] = field(default_factory=list)
    answers: dict[str, Reply] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    winners: list[Trajectory] | None = None
    baseline_ledger: Ledger = field(init=False)
    _finals: list[Trajectory] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.baseline_ledger = Ledger(self.problem.run.ledger.rates)

    @property
    def parts(self) -> tuple[str, ...]:
        """All that is asked of a candidate: by the run, and by the objective."""
        return self.problem.run.ledger.rates.parts or self.problem.objective.parts

    @property
    def baseline(self) -> Trajectory:
        """The first noise, unsearched, at the final steps."""
        first = self.problem.noise(0)
        return self.problem.sample(first, self.settings.final_steps, draft=FULL)

    @property
    def drafted(self) -> bool:
        """True where winners are finished otherwise than the search sees them."""
        other_steps = self.settings.final_steps != self.problem.steps
        return other_steps or self.problem.run.draft != FULL

    def is_candidate(self, reply: Reply) -> bool:
        """True for a complete candidate; a draft that an algorithm looks at beside is none."""
        trajectory = reply.trajectory
        return trajectory.finished and trajectory.draft in (FULL, self.problem.run.draft)

    def ask_baselines(self, algorithm: Algorithm) -> list[Ask]:
        """Return the asks for the baseline, charged to a ledger of its own."""
        self.baselines = self._unsearched(algorithm)
        for ask in self.baselines:
            self.baseline_ledger.charge_ask(ask)
        return self.baselines

    def _unsearched(self, algorithm: Algorithm) -> list[Ask]:
        return [score(self.baseline, role="baseline")]

    def final_ask(self, trajectory: Trajectory) -> Ask:
        """Return the ask for a winner at the final steps."""
        return score(trajectory, role="final")

    def leaders(self) -> list[Trajectory]:
        """Complete candidates so far, best first by the objective's order."""
        return leaders(self.problem.objective, list(filter(self.is_candidate, self.replies)))

    def settle(self, ranked: Sequence[Trajectory]) -> list[tuple[Trajectory, Trajectory]]:
        """Choose winners from complete trajectories, best first: each as seen and as finished."""
        distinct: dict[str, Trajectory] = {}
        for trajectory in ranked:
            distinct.setdefault(trajectory.at(self.settings.final_steps).key, trajectory)
        self.winners = self._chosen(list(distinct.values()))
        self._finals = [t.at(self.settings.final_steps) for t in self.winners]
        return list(zip(self.winners, self._finals, strict=True))

    def _chosen(self, ranked: list[Trajectory]) -> list[Trajectory]:
        objective, settings = self.problem.objective, self.settings
        if self._whole_front and isinstance(objective, Pareto):
            candidates = list(filter(self.is_candidate, self.replies))
            return self.leaders()[: len(objective.front(candidates))] or ranked
        if settings.top > 1 and self.select is not None:
            return self.select(ranked, settings.finalists)
        return ranked[: settings.finalists]

    @property
    def _whole_front(self) -> bool:
        """All of a Pareto front are winners, where they are finished without further cost."""
        return isinstance(self.problem.objective, Pareto) and not self.drafted

    def finished(self) -> list[tuple[Reply, Reply | None]]:
        """The winners' finished samples that are there, each with what the search saw of it."""
        searched = {r.trajectory.key: r for r in self.replies}
        known = [(searched.get(w.key), self.answers.get(f.key)) for w, f in
                 zip(self.winners or (), self._finals, strict=False)]  # fmt: skip
        return [(final, seen) for seen, final in known if final is not None]

    def ledgers(self) -> list[tuple[Ledger, Ledger]]:
        """For each condition what its search and its baseline cost."""
        return [(self.problem.run.ledger, self.baseline_ledger)]

    def outcomes(self) -> list[SearchOutcome]:
        """For each condition winners and baseline; of an unfinished search what there is."""
        objective, base = self.problem.objective, self.answers.get(self.baseline.key)
        finals = self.finished()
        if not finals:
            searched = {r.trajectory.key: r for r in self.replies}
            leader = [searched[t.key] for t in self.leaders()[:1]]
            finals = [(r, searched.get(r.trajectory.key))
                      for r in leader or ([base] if base else [])]  # fmt: skip
        if self.drafted:
            # Finished elsewhere than they were seen: what counts is the finished sample.
            finals = [finals[i] for i in ranking(objective, [r for r, _ in finals])]
        value = objective.value
        kept = base is not None and (not finals or value(base) > max(value(r) for r, _ in finals))
        if kept and base is not None:
            finals.insert(0, (base, next((s for s in self.replies
                                          if s.trajectory == base.trajectory), None)))  # fmt: skip
        shown = finals if self._whole_front else finals[: self.settings.top]
        return [SearchOutcome(self.problem.condition, base, shown, kept)]
