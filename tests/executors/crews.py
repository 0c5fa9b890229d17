"""A crew of made-up workers under a clock that only this crew moves."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from noisesearch.ask import Ask, Reply
from noisesearch.executors.crew import Event, Joined, Lost, Parcel, Report, Told
from noisesearch.executors.station import Station

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


class MadeUpCrew:
    """Workers by name: a batch takes ``seconds`` of each; ``spoil`` changes what one reports.

    ``at(time, event)`` lets something happen; a worker that is lost answers nothing more.
    """

    def __init__(self, seconds: Mapping[str, float], rows: int = 4) -> None:
        self.now, self.rows = 0.0, rows
        self.seconds = dict(seconds)
        self.spoil: dict[str, Spoil] = {}
        self.workers: dict[str, Reckoner] = {}
        self.dismissed: list[str] = []
        self.given: list[tuple[str, int]] = []  # to whom, and how many asks
        self._stations: dict[str, Station] = {}
        self._coming: list[tuple[float, int, Event]] = []
        self._count = itertools.count()
        for name in seconds:
            self.at(0.0, Joined(name, rows))

    def at(self, time: float, event: Event) -> None:
        heapq.heappush(self._coming, (time, next(self._count), event))

    def clock(self) -> float:
        return self.now

    @property
    def expecting(self) -> bool:
        return any(isinstance(event, Joined) for _, _, event in self._coming)

    def give(self, worker: str, parcel: Parcel) -> None:
        self.given.append((worker, len(parcel["asks"])))
        if worker in self._stations:  # otherwise it is lost, and its event is on the way
            report: Any = self._stations[worker].work(parcel)
            report = self.spoil.get(worker, lambda told: told)(report)
            self.at(self.now + self.seconds.get(worker, 1.0), Told(worker, report))

    def events(self, seconds: float) -> Sequence[Event]:
        until = self.now + seconds
        found: list[Event] = []
        while self._coming and self._coming[0][0] <= (self.now if found else until):
            time, _, event = heapq.heappop(self._coming)
            self.now = max(self.now, time)
            if isinstance(event, Joined):
                worker = self.workers[event.worker] = Reckoner(self.rows)
                self._stations[event.worker] = Station(lambda *_, w=worker: w, lambda *_: b"")
            elif event.worker not in self._stations:
                continue
            elif isinstance(event, Lost):
                del self._stations[event.worker]
            found.append(event)
        self.now = self.now if found else until
        return found

    def dismiss(self, worker: str) -> None:
        self.dismissed.append(worker)
        del self._stations[worker]

    def close(self) -> None:
        self._stations.clear()
