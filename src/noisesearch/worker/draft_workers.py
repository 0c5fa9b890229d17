"""Workers of several drafts as one executor: each batch has rows of one draft."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..candidates.ask import Ask, Reply
from .engine import Usage, Worker
from .scoring import Scorer


@dataclass
class Timing:
    """Seconds that a draft's answers took, scored and all."""

    seconds: float = 0.0
    answers: int = 0

    def add(self, seconds: float, answers: int) -> None:
        self.seconds, self.answers = self.seconds + seconds, self.answers + answers


class Sums(Mapping[str, Mapping[str, int]]):
    """Usages of several workers as one, added up when a condition is asked about."""

    def __init__(self, usages: Sequence[Usage]) -> None:
        self._usages = usages

    def __getitem__(self, key: str) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for usage in self._usages:
            found.update(usage.get(key, {}))
        if not found:
            raise KeyError(key)
        return dict(found)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for usage in self._usages for key in usage))

    def __len__(self) -> int:
        return len({key for usage in self._usages for key in usage})


class DraftWorkers:
    """Answers an ask by the worker of its trajectory's draft; see the contract of Executor."""

    def __init__(self, workers: Mapping[str, Worker], prices: Mapping[str, float]) -> None:
        """``prices``: NFE of a sample of each draft."""
        self.workers, self.prices = dict(workers), prices
        self._turns = deque(workers)
        self.timings = {name: Timing() for name in workers}

    @property
    def usage(self) -> Mapping[str, Mapping[str, int]]:
        """What ran, by condition key, over all drafts."""
        return Sums([worker.usage for worker in self.workers.values()])

    @property
    def scorers(self) -> tuple[Scorer, ...]:
        """What decodes and scores in any of them."""
        return tuple(worker.scorer for worker in self.workers.values())

    @property
    def evaluations(self) -> int:
        return sum(worker.evaluations for worker in self.workers.values())

    @property
    def occupancy(self) -> float:
        """Mean share of the slots that held work, over all ticks of all drafts."""
        workers = self.workers.values()
        slots = sum(worker.ticks * worker.rows for worker in workers)
        return sum(w.occupancy * w.ticks * w.rows for w in workers) / max(1, slots)

    @property
    def evictions(self) -> int:
        return sum(worker.evictions for worker in self.workers.values())

    @property
    def swaps(self) -> int:
        """How often networks made room for others; all workers have them in one place."""
        return max(worker.swaps for worker in self.workers.values())

    def _of(self, ask: Ask) -> Worker:
        return self.workers[ask.trajectory.draft]

    def submit(self, ask: Ask) -> None:
        self._of(ask).submit(ask)

    def cancel(self, ask: Ask) -> None:
        self._of(ask).cancel(ask)

    def wait(self) -> list[tuple[Ask, Reply]]:
        """What one of the workers has to say: the one that would waste the least on rows with
        nothing in them, so that searches which come to their next stage one by one wait for each
        other; of equals they take turns, so that their times compare on a machine whose speed
        drifts."""
        self._turns.rotate(-1)
        for name in sorted(self._turns, key=self._waste):
            started = time.perf_counter()
            if answers := self.workers[name].wait():
                self.timings[name].add(time.perf_counter() - started, len(answers))
                return answers
        return []

    def _waste(self, name: str) -> float:
        worker = self.workers[name]
        return (1 - worker.fullness) * worker.rows * self.prices[name]

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()
