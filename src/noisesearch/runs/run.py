"""A run from its folder: start, go on, extend, show, verify."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..candidates.ask import Ask, Score
from ..candidates.budget import Budget
from ..candidates.condition import Condition
from ..candidates.executor import Executor
from ..candidates.keys import digest
from ..candidates.ledger import UNITS
from ..candidates.trajectory import Trajectory
from ..driver import allocation
from ..driver.driver import Driver, Watcher
from ..driver.joint_search import JointSearch
from ..driver.live_search import LiveSearch
from ..driver.plan import plan, predicted, reused
from ..driver.winners import unlike
from ..errors import ConfigError, NoisesearchError, StoreError
from ..executors.choice import ExecutorChoice
from ..files import pictures
from ..files.writing import replace
from ..setup.consent import NamedCode
from ..setup.loaded import Loaded
from ..setup.python_objects import PythonObjects, check_objects
from ..store.creation import as_json
from ..store.given_images import InputImages
from ..store.picture_recipe import fields_of
from ..store.run_store import RunStore, read_spec
from ..store.spec import RunSpec
from ..store.winners import stored_results
from .results import Results, results_of
from .sheets import draw

if TYPE_CHECKING:
    from ..verifiers.slow import CandidatePicture, SlowVerifier


PREDICTED = 4096  # candidates of a search at most, for a plan to be kept with the run


@dataclass
class Run:
    """An open run folder and its loaded parts; close it when done."""

    folder: Path
    parts: Loaded
    store: RunStore
    searches: list[LiveSearch]
    budget: Budget
    driver: Driver | None = None
    owner: object = None
    swaps: int = 0  # of networks, in lean memory
    ranked_by: dict[str, Any] | None = None  # objective and scales, where not the spec's
    sheets: bool = True  # whether best.png and grid.png are drawn

    @classmethod
    def create(cls, folder: Path, parts: Loaded, owner: object = None) -> Run:
        """A new run; the searches are made first, since a budget may turn out too small."""
        budget = Budget.parse(parts.spec.budget)
        searches = parts.searches(budget)
        cost = prediction(parts, budget, len(searches))
        files = {} if cost is None else {"plan.json": as_json(cost)}
        store = RunStore.create(
            folder,
            parts.spec.model_dump(),
            arrays=parts.start.noises if parts.start else (),
            files={**parts.images.files(), **files},
            owned=NamedCode.of_run(folder, parts.spec).made_here,
        )
        return cls(folder, parts, store, searches, budget, owner=owner)

    @classmethod
    def begun(cls, folder: Path, parts: Loaded, other: NoisesearchError) -> Run:
        """A new run, or on with that of the same spec which is in the folder, with parts that are
        loaded already. Raises ``other`` where the folder holds another."""
        if not (folder / "spec.json").exists():
            return cls.create(folder, parts)
        if RunSpec.read(read_spec(folder), folder) != parts.spec:
            raise other
        budget = Budget.parse(parts.spec.budget)
        return cls(folder, parts, RunStore(folder), parts.searches(budget), budget)

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
        parts = loaded(folder, given)
        spec = parts.spec
        wanted = Budget.parse(budget) if budget else Budget.parse(spec.budget)
        searches = parts.searches(wanted)
        store = RunStore(folder, repair=repair)
        run = cls(folder, parts, store, searches, wanted)
        try:
            if retry_failed:
                store.forget_failed()
            if budget:
                run._extend(budget, yes)
        except BaseException:
            store.close()
            raise
        return run

    def _extend(self, budget: str, yes: bool) -> None:
        old = Budget.parse(self.parts.spec.budget)
        if (old.unit, old.per) == (self.budget.unit, self.budget.per) and (
            self.budget.amount < old.amount
        ):
            raise ConfigError(
                f"budget {self.budget} is below the {old} that this run has already; "
                "give a larger one, or start a new run"
            )
        if not self.parts.algorithm.extendable and not yes:
            known = made = 0
            for live in self.parts.searches(self.budget):
                found = reused(live, self.parts.algorithm, self.store)
                known, made = known + found[0], made + found[1]
            raise ConfigError(
                f"algorithm {self.parts.algorithm.name!r} asks differently under another budget: "
                f"{known} of its first {made} asks are answered by the {len(self.store)} "
                "candidates of this run; add --yes to go on"
            )
        if not self.parts.algorithm.extendable:
            self.store.want_again()
        self.parts.spec = self.parts.spec.model_copy(update={"budget": str(self.budget)})
        self.store.write_json("spec.json", self.parts.spec.model_dump())
        cost = prediction(self.parts, self.budget, len(self.searches))
        if cost is None:
            (self.folder / "plan.json").unlink(missing_ok=True)  # of a smaller budget
        else:
            self.store.write_json("plan.json", cost)

    def execute(
        self,
        watcher: Watcher | None = None,
        seconds: float | None = None,
        where: ExecutorChoice = ExecutorChoice(),
    ) -> Results:
        """Run to the end and write winners and pictures; on an interrupt, what there is.

        ``where`` candidates are made is no part of the run: the next time it may be elsewhere.
        """
        worker = self.executor(where)
        self._selecting()
        self.driver = Driver(
            self.searches,
            self.parts.algorithm,
            worker,
            self.store,
            self.budget,
            seconds=seconds,
            max_missing=self.parts.spec.max_missing,
            watcher=watcher,
        )
        try:
            self.driver.run()
            shared = allocation.of(self.parts, self.budget)
            while shared and not self.driver.expired and shared.more(self.searches):
                # The same searches with more to spend: what they asked before is answered.
                self.searches = self.driver.searches = self.parts.allotted(shared.amounts)
                self._selecting()
                self.driver.run()
        finally:
            worker.close()
            self.swaps = getattr(worker, "swaps", 0)
            results = self.write()
        self._sweep(results)
        return results

    def _selecting(self) -> None:
        for live in self.searches:
            live.select = self.select

    def executor(self, where: ExecutorChoice = ExecutorChoice()) -> Executor:
        """What answers this run's asks; also of verifiers that take their time."""
        from ..verifiers.slow import SlowVerifier
        from ..worker.slow_verifiers import Scoring, SlowVerifierExecutor

        worker: Scoring = where.open(self) if not where.here else self.parts.worker(
            self.save, self.store.get, self.picture, self.store.rows, self.narrowed
        )  # fmt: skip
        away = [
            v for v in (*self.parts.verifiers, *self.parts.watch) if isinstance(v, SlowVerifier)
        ]
        if not away:
            return worker
        for verifier in away:
            verifier.begin(self.folder, self.store.spent_on(verifier.name))
        return SlowVerifierExecutor(worker, away, self._asking)

    def _asking(self, verifier: SlowVerifier, looks: Sequence[CandidatePicture]) -> None:
        if verifier.paid:
            self.store.asks(verifier.name, [look.key for look in looks])

    def narrowed(self, rows: int) -> None:
        """Memory ran out: journalled, so that a resume does not try the old width again."""
        self.store.event("rows", rows=rows)
        self.store.rows = rows

    def save(self, trajectory: Trajectory, picture: pictures.Picture) -> None:
        file = pictures.png(picture, **fields_of(trajectory, self.parts.spec))
        self.keep(trajectory.key, file)

    def keep(self, key: str, file: bytes) -> None:
        """The file of a finished sample."""
        replace(self.store.sample_path(key), file)

    def sample(self, trajectory: Trajectory) -> Path | None:
        """The stored picture of a complete candidate that was answered; None where there is none.

        One that a killed process left behind unanswered is made again, and so is counted.
        """
        path = self.store.sample_path(trajectory.key)
        return path if trajectory.key in self.store.known and path.exists() else None

    def picture(self, trajectory: Trajectory) -> pictures.Picture | None:
        """What :meth:`sample` holds."""
        path = self.sample(trajectory)
        return None if path is None else pictures.read(path)

    def _still(self, trajectory: Trajectory) -> pictures.Picture | None:
        picture = self.picture(trajectory)
        return None if picture is None else pictures.still(picture)

    def select(self, ranked: list[Trajectory], count: int) -> list[Trajectory]:
        """Winners unlike each other; journalled, since their rivals' pictures may be swept."""
        choice = digest("winners", count, [t.key for t in ranked])
        taken = self.store.chosen(choice, lambda: unlike(ranked, count, self._still))
        if max(taken, default=0) >= len(ranked):
            raise StoreError(
                f"{self.store.journal.path} has a choice of winners that are not there; restore "
                "it from a copy"
            )
        return [ranked[i] for i in taken]

    def results(self) -> Results:
        """As far as the searches have come; complete when all are done."""
        elapsed = self.driver.elapsed if self.driver else self.store.seconds_before
        found = [
            result
            for live in self.searches
            for result in results_of(
                live, self.folder, elapsed, self._physical, self._spent, self.owner
            )
        ]
        complete = all(live.stage == "done" for live in self.searches)
        sets = [live.compared() for live in self.searches if isinstance(live, JointSearch)]
        return Results(found, self.folder, complete, sets[0] if sets else None)

    def _physical(self, condition: Condition) -> dict[str, float]:
        """What ran, over all processes that worked on this search."""
        key = condition.key
        before = self.store.physical_before.get(key, {})
        now: Mapping[str, float] = self.driver.executor.usage.get(key, {}) if self.driver else {}
        units = dict.fromkeys((*UNITS, *before, *now))
        return {unit: before.get(unit, 0) + now.get(unit, 0) for unit in units}

    def _spent(self, condition: Condition) -> Mapping[str, Mapping[str, float]]:
        """What verifiers cost, over all processes that worked on this search."""
        return self.store.spent.get(condition.key, {})

    def write(self) -> Results:
        """winners.json and, where they are wanted, best.png and grid.png as of now."""
        results = self.results()
        ranked = {} if self.ranked_by is None else {"ranked_by": self.ranked_by}
        self.store.write_json("winners.json", {**results.json(), **ranked})
        if self.sheets and len(results):
            draw(results, self.folder)
        return results

    def _sweep(self, results: Results) -> None:
        if self.parts.spec.keep != "winners":
            return
        kept = {c.path for r in results for c in (*r.winners, r.baseline)}
        if results.population is not None:
            kept |= {self.store.sample_path(k) for k in results.population["without_search"]}
        for path in (self.folder / "samples").glob("*.png"):
            if path not in kept:
                path.unlink()

    def close(self) -> None:
        self.store.close()


