"""Crews in this process: made-up workers under a clock of their own, and real ones by turns."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noisesearch.candidates.ask import Ask, Reply
from noisesearch.executors.choice import ExecutorChoice
from noisesearch.executors.shipped_run import ShippedRun, objects
from noisesearch.executors.worker_group import Event, Joined, Lost, Parcel, Report, Told
from noisesearch.executors.worker_loop import WorkerLoop
from noisesearch.runs.run import Run
from noisesearch.setup.python_objects import PythonObjects

Spoil = Callable[[Report], Report]


def number(ask: Ask) -> float:
    """What every worker says of a trajectory."""
    return int(ask.trajectory.key[:8], 16) / 2**32


class Reckoner:
    """A worker that answers ``rows`` asks at a time, each at the cost of one evaluation."""

    def __init__(self, rows: int) -> None:
        self.rows, self.swaps = rows, 0
        self.asked: dict[str, Ask] = {}
        self.done: list[str] = []
        self._ran: dict[str, Counter[str]] = {}

    def submit(self, ask: Ask) -> None:
        self.asked[ask.key] = ask

    def cancel(self, ask: Ask) -> None:
        self.asked.pop(ask.key, None)

    def wait(self) -> Sequence[tuple[Ask, Reply]]:
        batch = list(self.asked.values())[: self.rows]
        for ask in batch:
            del self.asked[ask.key]
            self.done.append(ask.key)
            self._ran.setdefault(ask.trajectory.condition.key, Counter())["nfe"] += 1
        return [(ask, Reply.of(ask.trajectory, {"score": number(ask)})) for ask in batch]

    def ran(self) -> Mapping[str, Mapping[str, int]]:
        ran, self._ran = self._ran, {}
        return ran

    def close(self) -> None:
        self.asked.clear()


class Timed:
    """A crew under a clock of its own: events come in the order of their times.

    ``heard(event)`` is told of each as it comes; False of one that is not to be handed on.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._stations: dict[str, WorkerLoop] = {}
        self._coming: list[tuple[float, int, Event]] = []
        self._count = itertools.count()

    def at(self, time: float, event: Event) -> None:
        heapq.heappush(self._coming, (time, next(self._count), event))

    def clock(self) -> float:
        return self.now

    @property
    def expecting(self) -> bool:
        return any(isinstance(event, Joined) for _, _, event in self._coming)

    def events(self, seconds: float) -> Sequence[Event]:
        until = self.now + seconds
        found: list[Event] = []
        while self._coming and self._coming[0][0] <= (self.now if found else until):
            time, _, event = heapq.heappop(self._coming)
            self.now = max(self.now, time)
            if self.heard(event):
                found.append(event)
        self.now = self.now if found else until
        return found

    def heard(self, event: Event) -> bool:
        return True

    def close(self) -> None:
        self._stations.clear()


class MadeUpCrew(Timed):
    """Workers by name: a batch takes ``seconds`` of each; ``spoil`` changes what one reports.

    ``at(time, event)`` lets something happen; a worker that is lost answers nothing more.
    """

    def __init__(self, seconds: Mapping[str, float], rows: int = 4) -> None:
        super().__init__()
        self.rows = rows
        self.seconds = dict(seconds)
        self.spoil: dict[str, Spoil] = {}
        self.workers: dict[str, Reckoner] = {}
        self.dismissed: list[str] = []
        self.given: list[tuple[str, int]] = []  # to whom, and how many asks
        for name in seconds:
            self.at(0.0, Joined(name, rows))

    def give(self, worker: str, parcel: Parcel) -> None:
        self.given.append((worker, len(parcel["asks"])))
        if worker in self._stations:  # otherwise it is lost, and its event is on the way
            report: Any = self._stations[worker].work(parcel)
            report = self.spoil.get(worker, lambda told: told)(report)
            self.at(self.now + self.seconds.get(worker, 1.0), Told(worker, report))

    def heard(self, event: Event) -> bool:
        if isinstance(event, Joined):
            worker = self.workers[event.worker] = Reckoner(self.rows)
            self._stations[event.worker] = WorkerLoop(lambda *_, w=worker: w, lambda *_: b"")
        elif event.worker not in self._stations:
            return False
        elif isinstance(event, Lost):
            del self._stations[event.worker]
        return True

    def dismiss(self, worker: str) -> None:
        self.dismissed.append(worker)
        del self._stations[worker]


class Beside:
    """Real stations in this process, each of which works when its turn comes, in a seeded order.

    One in ``deaths`` reports is lost with its worker, and another worker takes its place.
    """

    def __init__(
        self, setup: ShippedRun, given: PythonObjects, count: int, deaths: int = 10**9
    ) -> None:
        self._make = lambda: setup.station(given)
        self._random, self._deaths = random.Random(count), deaths
        self._stations: dict[str, WorkerLoop] = {}
        self._parcels: dict[str, Parcel] = {}
        self._events: list[Event] = []
        self._count = itertools.count()
        self.expecting = True
        for _ in range(count):
            self._join()

    def _join(self) -> None:
        name = str(next(self._count))
        self._stations[name] = self._make()
        self._events.append(Joined(name, self._stations[name].worker.rows))

    def give(self, worker: str, parcel: Parcel) -> None:
        self._parcels[worker] = json.loads(json.dumps(parcel, allow_nan=False))

    def events(self, seconds: float) -> Sequence[Event]:
        if self._parcels and not self._events:
            name = self._random.choice(sorted(self._parcels))
            report = self._stations[name].work(self._parcels.pop(name))
            if self._random.randrange(self._deaths):
                self._events.append(Told(name, json.loads(json.dumps(report, allow_nan=False))))
            else:
                self._stations.pop(name).close()
                self._events.append(Lost(name, "killed"))
                self._join()
        found, self._events = self._events, []
        return found

    def dismiss(self, worker: str) -> None:
        raise AssertionError("our own stations keep the schema")

    def close(self) -> None:
        for station in self._stations.values():
            station.close()


@dataclass(frozen=True)
class Here(ExecutorChoice):
    """Runs with :class:`Beside`."""

    count: int = 2
    deaths: int = 10**9

    @property
    def here(self) -> bool:
        return False

    def _crew(self, run: Run, setup: ShippedRun) -> Beside:
        return Beside(setup, objects(run.loaded), self.count, self.deaths)
