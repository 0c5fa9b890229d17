"""One live search: a generator, what it has asked, what it has been told and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..algorithms.problem import Algorithm, Cut, Problem, Search
from ..candidates.ask import Ask, Reply, Score, score
from ..candidates.condition import Condition
from ..candidates.ledger import Ledger
from ..candidates.trajectory import FULL, Trajectory
from ..objectives.single import Bound, Cascade, Constrained, Objective, Pareto, ranking
from .stopping import TARGET, Enough
from .winners import Select, leaders


@dataclass
class SearchOutcome:
    """What a condition's search has come to: winners best first, each with what the search saw."""

    condition: Condition
    baseline: Reply | None
    winners: list[tuple[Reply, Reply | None]]
    baseline_kept: bool


@dataclass
class LiveSearch:
    """Contract: :meth:`advance` is called with every reply of the pending asks at hand, so what a
    search does follows from its seed and its replies alone, whenever those came.

    ``guards``: parts that must not fall below the baseline's, with their scales. ``watch``: parts
    of held-out verifiers, asked for each new best; their replies are kept apart (``held``).
    ``select``: which of several complete candidates, best first, are good and unlike each other.
    ``limits``: what may end the search before its budget does.
    """

    index: int
    problem: Problem
    final_steps: int
    top: int
    ledger: Ledger
    baseline_ledger: Ledger
    finalists: int = 1
    guards: Mapping[str, float] = field(default_factory=dict)
    watch: tuple[str, ...] = ()
    select: Select | None = None
    limits: Enough | None = None
    generator: Search = field(init=False, repr=False)
    baselines: list[Ask] = field(default_factory=list)
    pending: list[Ask] = field(default_factory=list)
    answers: dict[str, Reply] = field(default_factory=dict)
    held: dict[str, Reply] = field(default_factory=dict)
    bests: list[Reply] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    winners: list[Trajectory] | None = None
    cut: bool = False
    stage: str = "new"  # new → searching → finishing → watching → done
    started: float | None = None
    final_price: int = 0
    _yielded: list[Ask] = field(default_factory=list, repr=False)
    _turn: int = 0  # of the cascade's stages
    _followed: int = -1  # replies of this yield that ``limits`` has heard of; -1: no baseline yet
    _finals: list[Trajectory] = field(default_factory=list, repr=False)
    _watches: list[Ask] = field(default_factory=list, repr=False)
    _unbased: set[str] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        self._guarded = tuple(self.guards)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.problem.conditions

    @property
    def baseline(self) -> Trajectory:
        """The first noise, unsearched, at the final steps."""
        return self.problem.sample(self.problem.noise(0), self.final_steps, draft=FULL)

    @property
    def drafted(self) -> bool:
        """True where winners are finished otherwise than the search sees them."""
        return self.final_steps != self.problem.steps or self.problem.draft != FULL

    @property
    def objective(self) -> Objective:
        return self.problem.objective

    def start(self, algorithm: Algorithm) -> list[Ask]:
        """The first asks: the baseline, which is outside the budget, and the algorithm's own."""
        self.stage = "searching"
        self.baselines = self._unsearched(algorithm)
        self._unbased = {ask.trajectory.key for ask in self.baselines}
        for ask in self.baselines:
            self.baseline_ledger.charge_ask(ask)
        self.generator = algorithm(self.problem)
        return [*self.baselines, *self._next(None)]

    def _unsearched(self, algorithm: Algorithm) -> list[Ask]:
        return [score(self.baseline, role="baseline")]

    def _next(self, replies: list[Reply] | None) -> list[Ask]:
        """The asks of the next yield that the budget allows, in program order."""
        try:
            asked = next(self.generator) if replies is None else self.generator.send(replies)
        except StopIteration as stop:
            return self._finish(stop.value)
        cascade, bounds = self._cascade()
        if cascade is not None:
            first = dict.fromkeys((*cascade.stages[0].objective.parts, *bounds))
            want = Score(tuple(first))
            asked = [replace(a, want=want) if a.want == Score() else a for a in asked]
        self.pending = self._yielded = self.problem.affordable(asked)
        self._turn = 0
        self.cut = len(self.pending) < len(asked)
        return self.pending if self.pending else self._finish(self._cut_off())

    def _cascade(self) -> tuple[Cascade | None, tuple[str, ...]]:
        """The cascade that decides, and the parts that are bounded; bounds stand around it."""
        inner, bounds = self.objective, self._guarded
        while isinstance(inner, Constrained):
            bounds = (*bounds, *(bound.part for bound in inner.bounds))
            inner = inner.then
        return (inner, bounds) if isinstance(inner, Cascade) else (None, ())

    def _next_stage(self) -> list[Ask]:
        """Of a yield that a cascade has looked at: what its next stage looks at."""
        cascade, _ = self._cascade()
        if cascade is None or not self._more_stages:
            return []
        replies = [self.answers[a.trajectory.key] for a in self.pending]
        kept = cascade.stages[self._turn].kept(replies)
        self._turn += 1
        want = Score(cascade.stages[self._turn].objective.parts)
        self.pending = [replace(self.pending[i], want=want) for i in kept]
        for ask in self.pending:
            self.ledger.charge_ask(ask)
        return self.pending

    @property
    def _more_stages(self) -> bool:
        cascade, _ = self._cascade()
        return cascade is not None and self._turn + 1 < len(cascade.stages)

    def whole(self, reply: Reply) -> bool:
        """True for a complete candidate; a draft that an algorithm looks at beside is none."""
        trajectory = reply.trajectory
        return trajectory.finished and trajectory.draft in (FULL, self.problem.draft)

    def knows(self, ask: Ask) -> bool:
        """True where an ask of this search has been answered."""
        held = self.watch and ask.want == Score(self.watch)
        book = self.held if held else self.answers
        return ask.answered_by(book.get(ask.trajectory.key), self.problem.parts)

    @property
    def waiting(self) -> list[Ask]:
        return [a for a in self.pending if not self.knows(a)]

    @property
    def complete(self) -> bool:
        """True where nothing is waited for; looked at from the end, which is answered last."""
        return all(self.knows(a) for a in reversed(self.pending))

    @property
    def based(self) -> bool:
        """True where the baseline is there; a search ends only then."""
        return not self._unbased

    @property
    def ready(self) -> bool:
        """True where it can go on: what it asked is answered, and so is the baseline where
        anything hangs on that. Elsewhere it waits for company: a batch of its own is dear."""
        if not self.complete or self.based:
            return self.complete
        hangs = self.guards or self.watch or self.limits or self.problem.sets
        return self.stage == "searching" and not hangs

    def enough(self) -> bool:
        """True where a reply, in the order of the asks, ends the search; what was asked after it
        is left out, answered or not."""
        if self.limits is None or self.stage != "searching" or not self.based:
            return False
        if self._followed < 0:
            self._followed = 0
            if self.limits.baseline(self.answers[self.baseline.key], self.objective):
                self._yielded = []
                return True
        if self._cascade()[0] is not None and (self._more_stages or not self.complete):
            return False
        for ask in self._yielded[self._followed :]:
            if not self.knows(ask):
                break
            self._followed += 1
            reply = self.answers[ask.trajectory.key]
            if self.limits.told(ask, reply, self.objective, self.whole(reply)):
                self._yielded = self._yielded[: self._followed]
                return True
        return False

    @property
    def answered_share(self) -> float:
        """Of what has been asked so far; asks are charged before they are answered."""
        return 1.0 - len(self.waiting) / max(1, len(self.replies) + len(self.pending))

    def answer(self, reply: Reply) -> Reply | None:
        """Remember a reply beside what is known of the trajectory; returns both together, or None
        where it is the watch's.

        A search with guards goes on only when its baseline is there, so their bounds, which are
        the baseline's parts, are set before anything is compared.
        """
        key, named = reply.trajectory.key, {*reply.parts, *reply.missing}
        book = self.held if named and named <= set(self.watch) else self.answers
        if (known := book.get(key)) is not None:
            reply = known.joined(reply)
        book[key] = reply
        if book is self.held:
            return None
        if key in self._unbased and self.knows(score(reply.trajectory)):
            self._unbased.discard(key)
            self._guard(reply)
        return reply

    def _guard(self, base: Reply) -> None:
        if self.guards:
            bounds = [Bound(p, base.parts[p], True, scale)
                      for p, scale in self.guards.items() if p in base.parts]  # fmt: skip
            self.problem.objective = Constrained(tuple(bounds), self.objective)
            self.guards = {}

    def advance(self) -> list[Ask]:
        """With all pending answered: what is asked next; empty when the search is over."""
        if self.stage == "finishing":
            return self._last_look()
        if self.stage == "watching":
            self.stage = "done"
            return []
        if more := self._next_stage():
            return more
        told, fresh = self._take()
        asks = self._finish(self._cut_off()) if self.cut else self._next(told)
        return [*fresh, *asks]

    def _take(self) -> tuple[list[Reply], list[Ask]]:
        """The replies of the last yield that are there, and what the watch asks about them."""
        known = [(a, self.answers.get(a.trajectory.key)) for a in self._yielded]
        parts = self.problem.parts
        told = [reply for ask, reply in known if reply and ask.answered_by(reply, parts)]
        for reply in told:
            self.ledger.spent(reply)
        self.replies += told
        self.pending = self._yielded = []
        self._followed = min(0, self._followed)
        return told, self._watch(told)

    def _watch(self, told: Sequence[Reply]) -> list[Ask]:
        """Asks of the held-out verifiers about each reply that is better than all before it."""
        if not self.watch:
            return []
        value, first = self.objective.value, len(self.bests)
        base = self.answers.get(self.baseline.key)
        for reply in [*([base] if base and not self.bests else []), *told]:
            better = not self.bests or value(reply) > value(self.bests[-1])
            if better and self.whole(reply):
                self.bests.append(reply)
        return self._watched(self.bests[first:])

    def _watched(self, replies: Sequence[Reply]) -> list[Ask]:
        want = Score(self.watch)
        asks = [Ask(r.trajectory, want, {"role": "watch"}) for r in replies]
        for ask in asks:
            self.ledger.look(ask.trajectory, self.watch)
        self._watches += asks
        return asks

    def _last_look(self) -> list[Ask]:
        """The winners are there: the watch looks at the first, and is waited for."""
        self.stage = "watching"
        winners = self.outcomes()[0].winners
        if self.watch and winners:
            last = winners[0][0]
            if all(r.trajectory.key != last.trajectory.key for r in self.bests):
                self.bests.append(last)
                self._watched([last])
        self.pending = self._watches
        return self.pending

    def stop(self) -> list[Ask]:
        """The clock has run out, or it is enough: keep the replies that are there and finish with
        the best."""
        if self.stage != "searching":
            return []
        _, fresh = self._take()
        self.ledger.recount(self.replies)
        for ask in self._watches:
            self.ledger.look(ask.trajectory, self.watch)
        self.cut = True
        winners = self._cut_off()
        if self.limits is not None and self.limits.why == TARGET:
            # First what reached it: the order of all may put another first.
            first = self.limits.best
            winners = [first.trajectory, *self.leaders()] if first else []
        return [*fresh, *self._finish(winners)]

    def _cut_off(self) -> list[Trajectory] | None:
        """What the algorithm returns on hearing that it is cut; None where it is silent."""
        try:
            self.generator.throw(Cut())
        except StopIteration as stop:
            found: list[Trajectory] | None = stop.value
            return found
        except Cut:
            return None
        self.generator.close()
        return None

    def _finish(self, winners: Iterable[Trajectory] | None) -> list[Ask]:
        """Ask for the winners at the final steps; free where those are the search's own."""
        chosen = [t for t in winners or () if t.finished]
        self.settle(chosen or self.leaders())
        for trajectory in self._finals:
            self.ledger.charge(trajectory)
            # Alone: whoever sets this aside cannot know which evaluations winners will share.
            self.final_price += Ledger(self.ledger.rates).charge(trajectory)
        self.stage = "finishing"
        self.pending = [self._final(t) for t in self._finals]
        return self.pending

    def _final(self, trajectory: Trajectory) -> Ask:
        return score(trajectory, role="final")

    def settle(self, ranked: Sequence[Trajectory]) -> list[tuple[Trajectory, Trajectory]]:
        """Choose winners from complete trajectories, best first: each as seen and as finished."""
        distinct: dict[str, Trajectory] = {}
        for trajectory in ranked:
            distinct.setdefault(trajectory.at(self.final_steps).key, trajectory)
        self.winners = self._chosen(list(distinct.values()))
        self._finals = [t.at(self.final_steps) for t in self.winners]
        self.stage = "done"
        return list(zip(self.winners, self._finals, strict=True))

    def _chosen(self, ranked: list[Trajectory]) -> list[Trajectory]:
        if self.whole_front and isinstance(self.objective, Pareto):
            whole = list(filter(self.whole, self.replies))
            return self.leaders()[: len(self.objective.front(whole))] or ranked
        if self.top > 1 and self.select is not None:
            return self.select(ranked, self.finalists)
        return ranked[: self.finalists]

    @property
    def whole_front(self) -> bool:
        """All of a Pareto front are winners, where they are finished without further cost."""
        return isinstance(self.objective, Pareto) and not self.drafted

    def leaders(self) -> list[Trajectory]:
        """Complete candidates so far, best first by the objective's order."""
        return leaders(self.objective, list(filter(self.whole, self.replies)))

    def unmet(self, reply: Reply) -> tuple[Bound, ...]:
        """The bounds of a constraint that a reply breaks."""
        return self.objective.unmet(reply) if isinstance(self.objective, Constrained) else ()

    def finished(self) -> list[tuple[Reply, Reply | None]]:
        """The winners' finished samples that are there, each with what the search saw of it."""
        searched = {r.trajectory.key: r for r in self.replies}
        known = [(searched.get(w.key), self.answers.get(f.key)) for w, f in
                 zip(self.winners or (), self._finals, strict=False)]  # fmt: skip
        return [(final, seen) for seen, final in known if final is not None]

    def ledgers(self) -> list[tuple[Ledger, Ledger]]:
        """For each condition what its search and its baseline cost."""
        return [(self.ledger, self.baseline_ledger)]

    def outcomes(self) -> list[SearchOutcome]:
        """For each condition winners and baseline; of an unfinished search what there is."""
        base = self.answers.get(self.baseline.key)
        finals = self.finished()
        if not finals:
            searched = {r.trajectory.key: r for r in self.replies}
            leader = [searched[t.key] for t in self.leaders()[:1]]
            finals = [(r, searched.get(r.trajectory.key))
                      for r in leader or ([base] if base else [])]  # fmt: skip
        if self.drafted:
            # Finished elsewhere than they were seen: what counts is the finished sample.
            finals = [finals[i] for i in ranking(self.objective, [r for r, _ in finals])]
        value = self.objective.value
        kept = base is not None and (not finals or value(base) > max(value(r) for r, _ in finals))
        if kept and base is not None:
            finals.insert(0, (base, next((s for s in self.replies
                                          if s.trajectory == base.trajectory), None)))  # fmt: skip
        shown = finals if self.whole_front else finals[: self.top]
        return [SearchOutcome(self.problem.condition, base, shown, kept)]
