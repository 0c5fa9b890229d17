"""An experiment in its folder: checked, planned, run, gone on with."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..algorithms import capabilities
from ..errors import ConfigError, StoreError, unknown
from ..executors.choice import ExecutorChoice
from ..files.writing import disk_error
from ..files.writing import replace as written
from ..models import choice
from ..runs.run import Run
from ..setup import fingerprints, selection
from ..setup.loaded import Loaded
from ..setup.searches import Searches
from ..version import __version__
from .arms import ArmGroup, Setting, groups, settings
from .folder import ARMS, CANDIDATES, REFERENCE, SEEN, SPEC, kept, save, stored
from .prompts import GroupedPrompt, prompts
from .replay import parts_of, replayed
from .set_metrics import METRICS, NEEDS
from .spec import Experiment, checked
from .trust import of_experiment

if TYPE_CHECKING:
    from .measures import WinnerMeasures

# What an experiment runs; what is said about it beside changes nothing of that.
RUN = ("prompts", "limit", "seeds", "seed", "defaults", "arms", "measure")
Watching = Callable[[Run], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Unit:
    """One run: a group of arms under one seed; done where its folder has ``arms.json``."""

    group: ArmGroup
    seed: int
    joint: bool

    @property
    def name(self) -> str:
        return self.group.name if self.joint else f"{self.group.name}-seed{self.seed}"


class Campaign:
    """An experiment, everything about it checked that can be without loading weights;
    ``known``: its prompts, where they are known already."""

    def __init__(
        self, experiment: Experiment, known: Sequence[GroupedPrompt] | None = None
    ) -> None:
        self.experiment = experiment
        arms = settings(experiment)
        self._model = arms[0].model
        if known is not None:
            self.prompts = list(known)
        self.arms = [self._sized(arm) if _joint(arm) else arm for arm in arms]
        self.groups = groups(self.arms)
        folders = [group.name for group in self.groups]
        twice = next((name for name in folders if folders.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(
                f"two arms would both run in the folder {twice!r}; let their names differ by "
                "more than marks"
            )
        measure = experiment.measure
        for name in measure.sets:
            if name not in METRICS:
                raise unknown("figure of sets", name, METRICS)
            need = NEEDS[name][0]
            if not getattr(measure, need):
                raise ConfigError(f"{name} needs measure.{need}, the name of a verifier; add it")

    @classmethod
    def stored(cls, folder: Path) -> Campaign:
        """The experiment of a folder, with the prompts that it had; StoreError where there is
        none, or another version's."""
        content = stored(folder)
        version = content["versions"].get("noisesearch")
        if version != __version__:
            raise StoreError(
                f"{folder} was made by noisesearch {version}, this is {__version__}, and their "
                f"figures may differ; go on with: pip install noisesearch=={version}"
            )
        try:
            known = [GroupedPrompt(text, group) for text, group in content["prompts"]]
            found = Experiment.model_validate(content["experiment"])
        except (TypeError, ValueError) as error:
            raise StoreError(f"{folder / SPEC} is not complete; restore it from a copy") from error
        # Whether an arm is searched as a whole is asked of its algorithm itself.
        of_experiment(folder, found).check("algorithm", "model")
        return cls(found, known)

    @cached_property
    def prompts(self) -> list[GroupedPrompt]:
        return prompts(self.experiment, self._model)

    @property
    def texts(self) -> list[str]:
        return [prompt.text for prompt in self.prompts]

    @property
    def images(self) -> int:
        """How many each arm ends with."""
        return len(self.prompts) * self.experiment.seeds

    def _sized(self, arm: Setting) -> Setting:
        """A search for a set: it has as many samples as the other arms have images, and the
        candidates of an arm are those of each sample."""
        if arm.parameters.get("size", self.images) != self.images:
            raise ConfigError(
                f"arm {arm.name!r} has sets of {arm.parameters['size']}, but the experiment has "
                f"{self.images} images an arm (prompts × seeds); leave size out"
            )
        parameters, budget = {"size": self.images, **arm.parameters}, arm.budget
        if arm.candidates is not None:
            parameters["candidates"] = arm.candidates
            budget = f"{arm.candidates * self.experiment.seeds}candidates"
        changed = {"parameters": parameters, "budget": budget, "candidates": None}
        return arm.model_copy(update=changed)

    @property
    def units(self) -> list[Unit]:
        """All runs, seed by seed, so that what there is when it is stopped is of all arms."""
        first = self.experiment.seed
        found = []
        for seed in range(first, first + self.experiment.seeds):
            for group in self.groups:
                joint = _joint(group.arms[0])
                if seed == first or not joint:
                    found.append(Unit(group, seed, joint))
        return found

    def resolved(self) -> Iterator[tuple[ArmGroup, Searches]]:
        """Every group's searches, checked as a run would: ConfigError before anything runs."""
        for group in self.groups:
            try:
                setup = group.request(self.texts, self.experiment.seed).resolve().searches
                for arm in group.arms:
                    Searches.of(parts_of(setup.loaded, arm)).all()
            except ConfigError as error:
                names = ", ".join(repr(arm.name) for arm in group.arms[:3])
                raise ConfigError(f"arm {names}: {error}") from error
            yield group, setup

    def plan(self) -> dict[str, Any]:
        """What all would cost, arm by arm, and what the runs need that arms share."""
        arms: list[dict[str, Any]] = []
        total, seconds = 0.0, 0.0
        for group, setup in self.resolved():
            per_image, finals = [], 0.0
            for arm in group.arms:
                own = parts_of(setup.loaded, arm)
                mine = Searches.of(own)
                share = mine.prices.finalists if own.joint else 1
                per_image.append(mine.plan().most.counted / share)
                finals += mine.prices.sample(own.spec.final_steps) if own.spec.drafted else 0.0
                arms.append({"arm": arm.name, "nfe": per_image[-1], "run": group.name})
            shared = setup.loaded.algorithm.extendable
            nfe = (max(per_image) + finals if shared else sum(per_image)) * self.images
            total += nfe
            seconds += nfe * setup.prices.seconds_per_nfe()
        return {"images": self.images, "prompts": len(self.prompts),
                "seeds": self.experiment.seeds, "runs": len(self.units), "nfe": total,
                "seconds_estimated": round(seconds, 1), "arms": arms}  # fmt: skip

    def check(self) -> None:
        """Everything that can be wrong, found before anything runs."""
        limit = self.experiment.most_nfe
        if limit is not None and (needed := self.plan()["nfe"]) > limit:
            raise ConfigError(
                f"the experiment needs about {needed:.0f} NFE, but most_nfe allows {limit}; "
                "give fewer prompts, seeds or candidates, or raise most_nfe"
            )
        for group, setup in self.resolved():
            if group is self.groups[0]:
                self._check_columns(self._eyes(setup.loaded))

    def _eyes(self, loaded: Loaded) -> WinnerMeasures:
        """What measures, of all prompts; parts are of all of them."""
        from .measures import WinnerMeasures

        groups = [prompt.group for prompt in self.prompts]
        return WinnerMeasures(self.experiment.measure, loaded.model, loaded.conditions, groups)

    def _check_columns(self, eyes: WinnerMeasures) -> None:
        """That what is claimed and drawn will be there; unknown only where arms' own verifiers
        are all that measures."""
        kinds = list(dict.fromkeys(prompt.group for prompt in self.prompts if prompt.group))
        grouped = [f"{part} [{kind}]" for part in eyes.parts for kind in kinds]
        known = [*eyes.parts, *grouped, *self.experiment.measure.sets]
        claimed = [claim.column for claim in self.experiment.claims if claim.column]
        for column in (*claimed, *self.experiment.plot.y):
            if eyes.parts and column not in known:
                raise unknown("column", column, known)

    def begin(self, folder: Path) -> None:
        """The experiment's own file; ConfigError where the folder holds another experiment."""
        path = folder / SPEC
        if path.exists():
            changed = self._changed(stored(folder))
            if changed:
                raise ConfigError(
                    f"{folder} holds another experiment, which differs in "
                    f"{', '.join(changed)}; choose another folder with --out"
                )
        elif folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} is not empty; choose a new or empty folder with --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        of_experiment(folder, self.experiment).made_here()
        written(path, json.dumps(self._content(), indent=1).encode())

    def _changed(self, there: dict[str, Any]) -> list[str]:
        """In what an experiment that was begun differs from this one; settings that it has not
        yet are at their defaults."""
        before = checked(Experiment, there["experiment"], "stored experiment key")
        changed = [name for name in RUN if getattr(before, name) != getattr(self.experiment, name)]
        texts = [text for text, _ in there["prompts"]]
        return changed or (["what its prompts are"] if texts != self.texts else [])

    def _content(self) -> dict[str, Any]:
        import torch

        return {
            "versions": {"noisesearch": __version__, "python": platform.python_version(),
                         "torch": torch.__version__, "numpy": np.__version__},
            "experiment": self.experiment.model_dump(mode="json"),
            "prompts": [[prompt.text, prompt.group] for prompt in self.prompts],
            "arms": [arm.model_dump() for arm in self.arms],
        }  # fmt: skip

    def _refer(self, folder: Path) -> None:
        """reference.npz, what sets are compared with; made first, since it may be lacking."""
        path, measure = folder / REFERENCE, self.experiment.measure
        if path.exists() or not measure.eye:
            return
        from .measures import reference

        model = choice.model_of(self._model)
        real = any("real" in NEEDS[name] for name in measure.sets)
        conditions = [model.condition(text, None) for text in self.texts]
        save(path, reference(measure, model, conditions, real), np.float64)

    def _few(self, folder: Path) -> str | None:
        """What to know about the Fréchet distances of an arm's images."""
        if "frechet" not in self.experiment.measure.sets:
            return None
        from ..evaluation.scores import singular

        # A file that is not as it was written is refused where it is compared with.
        return singular(self.images, kept(folder / REFERENCE).get("mean", np.zeros(0)).size)

    def run(
        self,
        folder: Path,
        say: Callable[[str], None] = lambda text: None,
        watching: Watching = lambda run: nullcontext(),
        where: ExecutorChoice = ExecutorChoice(),
    ) -> None:
        """Every run that is not done yet; a killed one goes on from its journal."""
        self.begin(folder)
        self._refer(folder)
        if few := self._few(folder):
            say(few)
        loaded: Loaded | None = None
        eyes: WinnerMeasures | None = None
        last: ArmGroup | None = None
        units = self.units
        try:
            for number, unit in enumerate(units, 1):
                if (folder / "runs" / unit.name / ARMS).exists():
                    continue
                say(f"{unit.name}: run {number} of {len(units)}")
                request = unit.group.request(self.texts, unit.seed)
                setup = request.resolve(like=loaded if unit.group is last else None).searches
                loaded, last = setup.loaded, unit.group
                eyes = eyes or self._eyes(loaded)
                _done(folder / "runs" / unit.name, unit.group, setup, eyes, watching, where)
        finally:
            if eyes is not None:
                eyes.close()


