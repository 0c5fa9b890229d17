"""A run from its folder: begin, go on, extend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..candidates.budget import Budget
from ..candidates.condition import Condition
from ..candidates.executor import Executor, swaps
from ..candidates.ledger import UNITS
from ..driver.driver import Driver, Watcher
from ..driver.joint_record import JointRecord
from ..driver.live_search import LiveSearch
from ..driver.plan import predicted, reused
from ..errors import ConfigError, NoisesearchError
from ..setup import workers
from ..setup.consent import NamedCode
from ..setup.loaded import Loaded
from ..setup.python_objects import PythonObjects
from ..setup.searches import Searches
from ..store.creation import as_json
from ..store.run_store import RunStore, read_spec
from ..store.spec import RunSpec
from .opening import load_run
from .results import Results, results_of
from .run_pictures import RunPictures
from .sheets import draw

if TYPE_CHECKING:
    from ..verifiers.slow_verifier import CandidatePicture, SlowVerifier
    from ..worker.slow_verifiers import Scoring

PREDICTED = 4096  # candidates of a search at most, for a plan to be kept with the run


class Workers(Protocol):
    """Where a run's candidates are made; no part of the run, which may go on elsewhere."""

    @property
    def here(self) -> bool:
        """Return whether one worker in this process makes them."""
        ...

    def open(self, run: Run) -> Scoring:
        """Return what answers the asks of a run."""
        ...


