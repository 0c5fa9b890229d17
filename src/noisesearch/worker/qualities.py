"""Workers of several qualities as one executor: each batch has rows of one quality."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ..ask import Ask, Reply
from .engine import Usage, Worker


@dataclass
class Timing:
    """Seconds that a quality's answers took, scored and all."""

    seconds: float = 0.0
    answers: int = 0

    def add(self, seconds: float, answers: int) -> None:
        self.seconds, self.answers = self.seconds + seconds, self.answers + answers


class Qualities:
    """Answers an ask by the worker of its trajectory's quality; see the contract of Executor."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self.workers = dict(workers)
        self.timings = {name: Timing() for name in workers}

    @property
    def usage(self) -> Usage:
        """What ran, by condition key, over all qualities."""
        total: Usage = {}
        for worker in self.workers.values():
            for key, units in worker.usage.items():
                of = total.setdefault(key, {})
                for unit, count in units.items():
                    of[unit] = of.get(unit, 0) + count
        return total

    @property
    def evaluations(self) -> int:
        return sum(worker.evaluations for worker in self.workers.values())

    @property
    def evictions(self) -> int:
        return sum(worker.evictions for worker in self.workers.values())

    def _of(self, ask: Ask) -> Worker:
        return self.workers[ask.trajectory.quality]

    def submit(self, ask: Ask) -> None:
        self._of(ask).submit(ask)

    def cancel(self, ask: Ask) -> None:
        self._of(ask).cancel(ask)

    def wait(self) -> list[tuple[Ask, Reply]]:
        """What one of the workers has to say."""
        for name, worker in self.workers.items():
            started = time.perf_counter()
            if answers := worker.wait():
                self.timings[name].add(time.perf_counter() - started, len(answers))
                return answers
        return []

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()
