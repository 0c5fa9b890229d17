"""Previews that verifiers of finished samples want: taken on the way, at no evaluation more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from ..candidates.ask import Ask
from ..candidates.trajectory import Denoise, Grid, Trajectory
from ..sampling.process import Process
from ..verifiers.capabilities import previews_of
from ..verifiers.protocol import Verifier
from .cache import CachedState
from .jobs import Levels, Planner

Ready = tuple[Trajectory, Tensor]  # a trajectory with its clean sample [1, …]


def linear_times(process: Process, levels: Levels) -> Tensor:
    """The times of a grid's looks on the scale of the linear interpolant: equal σ/α.

    The last level is left out: nothing is evaluated where the sample is clean.
    """
    t = torch.tensor(levels.left[:-1], dtype=torch.float64)
    alpha, sigma = process.alpha(t), process.sigma(t)
    return sigma / (alpha + sigma)


def nearest(process: Process, levels: Levels, time: float) -> tuple[int, float]:
    """The level of a grid whose look is nearest to a time, and its own time."""
    times = linear_times(process, levels)
    level = int((times - time).abs().argmin())
    return level, float(times[level])


def before(trajectory: Trajectory, level: int) -> Trajectory:
    """Where a trajectory's last grid passes ``level``."""
    node, last = trajectory, Denoise(level)
    while node.level > level and isinstance(move := node.move, Denoise) and node.parent:
        node, last = node.parent, move
    return node if node.level == level else node.denoise(level, last.seed, last.turns)


class PreviewStore:
    """The clean samples predicted at the levels nearest to the times that verifiers want.

    The preview at a level is the first evaluation of the step from there, so that a sample which
    passes it gives it away. A sample is ready when it and all its previews are there.
    """

    def __init__(
        self, verifiers: Sequence[Verifier], process: Process, levels: Callable[[Grid], Levels]
    ) -> None:
        self._process, self._levels = process, levels
        back = [(v.parts, previews_of(v)) for v in verifiers]
        self._of = {part: times for parts, times in back for part in parts}
        self.times = tuple(sorted({time for _, times in back for time in times}))
        self._found: dict[str, dict[float, Tensor]] = {}  # by trajectory and time
        self._samples: dict[str, Ready] = {}  # those that wait for their previews

    def wanted(self, asks: Collection[Ask], all_: tuple[str, ...]) -> set[float]:
        """The times that verifiers who are asked about one trajectory want."""
        parts = {part for ask in asks for part in ask.parts(all_)}
        return {time for part in parts for time in self._of[part]}

    def prefixes(self, trajectory: Trajectory) -> dict[float, Trajectory]:
        """Where a finished trajectory is to be looked at on its way, by the time wanted."""
        if not self.times or not trajectory.finished:
            return {}
        levels = self._levels(trajectory.grid)
        return {time: before(trajectory, nearest(self._process, levels, time)[0])
                for time in self.times}  # fmt: skip

    def reach(
        self, trajectory: Trajectory, planner: Planner, add: Callable[[Ready | None], None]
    ) -> None:
        """Have the previews of a trajectory taken; ``add`` is told when that makes it ready."""
        prefixes = self.prefixes(trajectory)
        if prefixes:
            found = self._found[trajectory.key] = {}
        for time, prefix in prefixes.items():

            def seen(place: CachedState, time: float = time) -> None:
                assert place.pair is not None
                found[time] = place.pair[0]
                add(self._whole(trajectory.key))

            planner.reach(prefix, True, seen)

    def arrived(self, trajectory: Trajectory, x0: Tensor) -> Ready | None:
        """The sample is there: it is ready, unless a preview of it is to come."""
        if not self.times or not trajectory.finished:
            return trajectory, x0
        self._samples[trajectory.key] = trajectory, x0
        return self._whole(trajectory.key)

    def _whole(self, key: str) -> Ready | None:
        if len(self._found.get(key, ())) < len(self.times):
            return None
        return self._samples.pop(key, None)

    def of(self, batch: Sequence[Ready]) -> dict[float, list[Tensor]]:
        """The predictions [1, …] of ready samples, by time.

        Of an unfinished one, which nobody looks back on, its own preview stands in.
        """
        found = [self._found.get(t.key, {}) for t, _ in batch]
        return {time: [f.get(time, x0) for f, (_, x0) in zip(found, batch, strict=True)]
                for time in self.times}  # fmt: skip

    def drop(self, trajectory: Trajectory) -> None:
        """It has been looked at."""
        self._found.pop(trajectory.key, None)

    def forget(self, kept: set[str]) -> None:
        """Begin anew but for some trajectories."""
        self._samples = {k: s for k, s in self._samples.items() if k in kept}
        self._found = {k: f for k, f in self._found.items() if k in kept}
