"""The worker: slots that hold one trajectory each, advanced together by one solver step a tick."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from ..candidates.ask import Ask, Gradient, Reply
from ..candidates.condition import Condition
from ..candidates.ledger import REUSED, UNITS
from ..candidates.noise import Materialiser
from ..candidates.trajectory import Grid, Trajectory
from ..sampling.counter import Counted
from ..sampling.denoiser import DENOISE, LOOK, Denoiser, RowMemories
from ..sampling.solvers import Pair, Solver
from ..verifiers.protocol import Verifier
from .cache import CachedState, EdgeCache
from .encoding import ConditionEncoder
from .gradient import Differentiator, alike
from .jobs import Job, Levels, Planner, Stack, injected
from .previews import PreviewStore
from .residence import Residence, within_memory
from .scoring import Scorer, Sink, Source
from .scoring_queue import Asked, ScoringQueue

Usage = dict[str, dict[str, int]]
AHEAD = 4  # batches of jobs that are planned while others run


class Worker:
    """Answers asks on one device; an executor by itself.

    Denoiser, decoder and verifiers see batches of exactly ``rows`` rows, so that a candidate's
    bits do not depend on its slot, its companions or the order of the asks. Where memory runs out
    ``rows`` is halved and the work goes on; ``narrowed`` is told. Where it is the host's, the
    states that are kept are given up before: they can be made again. ``beside``: decode and score
    while the next batch is denoised; by default on an accelerator that holds all networks at once.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        solver: Solver,
        verifiers: Sequence[Verifier],
        noises: Materialiser,
        times: Callable[[Grid], Sequence[float] | Sequence[tuple[float, float]]],
        *,
        rows: int = 16,
        watch: Sequence[Verifier] = (),
        sink: Sink | None = None,
        source: Source | None = None,
        cache_bytes: int = 256 * 2**20,
        device: str = "cpu",
        residence: Residence | None = None,
        narrowed: Callable[[int], None] | None = None,
        beside: bool | None = None,
    ) -> None:
        self.rows = rows
        self.residence = residence or Residence()
        self.solver = solver
        self.counted = Counted(denoiser, rows)
        self.scorer = Scorer(denoiser.decode, verifiers, rows, sink, watch, source)
        self.cache = EdgeCache(cache_bytes)
        self.device = torch.device(device)
        self.usage: Usage = {}
        self._narrowed = narrowed
        # Each once: times [levels] or [levels, 2] by the model's own schedule, and plain numbers.
        self._grid = grid = cache(lambda of: torch.tensor(times(of), dtype=torch.float64))
        levels = cache(lambda of: Levels.of(grid(of)))
        self._planner = Planner(denoiser.process, solver, noises, levels, self.cache, self.device)
        self._reader = ConditionEncoder(denoiser, self.residence, self.device)
        self._previews = PreviewStore(self.scorer.verifiers, denoiser.process, levels)
        self._differentiator = Differentiator(
            self.counted, solver, verifiers, self.scorer, noises, self._count, self.device,
            self.residence,
        )  # fmt: skip
        self._pulls: dict[str, Ask] = {}
        self._active: list[Job] = []
        self._states, self._pairs = Stack(), Stack()
        self._asked: Asked = {}
        self._looker = ScoringQueue(
            self.scorer, self._previews, self._asked, self._count, self.device,
            self.device.type == "cuda" and not self.residence.lean if beside is None else beside,
        )  # fmt: skip
        self._backlog: deque[Trajectory] = deque()
        self._stale = False  # something in flight was cancelled
        self._slots = self.ticks = 0  # of work, and of solver steps so far
        self._spared = -2  # the tick at which the host's memory last ran out

    @property
    def scorers(self) -> tuple[Scorer, ...]:
        """What decodes and scores here."""
        return (self.scorer,)

    @property
    def occupancy(self) -> float:
        """Mean share of the slots that held work, over all ticks so far."""
        return self._slots / max(1, self.ticks * self.rows)

    @property
    def fullness(self) -> float:
        """The share of a batch that what is asked would fill."""
        return min(1.0, (len(self._asked) + len(self._pulls)) / self.rows)

    @property
    def evaluations(self) -> int:
        """Of the network that ran, those made again for gradients among them."""
        return self.counted.nfe

    @property
    def evictions(self) -> int:
        """States that were dropped for want of room."""
        return self.cache.evictions

    @property
    def swaps(self) -> int:
        """How often networks made room for others, so far."""
        return self.residence.swaps

    def submit(self, ask: Ask) -> None:
        """Take an ask; the same again while it is in flight is one."""
        trajectory = ask.trajectory
        if isinstance(ask.want, Gradient):
            self._pulls.setdefault(ask.key, ask)
        elif trajectory.key in self._asked:
            self._asked[trajectory.key].setdefault(ask.key, ask)
        else:
            self._asked[trajectory.key] = {ask.key: ask}
            if not self._looker.submit(trajectory, ask):
                self._backlog.append(trajectory)

    def _plan(self) -> None:
        """Turn asks into jobs, a few batches ahead: a job holds its start noise as a tensor."""
        queue = self._planner.queue
        while self._backlog and len(queue) + len(self._active) < AHEAD * self.rows:
            trajectory = self._backlog.popleft()
            if trajectory.key in self._asked:
                arrived = partial(self._arrived, trajectory)
                self._previews.reach(trajectory, self._planner, self._looker.add)
                self._planner.reach(trajectory, not trajectory.finished, arrived)

    def cancel(self, ask: Ask) -> None:
        """Forget an ask; what it alone needed is not computed."""
        self._pulls.pop(ask.key, None)
        about = self._asked.get(ask.trajectory.key, {})
        if about.pop(ask.key, None) is not None and not about:
            del self._asked[ask.trajectory.key]
            self._stale = True

    def _restart(self) -> None:
        """Plan anew for what is still asked, from where everything in flight is."""
        self._stale = False
        for job in (*self._active, *self._planner.queue):
            self.cache.put(job.edge, job.level, job.place)
        self._active = []
        self._planner.clear()
        there = self._looker.only(self._asked)
        asked = {k: next(iter(about.values())) for k, about in self._asked.items()}
        self._backlog = deque(a.trajectory for k, a in asked.items() if k not in there)

    def _arrived(self, trajectory: Trajectory, place: CachedState) -> None:
        x0 = place.state[0] if trajectory.finished else place.pair and place.pair[0]
        assert x0 is not None
        self._looker.add(self._previews.arrived(trajectory, x0))

    def wait(self) -> list[tuple[Ask, Reply]]:
        """Work until something is answered; empty when nothing is asked."""
        return within_memory(self._work, lambda: self.rows, self._narrow, self._spare)

    def _spare(self) -> bool:
        """Give up the states that are kept; not twice for one batch."""
        helped = self.ticks > self._spared + 1
        self._spared = self.ticks
        return helped and self.cache.clear()

    def _narrow(self, rows: int) -> None:
        """Go on with fewer rows."""
        self.rows = self.counted.rows = self.scorer.rows = rows
        active, self._active = self._active, []
        self._planner.queue.extendleft(reversed(active))
        if self._narrowed is not None:
            self._narrowed(rows)

    def _work(self) -> list[tuple[Ask, Reply]]:
        looker, queue = self._looker, self._planner.queue
        if self._pulls:
            return looker.fetch() if looker.busy else self._pulled()
        with torch.inference_mode():
            if self._stale:
                self._restart()
            while self._asked or looker.busy:
                if looker.done or (looker.busy and looker.stored):
                    return looker.fetch()
                if looker.stored and not self._denoising:
                    return self._look_again()
                self._plan()
                while self._fill():
                    self._plan()
                if looker.ready and self._look:
                    self.residence.enter(LOOK)
                    more = bool(self._active or queue or self._backlog)
                    if answers := looker.answers(self.rows, more):
                        return answers
                elif self._active:
                    self._tick()
                elif looker.busy:
                    return looker.fetch()
                else:
                    assert looker.stored, "an ask is in flight, so there is work"
                    return self._look_again()
        return []

    def _look_again(self) -> list[tuple[Ask, Reply]]:
        self.residence.enter(LOOK)
        return self._looker.look_again(self.rows)

    @property
    def _denoising(self) -> bool:
        """True where leaving the network would be a swap before its work is done."""
        return self.residence.lean and self.residence.phase == DENOISE

    @property
    def _look(self) -> bool:
        """True where it is time to decode and score what is ready."""
        if self.residence.lean:
            # All of a cohort at one stay: its asks come together, and it goes on together.
            return self.residence.phase == LOOK or not self._active
        idle = not self._planner.queue and 2 * len(self._active) <= self.rows
        return len(self._looker.ready) >= self.rows or idle

    def _pulled(self) -> list[tuple[Ask, Reply]]:
        """Gradients and scores of a batch of trajectories; who waits for a score alone gets it."""
        first = next(iter(self._pulls.values()))
        batch = [a for a in self._pulls.values() if alike(a, first)][: self.rows]
        replies = self._differentiator(batch, self._grid(first.trajectory.grid))
        answers = []
        for ask, reply in zip(batch, replies, strict=True):
            del self._pulls[ask.key]
            answers.append((ask, reply))
            about = self._asked.get(ask.trajectory.key, {})
            if ask.trajectory in self._backlog:
                parts = self.scorer.parts
                for other in [a for a in about.values() if a.answered_by(reply, parts)]:
                    del about[other.key]
                    answers.append((other, reply))
                if not about:
                    self._asked.pop(ask.trajectory.key, None)
        return answers

    def _fill(self) -> bool:
        """Jobs to the slots, where those whose evaluation is there make their step at once: it
        needs no network, and no row of a batch. True where that made room for others."""
        queue = self._planner.queue
        while queue and len(self._active) < self.rows:
            self._active.append(queue.popleft())
        ahead = [job for job in self._active if job.place.pair is not None]
        if not ahead or self.solver.price() > 1:
            return False
        for job in ahead:
            self._planner.evaluated(job)
        going = [job for job in ahead if not job.done]
        if going:
            every = [*range(len(going))]
            self._step(going, every, *self._standing(going), {}, self._pair(going))
        self._land()
        return bool(queue or self._backlog) and len(self._active) < self.rows

    def _land(self) -> None:
        landed = [job for job in self._active if job.done]
        for job in landed:
            self._planner.land(job)
        if landed:
            self._active = [job for job in self._active if not job.done]

    def _standing(self, jobs: list[Job]) -> tuple[tuple[Tensor, ...], Tensor]:
        """Where jobs are: their states and times."""
        times = self._filled([job.times.left[job.level] for job in jobs])
        return self._states([job.place.state for job in jobs], self.rows), times

    def _pair(self, jobs: list[Job]) -> Pair:
        """The evaluations where jobs are, which all have one."""
        x0, eps = self._pairs([job.place.pair for job in jobs if job.place.pair], self.rows)
        return x0, eps

    def _tick(self) -> None:
        """Evaluate where each job stands, hand out previews, and step those that go on."""
        jobs = self._active
        self.ticks += 1
        self._slots += len(jobs)
        state, t0 = self._standing(jobs)
        encoded = self._conditions([j.trajectory.condition for j in jobs])
        self.residence.enter(DENOISE)
        first = self._evaluate(jobs, state[0], t0, encoded)
        for job in jobs:
            self._planner.evaluated(job)
        going = [i for i, job in enumerate(jobs) if not job.done]
        if going:
            self._step(jobs, going, state, t0, encoded, first)
        self._land()

    def _evaluate(self, jobs: list[Job], x: Tensor, t: Tensor, encoded: dict[str, Tensor]) -> Pair:
        """The pair for every row; places that have one already, or are shared, cost nothing."""
        fresh: dict[int, int] = {}  # the first row of each place
        for i, job in enumerate(jobs):
            if job.place.pair is None:
                fresh.setdefault(id(job.place), i)
        live: RowMemories = {i: jobs[i].place.memory for i in fresh.values()}
        if live:
            rows = self._pairs.part(self._counted(x, t, encoded, live))
            for i, memory in live.items():
                x0, eps = rows[i]
                jobs[i].place.pair, jobs[i].place.memory = (x0, eps), memory
        found = self._pair(jobs)
        for i in live:
            self.cache.grown(jobs[i].place)
        return found

    def _counted(
        self, x: Tensor, t: Tensor, encoded: dict[str, Tensor], live: RowMemories
    ) -> Pair:
        """An evaluation of some rows, entered for the conditions that need it."""
        before = dict(live)
        # Copies: a network may work in its input's memory, and use its answer's again.
        x0, eps = self.counted(x.clone(), t, encoded, live)
        jobs, forwards = self._active, self.counted.denoiser.forwards
        for condition, rows in Counter(jobs[i].trajectory.condition for i in live).items():
            self._count(condition, "nfe", rows)
            self._count(condition, "forwards", rows * forwards)
        for i, memory in live.items():
            if memory is not None and memory is before[i]:
                self._count(jobs[i].trajectory.condition, REUSED)
        return x0.clone(), eps.clone()

    def _step(
        self,
        jobs: list[Job],
        going: list[int],
        state: tuple[Tensor, ...],
        t0: Tensor,
        encoded: dict[str, Tensor],
        first: Pair,
    ) -> None:
        calls = 0
        live: RowMemories = {i: jobs[i].place.memory for i in going}
        # A row that stays where it is goes along with a step of length zero.
        t1 = self._filled(
            [j.times.left[j.level] if j.done else j.times.arrived[j.level + 1] for j in jobs]
        )

        def denoise(x: Tensor, t: Tensor) -> Pair:
            nonlocal calls
            calls += 1
            if calls == 1:
                return first
            return self._counted(x, t, encoded, live)

        noise = None
        if self.solver.stochastic:
            noise = injected(state[0], {i: (jobs[i].move, jobs[i].level) for i in going})
        process = self.counted.denoiser.process
        rows = self._states.part(self.solver.step(denoise, process, state, t0, t1, noise))
        for i in going:
            job = jobs[i]
            level, grid = job.level + 1, job.trajectory.grid
            clean = level == grid.steps and grid.end == 0.0  # nothing is evaluated there
            memory = None if clean else live[i]
            # Both or neither: there may be no memory for the place, and the step is made again.
            job.level, job.place = level, CachedState(rows[i], memory=memory)
            self._planner.passed(job)

    def _filled(self, times: list[float]) -> Tensor:
        filled = [*times, *[times[0]] * (self.rows - len(times))]
        return torch.tensor(filled, dtype=torch.float64).to(self.device)

    def _conditions(self, conditions: list[Condition]) -> dict[str, Tensor]:
        """The encodings of the rows [rows, …]."""

        def others() -> list[Condition]:
            return [next(iter(asks.values())).trajectory.condition
                    for asks in self._asked.values()]  # fmt: skip

        return self._reader(conditions, self.rows, others)

    def _count(self, condition: Condition, unit: str, count: int = 1) -> None:
        of = self.usage.setdefault(condition.key, dict.fromkeys(UNITS, 0))
        of[unit] = of.get(unit, 0) + count

    def close(self) -> None:
        """Drop what is in flight."""
        self._active = []
        self._backlog.clear()
        self._planner.clear()
        self._asked.clear()
        self._looker.close()
        self.residence.close()
        self.scorer.close()