@dataclass
class Run:
    """An open run folder and its searches; close it when done."""

    folder: Path
    setup: Searches
    store: RunStore
    searches: list[LiveSearch]
    driver: Driver | None = None
    owner: object = None
    swaps: int = 0  # of networks, in lean memory
    ranked_by: dict[str, Any] | None = None  # objective and scales, where not the spec's
    sheets: bool = True  # whether best.png and grid.png are drawn
    pictures: RunPictures = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.pictures = RunPictures(self.store, self.loaded.spec)

    @property
    def loaded(self) -> Loaded:
        """Return the spec of the run and what it names, loaded."""
        return self.setup.loaded

    @classmethod
    def create(cls, folder: Path, setup: Searches, owner: object = None) -> Run:
        """Begin a run; its searches are built first, since a budget may turn out too small."""
        searches, loaded = setup.all(), setup.loaded
        cost = prediction(setup)
        files = {} if cost is None else {"plan.json": as_json(cost)}
        store = RunStore.create(
            folder,
            loaded.spec.model_dump(),
            arrays=loaded.start.noises if loaded.start else (),
            files={**loaded.images.files(), **files},
            owned=NamedCode.of_run(folder, loaded.spec).made_here,
        )
        return cls(folder, setup, store, searches, owner=owner)

    @classmethod
    def begun(cls, folder: Path, setup: Searches, other: NoisesearchError) -> Run:
        """Begin a run, or go on with that of the same spec which is in the folder.

        Raises ``other`` where the folder holds another run.
        """
        if not (folder / "spec.json").exists():
            return cls.create(folder, setup)
        there = RunSpec.read(read_spec(folder), folder)
        # An earlier format guesses the guarded parts by name; they follow from the guards.
        if there.model_copy(update={"guarded": setup.loaded.spec.guarded}) != setup.loaded.spec:
            raise other
        return cls(folder, setup, RunStore(folder), setup.all())

    @classmethod
    def open(
        cls,
        folder: Path,
        given: PythonObjects | None = None,
        *,
        budget: str | None = None,
        yes: bool = False,
        repair: bool = False,
        retry_failed: bool = False,
    ) -> Run:
        """Go on with a run, extended to ``budget`` where one is given."""
        loaded = load_run(folder, given)
        setup = Searches(loaded, Budget.parse(budget) if budget else loaded.spec.budget)
        searches = setup.all()
        store = RunStore(folder, repair=repair)
        run = cls(folder, setup, store, searches)
        try:
            if retry_failed:
                store.forget_failed()
            if budget:
                run._extend(yes)
        except BaseException:
            store.close()
            raise
        return run

    def _extend(self, yes: bool) -> None:
        old, new = self.loaded.spec.budget, self.setup.budget
        if (old.unit, old.per) == (new.unit, new.per) and new.amount < old.amount:
            raise ConfigError(
                f"budget {new} is below the {old} that this run has already; "
                "give a larger one, or start a new run"
            )
        algorithm = self.loaded.algorithm
        if not algorithm.extendable and not yes:
            known = made = 0
            for live in self.setup.all():
                found = reused(live, algorithm, self.store)
                known, made = known + found[0], made + found[1]
            raise ConfigError(
                f"algorithm {algorithm.name!r} asks differently under another budget: "
                f"{known} of its first {made} asks are answered by the {len(self.store)} "
                "candidates of this run; add --yes to go on"
            )
        if not algorithm.extendable:
            self.store.want_again()
        self.loaded.spec = self.loaded.spec.model_copy(update={"budget": new})
        self.pictures = RunPictures(self.store, self.loaded.spec)
        self.store.write_json("spec.json", self.loaded.spec.model_dump())
        cost = prediction(self.setup)
        if cost is None:
            (self.folder / "plan.json").unlink(missing_ok=True)  # of a smaller budget
        else:
            self.store.write_json("plan.json", cost)

    def execute(
        self,
        watcher: Watcher | None = None,
        seconds: float | None = None,
        where: Workers | None = None,
    ) -> Results:
        """Run to the end and write winners and pictures; on an interrupt, what there is."""
        worker = self.executor(where)
        self._selecting()
        self.driver = Driver(
            self.searches,
            self.loaded.algorithm,
            worker,
            self.store,
            self.setup.budget,
            seconds=seconds,
            max_missing=self.loaded.spec.max_missing,
            watcher=watcher,
        )
        try:
            self.driver.run()
            shared = self.setup.allocation()
            while shared and not self.driver.expired and shared.more(self.searches):
                # The same searches with more to spend: what they asked before is answered.
                self.searches = self.driver.searches = self.setup.allotted(shared.amounts)
                self._selecting()
                self.driver.run()
        finally:
            worker.close()
            self.swaps = swaps(worker)
            results = self.write()
        self._sweep(results)
        return results

    def _selecting(self) -> None:
        for live in self.searches:
            live.record.select = self.pictures.select

    def executor(self, where: Workers | None = None) -> Executor:
        """Return what answers this run's asks, those to slow verifiers too."""
        from ..verifiers.slow_verifier import SlowVerifier
        from ..worker.slow_verifiers import SlowVerifierExecutor

        worker: Scoring = where.open(self) if where and not where.here else workers.of(
            self.loaded, self.pictures.save, self.store.arrays.get, self.pictures.read,
            self.store.rows, self.store.narrowed,
        )  # fmt: skip
        slow = [v for v in self.loaded.every_verifier if isinstance(v, SlowVerifier)]
        if not slow:
            return worker
        for verifier in slow:
            verifier.begin(self.folder, self.store.spending.spent_on(verifier.name))
        return SlowVerifierExecutor(worker, slow, self._asking)

    def _asking(self, verifier: SlowVerifier, looks: Sequence[CandidatePicture]) -> None:
        if verifier.paid:
            self.store.spending.asks(verifier.name, [look.key for look in looks])

    def results(self) -> Results:
        """As far as the searches have come; complete when all are done."""
        elapsed = self.driver.elapsed if self.driver else self.store.spending.seconds_before
        found = [
            result
            for live in self.searches
            for result in results_of(
                live, self.folder, elapsed, self._physical, self._spent, self.owner
            )
        ]
        complete = all(live.stage == "done" for live in self.searches)
        records = [live.record for live in self.searches]
        sets = [record.compared() for record in records if isinstance(record, JointRecord)]
        return Results(found, self.folder, complete, sets[0] if sets else None)

    def _physical(self, condition: Condition) -> dict[str, float]:
        """What ran, over all processes that worked on this search."""
        key = condition.key
        before = self.store.spending.physical_before.get(key, {})
        now: Mapping[str, float] = self.driver.executor.usage.get(key, {}) if self.driver else {}
        units = dict.fromkeys((*UNITS, *before, *now))
        return {unit: before.get(unit, 0) + now.get(unit, 0) for unit in units}

    def _spent(self, condition: Condition) -> Mapping[str, Mapping[str, float]]:
        """What verifiers cost, over all processes that worked on this search."""
        return self.store.spending.spent.get(condition.key, {})

    def write(self) -> Results:
        """winners.json and, where they are wanted, best.png and grid.png as of now."""
        results = self.results()
        ranked = {} if self.ranked_by is None else {"ranked_by": self.ranked_by}
        self.store.write_json("winners.json", {**results.json(), **ranked})
        if self.sheets and len(results):
            draw(results, self.folder)
        return results

    def _sweep(self, results: Results) -> None:
        if self.loaded.spec.keep != "winners":
            return
        kept = {c.path for r in results for c in (*r.winners, r.baseline)}
        if results.population is not None:
            kept |= {self.store.sample_path(k) for k in results.population["without_search"]}
        self.pictures.sweep(kept)

    def close(self) -> None:
        """Give up the folder."""
        self.store.close()


def prediction(setup: Searches) -> dict[str, Any] | None:
    """Return what a run is to cost, so that it can be compared with what it did.

    Only where to rehearse it takes about a second: a clock may end a search of a million NFE
    after a minute.
    """
    limit = setup.limit
    if math.isfinite(limit) and limit > PREDICTED * setup.prices.candidate:
        return None
    return predicted(setup.plan(), setup.prices.count)