def _joint(arm: Setting) -> bool:
    return capabilities.joint(selection.algorithm_of(arm.algorithm, dict(arm.parameters)))


def _done(
    folder: Path,
    group: ArmGroup,
    setup: Searches,
    eyes: WinnerMeasures,
    watching: Watching,
    where: ExecutorChoice,
) -> None:
    """One run, its arms, and what is seen in their winners; the last file says it is done."""
    loaded = setup.loaded
    run = _opened(folder, setup)
    try:
        with watching(run) as watcher:
            run.execute(watcher, where=where)
        rows = {arm.name: replayed(run, arm) for arm in group.arms}
        found = {row.key: row.condition for of in rows.values() for row in of}
        paths = [run.store.sample_path(key) for key in found]
        conditions = [loaded.conditions[i] for i in found.values()]
        seen = eyes.columns(paths, conditions)
        told = (reply for live in run.searches for reply in live.record.replies)
        replies = [reply for reply in told if reply.trajectory.finished]
        save(folder / CANDIDATES, {
            part: np.array([r.parts.get(part, np.nan) for r in replies])
            for part in loaded.part_names
        })  # fmt: skip
        save(folder / SEEN, eyes.arrays(paths, conditions))
    finally:
        run.close()
    content = {
        "arms": {name: [row.json() for row in of] for name, of in rows.items()},
        "keys": list(found),
        "columns": {part: [float(v) if np.isfinite(v) else None for v in values]
                    for part, values in seen.items()},
        "fingerprints": {**fingerprints.of(loaded), **eyes.prints},
    }  # fmt: skip
    written(folder / ARMS, json.dumps(content).encode())


def _opened(folder: Path, setup: Searches) -> Run:
    """A new run, or the one that is there, checked to be the same. Its arms choose differently, so
    that what one leaves behind another may need."""
    there = (folder / "spec.json").exists()
    run = Run.open(folder) if there else Run.create(folder, setup)
    run.store.arrays.keep = True
    if not there:
        return run
    found = run.loaded.spec.model_dump()
    changed = [name for name, value in setup.loaded.spec.model_dump().items()
               if found[name] != value]  # fmt: skip
    if changed:
        run.close()
        raise ConfigError(
            f"{folder} was made otherwise ({', '.join(changed)} differ); choose another folder "
            "with --out"
        )
    return run
