"""Jobs: the edges in flight, and how a trajectory becomes jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..candidates.keys import seed_of
from ..candidates.noise import Materialiser, gaussian, normals, turned
from ..candidates.trajectory import Denoise, Grid, Renoise, Trajectory
from ..errors import ConfigError
from ..sampling.process import Process, begun, renoise
from ..sampling.solvers import Solver, State
from .cache import CachedState, EdgeCache

Arrived = Callable[[CachedState], None]


@dataclass(frozen=True)
class Levels:
    """The times of a grid's levels as plain numbers, which are quicker to hand about than tensors:
    where a state arrives, and where the network looks and the next step goes from."""

    arrived: tuple[float, ...]
    left: tuple[float, ...]

    @classmethod
    def of(cls, times: Tensor) -> Levels:
        """From times [levels] or, as (arrived, left), [levels, 2]."""
        pairs = times.reshape(len(times), -1)
        return cls(tuple(pairs[:, 0].tolist()), tuple(pairs[:, -1].tolist()))


@dataclass
class Job:
    """One edge being integrated: it stops where nobody waits for a further level."""

    edge: str
    trajectory: Trajectory  # the first asked for; names the condition and who is charged
    times: Levels
    level: int
    place: CachedState
    move: Denoise | None  # None where the job only looks at its start
    at: dict[int, list[Arrived]] = field(default_factory=dict)
    previews: dict[int, list[Arrived]] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Nobody waits for a preview or for a level still to come."""
        return not self.previews and max(self.at, default=self.level) <= self.level


class Planner:
    """Turns "be there" into jobs: siblings wait for a prefix in flight, nothing runs twice.

    Contract: ``reach(trajectory, preview, arrived)`` calls ``arrived`` once, now or from a later
    :meth:`passed` or :meth:`evaluated`, with a place that holds the state and, for a preview, the
    evaluation there.
    """

    def __init__(
        self,
        process: Process,
        solver: Solver,
        noises: Materialiser,
        times: Callable[[Grid], Levels],
        cache: EdgeCache,
        device: torch.device,
    ) -> None:
        self.process, self.solver, self.noises = process, solver, noises
        self.times, self.cache, self.device = times, cache, device
        self.queue: deque[Job] = deque()
        self._flying: dict[str, Job] = {}

    def clear(self) -> None:
        """Forget every job and who waits for it."""
        self.queue.clear()
        self._flying.clear()

    def reach(self, trajectory: Trajectory, preview: bool, arrived: Arrived) -> None:
        edge, level = trajectory.edge, trajectory.level
        place = self.cache.get(edge, level)
        if place is not None and (place.pair is not None or not preview):
            arrived(place)
            return
        job = self._flying.get(edge)
        if job is not None and job.level <= level:
            self._wait(job, level, preview, arrived)
            return
        nearest = self.cache.nearest(edge, level)
        if nearest is not None and (start := self.cache.get(edge, nearest)) is not None:
            self._launch(trajectory, nearest, start, preview, arrived)
        elif trajectory.parent is None:
            x = self.tensor(self.noises(trajectory.noise))
            first = one(self.times(trajectory.grid).arrived[0])
            start = CachedState(self.solver.init(begun(self.process, x[None], first)))
            self._begin(trajectory, start, preview, arrived)
        else:
            # The one who waits for a parent in flight, and the sibling that comes after it, must
            # end up in one job: so the launch is decided when the parent is there.
            parent = trajectory.parent
            self.reach(parent, False, lambda p: self._from(trajectory, p, preview, arrived))

    def _from(
        self, trajectory: Trajectory, start: CachedState, preview: bool, arrived: Arrived
    ) -> None:
        assert trajectory.parent is not None
        if isinstance(trajectory.move, Renoise):
            self._begin(trajectory, self._renoised(trajectory, start), preview, arrived)
            return
        job = self._flying.get(trajectory.edge)
        if job is not None and job.level <= trajectory.level:
            self._wait(job, trajectory.level, preview, arrived)
        else:
            self._launch(trajectory, trajectory.parent.level, start, preview, arrived)

    def _begin(
        self, node: Trajectory, place: CachedState, preview: bool, arrived: Arrived
    ) -> None:
        """Arrive at a node that opens a grid: its state costs nothing, its preview does."""
        # Kept, so that trajectories which part here share the evaluation here.
        self.cache.put(node.edge, 0, place)
        if preview:
            self._launch(node, 0, place, True, arrived)
        else:
            arrived(place)

    def _launch(
        self, node: Trajectory, level: int, start: CachedState, preview: bool, arrived: Arrived
    ) -> None:
        move = node.move if isinstance(node.move, Denoise) else None
        job = Job(node.edge, node, self.times(node.grid), level, start, move)
        self._wait(job, node.level, preview, arrived)
        self._flying[node.edge] = job
        self.queue.append(job)

    def _wait(self, job: Job, level: int, preview: bool, arrived: Arrived) -> None:
        here = level == job.level
        if here and not preview and level not in job.previews:
            arrived(job.place)
        elif preview or here:
            # Who starts where a look is about to be taken waits for it and shares it.
            job.previews.setdefault(level, []).append(arrived)
            job.at.setdefault(level, [])
        else:
            job.at.setdefault(level, []).append(arrived)

    def _renoised(self, node: Trajectory, at: CachedState) -> CachedState:
        assert node.parent is not None and isinstance(node.move, Renoise)
        now = one(self.times(node.parent.grid).arrived[node.parent.level])
        # The grid's start is a time of the linear interpolant, its first level one of the process.
        up = one(self.times(node.grid).arrived[0])
        noise = self.tensor(self.noises(gaussian(node.move.seed)))[None]
        return CachedState(self.solver.init(renoise(self.process, at.state[0], now, up, noise)))

    def tensor(self, array: object) -> Tensor:
        return torch.tensor(array, device=self.device)

    def passed(self, job: Job) -> None:
        """The job has come to a new level: remember it if it was waited for, tell who waits."""
        waiting = job.at.pop(job.level, None)
        if waiting is None:
            return
        self.cache.put(job.edge, job.level, job.place)
        if job.level in job.previews:
            # Whoever starts here needs the evaluation that the preview is about to make.
            job.previews[job.level] += waiting
            return
        for arrived in waiting:
            arrived(job.place)

    def evaluated(self, job: Job) -> None:
        """The network has been evaluated at the job's place."""
        waiting = job.previews.pop(job.level, None)
        if waiting is None:
            return
        self.cache.put(job.edge, job.level, job.place)
        for arrived in waiting:
            arrived(job.place)

    def land(self, job: Job) -> None:
        """The job leaves its slot."""
        if self._flying.get(job.edge) is job:
            del self._flying[job.edge]


