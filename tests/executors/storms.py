"""A cluster in this process on which all goes wrong, under a seed and a clock of its own."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from crews import Reckoner, Timed

from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.keys import seed_of, uniform_of
from noisesearch.driver.driver import Driver
from noisesearch.driver.live_search import LiveSearch
from noisesearch.errors import BackendError
from noisesearch.executors.messages import ReportReader
from noisesearch.executors.pool import Pool
from noisesearch.executors.worker_group import Event, Joined, Lost, Parcel, Told
from noisesearch.executors.worker_loop import WorkerLoop
from noisesearch.files.journal import seal
from noisesearch.setup.loaded import Loaded
from noisesearch.setup.prices import Prices
from noisesearch.setup.searches import Searches
from noisesearch.store.run_store import RunStore

BATCH = 1.0  # seconds that a worker takes for a parcel where all is well
SLOW = 10.0  # times that, of a straggler
IDLE = 200  # turns without an event, of half a second: longer than anybody takes to come back


class Stub(Reckoner):
    """Answers every kind of ask with numbers that follow from its key, and computes nothing."""

    def __init__(self, rows: int, parts: Sequence[str], shape: Sequence[int]) -> None:
        super().__init__(rows)
        self._parts, self._shape = tuple(parts), tuple(shape)

    def wait(self) -> Sequence[tuple[Ask, Reply]]:
        return [(ask, self._reply(ask)) for ask, _ in super().wait()]

    def _reply(self, ask: Ask) -> Reply:
        numbers = {part: uniform_of(seed_of(part, ask.trajectory.key))
                   for part in ask.parts(self._parts)}  # fmt: skip
        array = np.full(self._shape, uniform_of(seed_of(ask.key)), np.float32)
        return Reply(ask.trajectory, numbers, arrays={ask.key: array} if ask.stored else {})


# What a worker that is broken may say in place of its report.
SPOILT: list[Callable[[dict[str, Any]], Any]] = [
    lambda report: None,
    lambda report: "Segmentation fault",
    lambda report: {**report, "answers": None},
    lambda report: {**report, "rows": -1},
    lambda report: {name: value for name, value in report.items() if name != "usage"},
    lambda report: {**report, "answers": [{**one, "ask": "0" * 32} for one in report["answers"]]},
    lambda report: {**report, "answers": [{**one, "parts": {}} for one in report["answers"]]},
    lambda report: {**report, "answers": [
        {**one, "parts": dict.fromkeys(one["parts"], float("nan"))} for one in report["answers"]
    ]},
]  # fmt: skip


class Storm(Timed):
    """A crew of nodes with a few workers each.

    Workers die with what they hold, whole nodes do, and others come in their place or are added;
    some are ten times slower, and some say what no worker may say. How often is drawn from the
    seed too. Somebody always comes back in the end. ``met`` counts what happened.
    """

    def __init__(
        self, dice: random.Random, stub: Callable[[int], Stub], met: Counter[str]
    ) -> None:
        super().__init__()
        self.met = met
        self._dice, self._stub = dice, stub
        self._death, self._node, self._spoil, self._slow = (
            dice.choice([0.0, 0.003, 0.02, 0.1]) for _ in range(4)
        )
        self._nodes: dict[str, str] = {}  # of each worker
        self._pace: dict[str, float] = {}
        self._idle = 0
        for _ in range(dice.randint(1, 4)):
            self._new_node(0.0)

    def _new_node(self, after: float) -> None:
        node = f"node {next(self._count)}"
        for _ in range(self._dice.randint(1, 3)):
            self._new_worker(node, after)

    def _new_worker(self, node: str, after: float) -> None:
        name = f"{node} worker {next(self._count)}"
        self._nodes[name] = node
        self._after(after, Joined(name, self._dice.choice([1, 4, 8])))

    def _after(self, seconds: float, event: Event) -> None:
        self.at(self.now + seconds, event)

    def give(self, worker: str, parcel: Parcel) -> None:
        if worker not in self._stations:
            return  # it is lost, and that is on its way
        dice, seconds = self._dice, BATCH * self._pace[worker] * self._dice.uniform(0.8, 1.2)
        if dice.random() < self._death:
            self._lose([worker], dice.uniform(0, seconds), "a worker")
        elif dice.random() < self._node / 4:
            node = self._nodes[worker]
            there = [name for name in self._stations if self._nodes[name] == node]
            self._lose(there, dice.uniform(0, seconds), "a node")
        else:
            report = self._stations[worker].work(json.loads(json.dumps(parcel)))
            report = json.loads(json.dumps(report))
            if dice.random() < self._spoil:
                self.met["a broken report"] += 1
                report = dice.choice(SPOILT)(report)
            self._after(seconds, Told(worker, report))

    def _lose(self, workers: Sequence[str], after: float, what: str) -> None:
        """They die, and others come in their place, mostly."""
        self.met[f"{what} killed"] += 1
        for worker in workers:
            del self._stations[worker]
            self._after(after, Lost(worker, f"{what} was killed"))
        self._come_back(after)

    def _come_back(self, after: float) -> None:
        if not self._stations or self._dice.random() < 0.8:
            self._new_node(after + self._dice.uniform(0, 20))

    def heard(self, event: Event) -> bool:
        if isinstance(event, Joined):
            stub = self._stub(event.rows)
            self._stations[event.worker] = WorkerLoop(lambda *_, w=stub: w, lambda *_: b"")
            self._pace[event.worker] = SLOW if self._dice.random() < 4 * self._slow else 1.0
            self.met["a straggler"] += self._pace[event.worker] == SLOW
        # One that died before it could say so says nothing.
        return not isinstance(event, Told) or event.worker in self._stations

    def events(self, seconds: float) -> Sequence[Event]:
        found = super().events(seconds)
        self._idle = 0 if found else self._idle + 1
        assert self._idle < IDLE, "the pool waits, and nobody has anything to do"
        return found

    def dismiss(self, worker: str) -> None:
        del self._stations[worker]
        self._come_back(0.0)


class Killed(BaseException):
    """The driver's process is gone."""


