"""A bench on which an algorithm is run, killed, resumed and shuffled."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from ..algorithms.problem import Algorithm
from ..candidates.ask import Ask, Reply
from ..candidates.executor import Executor
from ..candidates.trajectory import Trajectory
from ..driver.driver import Driver
from ..driver.live_search import LiveSearch
from ..driver.search_record import SearchOutcome
from ..models.protocol import Model
from ..setup import workers
from ..setup.loaded import Loaded
from ..setup.request import Request
from ..setup.searches import Searches
from ..store.run_store import RunStore
from .mixture_model import MixtureModel

if TYPE_CHECKING:
    from ..worker.engine import Worker


@runtime_checkable
class Recording(Protocol):
    """An executor that knows what it was asked.

    ``asked``: the keys of trajectories, in the order of the asks.
    """

    @property
    def asked(self) -> list[str]: ...


class Released:
    """An executor that hands out another's answers one by one.

    With ``order`` it first collects all that can be had and hands them out in random order; after
    ``deaths`` answers it raises KeyboardInterrupt, as Ctrl-C would.
    """

    def __init__(
        self,
        inner: Executor,
        order: random.Random | None = None,
        deaths: int | None = None,
    ) -> None:
        self.inner, self.order, self.deaths = inner, order, deaths
        self.asked: list[str] = []
        self.given = 0
        self._held: list[tuple[Ask, Reply]] = []

    @property
    def usage(self) -> Mapping[str, Mapping[str, int]]:
        return self.inner.usage

    def submit(self, ask: Ask) -> None:
        self.asked.append(ask.trajectory.key)
        self.inner.submit(ask)

    def wait(self) -> list[tuple[Ask, Reply]]:
        if self.deaths is not None and self.given >= self.deaths:
            raise KeyboardInterrupt
        while more := (not self._held or self.order is not None) and self.inner.wait():
            self._held += more
        if not self._held:
            return []
        self.given += 1
        return [self._held.pop(self.order.randrange(len(self._held)) if self.order else 0)]

    def cancel(self, ask: Ask) -> None:
        self._held = [(a, r) for a, r in self._held if a.key != ask.key]
        self.inner.cancel(ask)

    def close(self) -> None:
        self.inner.close()


@dataclass
class BenchOutcome:
    """What a run came to; ``logical`` has only what follows from the recipes."""

    searches: list[LiveSearch]
    asked: list[str]
    usage: Mapping[str, Mapping[str, int]]
    counted: int
    evictions: int

    @property
    def outcomes(self) -> list[SearchOutcome]:
        """Of every condition."""
        return [outcome for live in self.searches for outcome in live.record.outcomes()]

    @property
    def winners(self) -> list[list[str]]:
        return [[w.trajectory.key for w, _ in o.winners] for o in self.outcomes]

    @property
    def returned(self) -> list[list[str]]:
        """The winners as the algorithm named them, before the final steps."""
        return [[t.key for t in s.record.winners or ()] for s in self.searches]

    @property
    def parts(self) -> list[list[Mapping[str, float]]]:
        return [[w.parts for w, _ in o.winners] for o in self.outcomes]

    @property
    def logical(self) -> list[dict[str, Any]]:
        return [without_seconds(s.ledger.json()) for s in self.searches]

    @property
    def physical(self) -> int:
        """Evaluations that ran, those made again for a gradient with them."""
        return sum(of["nfe"] + of.get("recompute", 0) for of in self.usage.values())

    @property
    def priced(self) -> float:
        """The same by the recipes, with the baseline where the searches did not ask for it."""
        made = ((s.ledger, s.ledger.price(a.trajectory for a in s.record.baselines))
                for s in self.searches)  # fmt: skip
        return sum(ledger.nfe + ledger.backward + baseline for ledger, baseline in made)


def without_seconds(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """A ledger without what was measured by a clock."""
    samples = {name: v["samples"] for name, v in ledger["verifiers"].items()}
    return {**ledger, "verifiers": samples}


@dataclass
class Bench:
    """One algorithm on one model; every run is a folder of its own.

    ``settings`` are those of :func:`noisesearch.search`.
    """

    folder: Path
    algorithm: Algorithm
    model: Model = field(default_factory=MixtureModel)
    settings: dict[str, Any] = field(default_factory=dict)
    prompts: Sequence[str | None] = ("one", "two")

    def parts(self, **settings: Any) -> Loaded:
        """Everything loaded, with ``settings`` over the bench's own."""
        common = {"rows": 4, "dtype": "float32", "device": "cpu", "budget": "9candidates"}
        merged = {**common, **self.settings, **settings}
        request = Request(self.prompts, model=self.model, algorithm=self.algorithm, **merged)
        return request.resolve().loaded

    def run(
        self,
        name: str,
        loaded: Loaded | None = None,
        wrap: Callable[[Executor], Executor] = Released,
        **driver: Any,
    ) -> BenchOutcome:
        """Start the run of a name, or go on with it where its folder is there."""
        loaded = loaded or self.parts()
        searches = Searches.of(loaded).all()
        folder = self.folder / name
        known = (folder / "spec.json").exists()
        store = RunStore(folder) if known else RunStore.create(folder, loaded.spec.model_dump())
        worker = cast("Worker", workers.of(loaded, None, store.arrays.get))
        executor = wrap(worker)
        try:
            Driver(searches, loaded.algorithm, executor, store, loaded.spec.budget, **driver).run()
        finally:
            executor.close()
            store.close()
        asked = executor.asked if isinstance(executor, Recording) else []
        return BenchOutcome(searches, asked, worker.usage, worker.evaluations, worker.evictions)

    def killed(self, name: str, after: int, **keywords: Any) -> None:
        """A run that is interrupted after ``after`` answers."""
        try:
            self.run(name, wrap=lambda e: Released(e, deaths=after), **keywords)
        except KeyboardInterrupt:
            return
        raise AssertionError(f"the run ended before {after} answers")


class MadeUp:
    """An executor that computes nothing: ``number(trajectory, index)`` gives a reply's parts.

    ``index`` counts the answers; a string in place of a number is the reason why it is missing.
    """

    def __init__(self, number: Callable[[Trajectory, int], Mapping[str, float | str]]) -> None:
        self.number = number
        self.asked: list[str] = []
        self.usage: dict[str, dict[str, int]] = {}
        self._asks: dict[str, Ask] = {}

    def submit(self, ask: Ask) -> None:
        if ask.trajectory.key not in self._asks:
            self.asked.append(ask.trajectory.key)
            self._asks[ask.trajectory.key] = ask

    def wait(self) -> list[tuple[Ask, Reply]]:
        first = len(self.asked) - len(self._asks)
        answers = [
            (ask, Reply.of(ask.trajectory, self.number(ask.trajectory, first + i)))
            for i, ask in enumerate(self._asks.values())
        ]
        self._asks.clear()
        return answers

    def cancel(self, ask: Ask) -> None:
        self._asks.pop(ask.trajectory.key, None)

    def close(self) -> None:
        self._asks.clear()


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Ticking(Released):
    """Answers one by one, each of which takes ``seconds`` of the clock."""

    def __init__(self, inner: Executor, clock: Clock, seconds: float = 1.0) -> None:
        super().__init__(inner)
        self.clock, self.seconds = clock, seconds

    def wait(self) -> list[tuple[Ask, Reply]]:
        self.clock.now += self.seconds
        return super().wait()
