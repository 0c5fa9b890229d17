"""One live search: a generator, what it waits for, and when it goes on or stops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ..algorithms.problem import Algorithm, Cut, Problem, Search
from ..candidates.ask import Ask, Reply, Score, score
from ..candidates.ledger import Ledger
from ..candidates.trajectory import Trajectory
from ..objectives.single import Bound, Cascade, Constrained
from .charging import affordable
from .held_out import Watch
from .search_record import SearchRecord, SearchSettings
from .stopping import TARGET


@dataclass
class LiveSearch:
    """Contract: :meth:`advance` is called with every reply of the pending asks at hand, so what a
    search does follows from its seed and its replies alone, whenever those came.

    ``record``: what it has been told and what it has come to. ``cut``: True where budget or clock
    ended the algorithm. ``final_price``: NFE of finishing the winners, each counted alone.
    """

    record: SearchRecord
    pending: list[Ask] = field(init=False)
    cut: bool = field(init=False)
    stage: str = field(init=False)  # new → searching → finishing → watching → done
    started: float | None = field(init=False)
    final_price: int = field(init=False)
    watch: Watch = field(init=False)
    _generator: Search = field(init=False, repr=False)
    _yielded: list[Ask] = field(init=False, repr=False)
    _turn: int = field(init=False)  # of the cascade's stages
    # Replies of this yield that ``limits`` has heard of; -1: no baseline yet.
    _followed: int = field(init=False)
    _baselines_due: set[str] = field(init=False, repr=False)
    _guards_set: bool = field(init=False)  # True once the objective has the baseline's bounds

    def __post_init__(self) -> None:
        self.restart(self.record)

    def restart(self, record: SearchRecord) -> LiveSearch:
        """Return this search with nothing asked yet and with a record that holds nothing.

        A plan rehearses one search several times.
        """
        self.record, self.watch = record, Watch(record.settings.watch)
        self.pending, self._yielded = [], []
        self.stage, self.started, self.cut, self.final_price = "new", None, False, 0
        self._turn, self._followed = 0, -1
        self._baselines_due, self._guards_set = set(), False
        return self

    @property
    def problem(self) -> Problem:
        return self.record.problem

    @property
    def settings(self) -> SearchSettings:
        return self.record.settings

    @property
    def ledger(self) -> Ledger:
        """What the search has spent, without its baseline."""
        return self.problem.run.ledger

    def start(self, algorithm: Algorithm) -> list[Ask]:
        """The first asks: the baseline, which is outside the budget, and the algorithm's own."""
        self.stage = "searching"
        baselines = self.record.ask_baselines(algorithm)
        self._baselines_due = {ask.trajectory.key for ask in baselines}
        self._generator = algorithm(self.problem)
        return [*baselines, *self._next(None)]

    def _next(self, replies: list[Reply] | None) -> list[Ask]:
        """The asks of the next yield that the budget allows, in program order."""
        try:
            asked = next(self._generator) if replies is None else self._generator.send(replies)
        except StopIteration as stop:
            return self._finish(stop.value)
        cascade, bounds = self._cascade()
        if cascade is not None:
            first = dict.fromkeys((*cascade.stages[0].objective.parts, *bounds))
            want = Score(tuple(first))
            asked = [replace(a, want=want) if a.want == Score() else a for a in asked]
        self.pending = self._yielded = affordable(self.problem, asked)
        self._turn = 0
        self.cut = len(self.pending) < len(asked)
        return self.pending if self.pending else self._finish(self._cut_off())

    def _cascade(self) -> tuple[Cascade | None, tuple[str, ...]]:
        """The cascade that decides, and the parts that are bounded; bounds stand around it."""
        inner, bounds = self.problem.objective, tuple(self.settings.guards)
        while isinstance(inner, Constrained):
            bounds = (*bounds, *(bound.part for bound in inner.bounds))
            inner = inner.then
        return (inner, bounds) if isinstance(inner, Cascade) else (None, ())

    def _next_stage(self) -> list[Ask]:
        """Of a yield that a cascade has looked at: what its next stage looks at."""
        cascade, _ = self._cascade()
        if cascade is None or not self._more_stages:
            return []
        replies = [self.record.answers[a.trajectory.key] for a in self.pending]
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

    def is_answered(self, ask: Ask) -> bool:
        """True where an ask of this search has been answered."""
        held_out = self.watch.parts and ask.want == Score(self.watch.parts)
        book = self.watch.watch_replies if held_out else self.record.answers
        return ask.answered_by(book.get(ask.trajectory.key), self.record.parts)

    @property
    def waiting(self) -> list[Ask]:
        return [a for a in self.pending if not self.is_answered(a)]

    @property
    def _complete(self) -> bool:
        """True where nothing is waited for; looked at from the end, which is answered last."""
        return all(self.is_answered(a) for a in reversed(self.pending))

    @property
    def baseline_answered(self) -> bool:
        """True where the baseline is there; a search ends only then."""
        return not self._baselines_due

    @property
    def ready(self) -> bool:
        """True where it can go on: what it asked is answered, and so is the baseline where
        anything hangs on that. Elsewhere it waits for company: a batch of its own is dear."""
        if not self._complete or self.baseline_answered:
            return self._complete
        unguarded = self.settings.guards and not self._guards_set
        hangs = unguarded or self.watch.parts or self.settings.limits or self.problem.run.sets
        return self.stage == "searching" and not hangs

    def enough(self) -> bool:
        """True where a reply, in the order of the asks, ends the search; what was asked after it
        is left out, answered or not."""
        limits, objective, record = self.settings.limits, self.problem.objective, self.record
        if limits is None or self.stage != "searching" or not self.baseline_answered:
            return False
        if self._followed < 0:
            self._followed = 0
            if limits.baseline(record.answers[record.baseline.key], objective):
                self._yielded = []
                return True
        if self._cascade()[0] is not None and (self._more_stages or not self._complete):
            return False
        for ask in self._yielded[self._followed :]:
            if not self.is_answered(ask):
                break
            self._followed += 1
            reply = record.answers[ask.trajectory.key]
            if limits.told(ask, reply, objective, record.is_candidate(reply)):
                self._yielded = self._yielded[: self._followed]
                return True
        return False

    def answer(self, reply: Reply) -> Reply | None:
        """Remember a reply beside what is known of the trajectory; returns both together, or None
        where it is the watch's.

        A search with guards goes on only when its baseline is there, so their bounds, which are
        the baseline's parts, are set before anything is compared.
        """
        key, named = reply.trajectory.key, {*reply.parts, *reply.missing}
        held_out = bool(named) and named <= set(self.watch.parts)
        book = self.watch.watch_replies if held_out else self.record.answers
        if (known := book.get(key)) is not None:
            reply = known.joined(reply)
        book[key] = reply
        if held_out:
            return None
        if key in self._baselines_due and self.is_answered(score(reply.trajectory)):
            self._baselines_due.discard(key)
            self._guard(reply)
        return reply

    def _guard(self, base: Reply) -> None:
        guards = self.settings.guards
        if guards and not self._guards_set:
            bounds = [Bound(p, base.parts[p], True, scale)
                      for p, scale in guards.items() if p in base.parts]  # fmt: skip
            self.problem.objective = Constrained(tuple(bounds), self.problem.objective)
            self._guards_set = True

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
        known = [(a, self.record.answers.get(a.trajectory.key)) for a in self._yielded]
        parts = self.record.parts
        told = [reply for ask, reply in known if reply and ask.answered_by(reply, parts)]
        for reply in told:
            self.ledger.spent(reply)
        self.record.replies += told
        self.pending = self._yielded = []
        self._followed = min(0, self._followed)
        return told, self._watch(told)

    def _watch(self, told: Sequence[Reply]) -> list[Ask]:
        """Asks of the held-out verifiers about each reply that is better than all before it."""
        if not self.watch.parts:
            return []
        base = self.record.answers.get(self.record.baseline.key)
        first = [base] if base and not self.watch.improvements else []
        return [
            self._ask_watch(reply) for reply in [*first, *told]
            if self.record.is_candidate(reply)
            and self.watch.improves(reply, self.problem.objective)
        ]  # fmt: skip

    def _ask_watch(self, reply: Reply) -> Ask:
        ask = self.watch.ask(reply)
        self.ledger.look(ask.trajectory, self.watch.parts)
        return ask

    def _last_look(self) -> list[Ask]:
        """The winners are there: the watch looks at the first, and is waited for."""
        self.stage = "watching"
        winners = self.record.outcomes()[0].winners
        if self.watch.parts and winners:
            last = winners[0][0]
            if all(r.trajectory.key != last.trajectory.key for r in self.watch.improvements):
                self._ask_watch(last)
        self.pending = self.watch.asks
        return self.pending

    def stop(self) -> list[Ask]:
        """The clock has run out, or it is enough: keep the replies that are there and finish with
        the best."""
        if self.stage != "searching":
            return []
        _, fresh = self._take()
        self.ledger.recount(self.record.replies)
        for ask in self.watch.asks:
            self.ledger.look(ask.trajectory, self.watch.parts)
        self.cut = True
        winners, limits = self._cut_off(), self.settings.limits
        if limits is not None and limits.why == TARGET:
            # First what reached it: the order of all may put another first.
            first = limits.best
            winners = [first.trajectory, *self.record.leaders()] if first else []
        return [*fresh, *self._finish(winners)]

    def _cut_off(self) -> list[Trajectory] | None:
        """What the algorithm returns on hearing that it is cut; None where it is silent."""
        try:
            self._generator.throw(Cut())
        except StopIteration as stop:
            found: list[Trajectory] | None = stop.value
            return found
        except Cut:
            return None
        self._generator.close()
        return None

    def _finish(self, winners: Iterable[Trajectory] | None) -> list[Ask]:
        """Ask for the winners at the final steps; free where those are the search's own."""
        chosen = [t for t in winners or () if t.finished]
        finals = [final for _, final in self.record.settle(chosen or self.record.leaders())]
        for trajectory in finals:
            self.ledger.charge(trajectory)
            # Alone: whoever sets this aside cannot know which evaluations winners will share.
            self.final_price += Ledger(self.ledger.rates).charge(trajectory)
        self.stage = "finishing"
        self.pending = [self.record.final_ask(t) for t in finals]
        return self.pending