def prediction(parts: Loaded, budget: Budget, count: int) -> dict[str, Any] | None:
    """What a run of so many searches is to cost, so that it can be compared with what it did.

    Only where to rehearse it takes about a second: a clock may end a search of a million NFE
    after a minute.
    """
    limit = parts.limit(budget)
    if math.isfinite(limit) and limit > PREDICTED * parts.candidate:
        return None
    found = plan(lambda: parts.search(budget), parts.algorithm)
    return predicted(found, count)


def loaded(folder: Path, given: PythonObjects | None) -> Loaded:
    """The parts of a run folder, checked to be the ones that it was made with."""
    spec = RunSpec.read(read_spec(folder), folder)
    NamedCode.of_run(folder, spec).check()
    given = dataclasses.replace(given or PythonObjects(), images=InputImages.read(folder))
    check_objects(spec, given, folder)
    given.images.check(spec.conditions[0], folder)
    parts = Loaded.load(spec, given)
    parts.check_fingerprints(folder)
    return parts


def verify(folder: Path, given: PythonObjects | None = None) -> dict[str, Any]:
    """Re-create every winner from its recipe alone; the largest differences.

    ``pixels`` in 8-bit levels, ``parts`` in the verifiers' own units.
    """
    from ..verifiers.slow import SlowVerifier

    content = stored_results(folder)
    parts = loaded(folder, given)
    store = RunStore(folder, write=False)
    graph = store.graph()
    made: dict[str, pictures.Picture] = {}
    worker = parts.worker(lambda t, picture: made.update({t.key: picture}), store.get)
    # Neither a person nor a paid service is asked again about what it has said.
    here = tuple(p for v in parts.verifiers if not isinstance(v, SlowVerifier) for p in v.parts)
    winners = {w["trajectory"]: w for s in content["searches"] for w in s["winners"]}
    for key in winners:
        worker.submit(Ask(graph.trajectory(key), Score(here)))
    pixels = numbers = 0.0
    started = time.monotonic()
    while answers := worker.wait():
        for _, reply in answers:
            winner = winners[reply.trajectory.key]
            path = store.sample_path(reply.trajectory.key)
            old = pictures.read(path).astype(int)
            if old.shape != made[reply.trajectory.key].shape:
                raise StoreError(
                    f"{path} has another size than the run's pictures; restore it from a copy"
                )
            pixels = max(pixels, float(np.abs(old - made[reply.trajectory.key]).max()))
            # Parts that a rerank added are those of verifiers that the run does not have.
            for part in winner["parts"].keys() & set(here):
                new = reply.parts.get(part, float("inf"))
                numbers = max(numbers, abs(winner["parts"][part] - new))
    return {"winners": len(winners), "pixels": pixels, "parts": numbers,
            "seconds": round(time.monotonic() - started, 2)}  # fmt: skip