def one(time: float) -> Tensor:
    """A time [1] in float64."""
    return torch.tensor([time], dtype=torch.float64)


def arrived_at(times: Tensor, level: int) -> Tensor:
    """The time of the state at a level; ``times`` [levels] or, as (arrived, left), [levels, 2]."""
    return times[level].reshape(-1)[0]


def left_from(times: Tensor, level: int) -> Tensor:
    """The time at which the network looks at a level, and from which the next step goes."""
    return times[level].reshape(-1)[-1]


class Stack:
    """Row states [1, …] as one of exactly ``size`` rows, filled with copies of the first.

    What came as one and was parted is not put together again while the same rows come first in it;
    what stands in the places after them is then whatever was there.
    """

    def __init__(self) -> None:
        self._rows: list[State] = []
        self._whole: State = ()

    def part(self, whole: State) -> list[State]:
        """The rows [1, …] of a state; views, so that what keeps one for long copies it."""
        parted = (column.unsqueeze(1).unbind() for column in whole)
        self._rows = list(zip(*parted, strict=True))
        self._whole = whole
        return self._rows

    def __call__(self, states: Sequence[State], size: int) -> State:
        known = len(self._rows) == size
        if known and all(a is b for a, b in zip(states, self._rows, strict=False)):
            return self._whole
        rows = [*states, *[states[0]] * (size - len(states))]
        return tuple(torch.cat(column) for column in zip(*rows, strict=True))


def injected(like: Tensor, rows: Mapping[int, tuple[Denoise | None, int]]) -> Tensor:
    """What an SDE step adds to the rows that go on, by move and level: 3→9 is 3→6→9."""
    noise = torch.zeros_like(like)
    for i, (move, level) in rows.items():
        if move is None or move.seed is None:
            raise ConfigError("a stochastic solver needs a seed on every move")
        added = normals(seed_of(move.seed, "step", level), like.shape[1:])
        for seed, cosine in move.turns:
            towards = normals(seed_of(seed, "step", level), like.shape[1:], purpose=1)
            added = turned(added, towards, cosine)
        noise[i] = torch.from_numpy(added).to(like)
    return noise


def row(encoded: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """One row [1, …] of an encoding."""
    return {name: tensor[index : index + 1] for name, tensor in encoded.items()}
