"""A file of prompts searched shard by shard: each shard is a run, and its results are rows."""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..candidates.budget import EVEN, Budget
from ..candidates.condition import Condition
from ..errors import ConfigError, StoreError, unknown
from ..executors.choice import ExecutorChoice
from ..files.fingerprint import of_content
from ..files.writing import disk_error
from ..files.writing import replace as written
from ..models.choice import as_model, model_of
from ..models.drafts.weights import check_read
from ..models.protocol import Model
from ..runs.export_data import write_rows
from ..runs.results import Results
from ..runs.run import Run
from ..setup import refusals
from ..setup.loaded import Loaded
from ..setup.plan_table import planned
from ..setup.request import Request
from ..setup.searches import Searches
from ..store.formats import current_names
from ..store.lock import acquire
from .prompt_files import PromptFile, PromptRow
from .rows import FORMATS, columns, rows

SETTINGS, DONE = "shards.json", "done.json"
SIZE = 256  # prompts of a shard: as many searches as the driver keeps live
MOST = 2**32  # of either, and of prompts that anybody has
FORMAT = 1
Watching = Callable[[Run], AbstractContextManager[Any]]


@dataclass
class Sharded:
    """Prompts of a file and how each is searched.

    ``request``: for every prompt; its own ``prompts`` stay empty. ``size``: prompts of a shard.
    ``limit``: the first so many prompts. ``form``: of the results; by default that of the prompts,
    JSON lines for text.

    Contract: a prompt's search is the same in whatever shard it is, since all shards have the spec
    of the first. What is in memory does not grow with the number of prompts.
    """

    file: PromptFile
    request: Request
    size: int = SIZE
    limit: int | None = None
    form: str = ""
    _counted: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name, number in (("shard", self.size), ("limit", self.limit)):
            if number is not None and not 1 <= number <= MOST:
                raise ConfigError(f"{name} is {number}, but must be at least 1 and at most {MOST}")
        if self.form and self.form not in FORMATS:
            raise unknown("format", self.form, FORMATS)
        suffix = self.file.path.suffix.removeprefix(".")
        self.form = self.form or (suffix if suffix in FORMATS else "jsonl")
        request = self.request
        if request.prompts:
            raise ConfigError(
                f"prompts come from {self.file.path}, so {request.prompts[0]!r} is one too many; "
                "leave it out"
            )
        if request.start_seed is not None or request.start_latents is not None:
            raise ConfigError(
                "a first noise of your own is one picture's, and a file has many prompts; leave "
                "out --start-seed and --start-latents, or use generate"
            )
        budget = Budget.parse(request.budget)
        if budget.per == "run" or request.allocate != EVEN:
            raise ConfigError(
                f"budget {request.budget} is for a whole run, and every shard of a file is one; "
                "give it for each prompt, such as 640 or 5m/condition, without --allocate"
            )

    @property
    def count(self) -> int:
        """How many prompts there are; every row is looked at, and shown to the model, whose
        weights need not be loaded for that."""
        if self._counted is None:
            given, self._counted = self.request.model, 0
            model = model_of(given) if isinstance(given, str) else as_model(given)
            for shard in self.file.shards(self.size, self.limit):
                self._counted += len(self._conditions(model, shard))
        if not self._counted:
            raise ConfigError(f"prompts file {self.file.path} has no prompt; write at least one")
        return self._counted

    @property
    def shards(self) -> int:
        return math.ceil(self.count / self.size)

    @cached_property
    def loaded(self) -> Loaded:
        """What all shards are made with, loaded for the first, when everything is checked that can
        be known of all prompts before any is searched."""
        assert self.count
        first = next(self.file.shards(self.size, self.limit))
        request = replace(self.request, prompts=[row.prompt for row in first])
        loaded = request.resolve().loaded
        if loaded.joint:
            raise ConfigError(
                f"algorithm {loaded.algorithm.name!r} makes one search of all prompts, and a file "
                "is searched shard by shard; choose another, or use generate"
            )
        for shard in self.file.shards(self.size, self.limit):
            of = self._of(loaded, shard)
            refusals.check_verifiers(of)
            for draft in loaded.drafts.values():
                if draft.draft.model:
                    check_read(draft.draft, model_of(draft.draft.model), of.conditions)
        return loaded

    def plan(self) -> dict[str, Any]:
        """What the whole would cost."""
        return {"prompts": self.count, "shards": self.shards,
                **planned(Searches.of(self.loaded), self.count)}  # fmt: skip

    def _of(self, loaded: Loaded, shard: Sequence[PromptRow]) -> Loaded:
        """The parts for the prompts of one shard."""
        conditions = self._conditions(loaded.model, shard)
        spec = loaded.spec.model_copy(update={"conditions": [c.json() for c in conditions]})
        return replace(loaded, spec=spec, conditions=conditions)

    def _conditions(self, model: Model, shard: Sequence[PromptRow]) -> list[Condition]:
        found = []
        for row in shard:
            try:
                found.append(model.condition(row.prompt, self.request.negative))
            except ConfigError as error:
                raise ConfigError(f"{self.file.at(row.number)}: {error}") from error
        return found

    def run(
        self,
        folder: Path,
        say: Callable[[str], None],
        watching: Watching,
        where: ExecutorChoice = ExecutorChoice(),
    ) -> dict[str, Any]:
        """Search all shards that are not done; returns :meth:`summary`.

        ``say`` is told of each shard, ``watching`` gives a watcher of its run. Every shard has the
        run folder shards/NNNNN and, when it is done, the rows results/NNNNN; an interrupt leaves
        the shard in work as a run that the next call goes on with.
        """
        assert self.loaded
        with self._held(folder):
            self._settle(folder)
            (folder / "results").mkdir(exist_ok=True)
            began, before, searched = time.monotonic(), 0, 0
            for number, shard in enumerate(self.file.shards(self.size, self.limit)):
                if (self.shard(folder, number) / DONE).exists():
                    before += len(shard)
                    continue
                done = self._search(folder, number, shard, watching, where)
                searched += len(shard)
                pace = (time.monotonic() - began) / searched
                left = pace * (self.count - before - searched)
                say(f"shard {number + 1} of {self.shards}: mean score {_mean(done, 'baseline')} "
                    f"without search, {_mean(done, 'score')} with it; {before + searched} of "
                    f"{self.count} prompts, about {left:.0f} s left")  # fmt: skip
        return self.summary(folder)

    def shard(self, folder: Path, number: int) -> Path:
        return folder / "shards" / f"{number:05d}"

    def _search(
        self,
        folder: Path,
        number: int,
        shard: Sequence[PromptRow],
        watching: Watching,
        where: ExecutorChoice,
    ) -> dict[str, Any]:
        """One shard from its journal or from nothing to its rows, and what is kept of it."""
        place = self.shard(folder, number)
        run = Run.begun(place, Searches.of(self._of(self.loaded, shard)), StoreError(
            f"{place} holds a run with other settings; move it away and it is made anew"
        ))  # fmt: skip
        run.sheets = False
        try:
            with watching(run) as watcher:
                results = run.execute(watcher, where=where)
        finally:
            run.close()
        file, wanted = folder / "results" / f"{number:05d}.{self.form}", columns(run.loaded)
        write_rows(file, wanted, rows(shard, results, wanted, file.parent))
        done = _sums(results)
        written(place / DONE, json.dumps(done, indent=1).encode())
        # A run is a web of objects that know each other: without this the searches of many shards
        # would wait together for the collector, and with them the worker's kept states.
        del run, results, watcher
        gc.collect()
        return done

    def summary(self, folder: Path) -> dict[str, Any]:
        """What there is so far: means over the prompts whose winner and baseline have a score."""
        found = [json.loads(path.read_text())
                 for path in sorted((folder / "shards").glob(f"*/{DONE}"))]  # fmt: skip
        sums = {name: sum(of[name] for of in found)
                for name in ("prompts", "scored", "score", "baseline", "nfe")}  # fmt: skip
        scored = max(1, sums["scored"])
        return {
            "folder": str(folder), "prompts": sums["prompts"], "of": self.count,
            "shards": len(found), "complete": len(found) == self.shards,
            "score": sums["score"] / scored, "baseline": sums["baseline"] / scored,
            "nfe": sums["nfe"], "results": str(folder / "results"),
        }  # fmt: skip

    @contextmanager
    def _held(self, folder: Path) -> Iterator[None]:
        """One writer; and nothing of ours in a folder that is somebody else's."""
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder} is a file; choose a new or empty folder with --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        foreign = any(path.name != "lock" for path in folder.iterdir())
        if foreign and not (folder / SETTINGS).exists():
            raise StoreError(
                f"{folder} is not empty and holds no prompts searched by shards; choose a new or "
                "empty folder with --out"
            )
        with acquire(folder):
            yield

    def _settle(self, folder: Path) -> None:
        """Keep how the whole was begun, or check that it goes on so; the number of threads is the
        first machine's, since another gives other last bits."""
        import torch

        path, spec = folder / SETTINGS, self.loaded.spec
        mine = {
            "format": FORMAT, "prompts": of_content(self.file.path), "count": self.count,
            "column": self.file.column, "shard": self.size, "results": self.form,
            **spec.model_dump(mode="json", exclude={"format", "conditions", "guarded"}),
        }  # fmt: skip
        if not path.exists():
            written(path, json.dumps(mine, indent=1).encode())
            return
        try:
            known = current_names(json.loads(path.read_text()))
            self.loaded.spec = spec.model_copy(update={"threads": int(known["threads"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path} cannot be read ({error!r}); restore it from a copy"
            ) from error
        torch.set_num_threads(self.loaded.spec.threads)
        for name, value in mine.items():
            if name != "threads" and known.get(name) != value:
                raise ConfigError(
                    f"{folder} was begun otherwise: {name} was {known.get(name)!r}, is {value!r}; "
                    "give the settings that it was begun with, or another folder with --out"
                )


def _sums(results: Results) -> dict[str, Any]:
    """What is kept of a shard beside its rows."""
    both = [(r.winner.score, r.baseline.score) for r in results]
    scored = [(w, b) for w, b in both if math.isfinite(w) and math.isfinite(b)]
    return {
        "prompts": len(results), "scored": len(scored),
        "score": sum(w for w, _ in scored), "baseline": sum(b for _, b in scored),
        "nfe": sum(r.ledger["nfe"] for r in results),
    }  # fmt: skip


def _mean(done: dict[str, Any], name: str) -> str:
    return f"{done[name] / done['scored']:.3f}" if done["scored"] else "unknown"