def dying(store: RunStore, dice: random.Random, within: int) -> None:
    """Have the driver die at one of the next ``within`` writes of its journal: before it, after
    it, or in its middle."""
    journal, left, way = store.journal, dice.randint(1, within), dice.choice(range(3))
    append = journal.append

    def write(*records: Any) -> None:
        nonlocal left
        left -= 1
        if left:
            append(*records)
            return
        if way == 1:
            append(*records)
        elif way == 2:
            line = b"".join(map(seal, records))
            with journal.path.open("ab") as file:
                file.write(line[: dice.randrange(len(line))])
        raise Killed

    journal.append = write  # type: ignore[method-assign]


class Weathered:
    """A run that has come through a storm, by as many processes as that took."""

    def __init__(self, folder: Path, loaded: Loaded, seed: int, kills: int) -> None:
        self.folder, self.loaded = folder, loaded
        self.dice = random.Random(seed)
        self.met: Counter[str] = Counter()
        self.searches: list[LiveSearch] = []
        self.seconds = 0.0
        for process in itertools.count():
            try:
                self._process(process < kills)
                break
            except Killed:
                self.met["the driver killed"] += 1
            except BackendError:
                self.met["given up, and resumed"] += 1

    def _process(self, dies: bool) -> None:
        budget = self.loaded.spec.budget
        self.searches = Searches(self.loaded, budget).all()
        there = (self.folder / "spec.json").exists()
        spec = self.loaded.spec.model_dump()
        store = RunStore(self.folder) if there else RunStore.create(self.folder, spec)
        if dies:
            dying(store, self.dice, 2 * Prices(self.loaded).count * int(budget.amount))
        wanted, shape = self.searches[0].record.parts, self.loaded.space.shape
        storm = Storm(self.dice, lambda rows: Stub(rows, wanted, shape), self.met)
        pool = Pool(storm, ReportReader(wanted), fetch=store.arrays.get, clock=storm.clock)
        algorithm = self.loaded.algorithm
        try:
            Driver(self.searches, algorithm, pool, store, budget, clock=storm.clock).run()
        finally:
            self.seconds += storm.now
            pool.close()
            store.close()
