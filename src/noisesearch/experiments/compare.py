"""Algorithms side by side: the same prompts, the same first noises, the same budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..candidates.budget import Budget
from ..errors import ConfigError
from ..models import choice
from ..names import registry
from ..names.forms import short_name
from ..objectives.statistics import Interval, paired
from ..runs.results import Candidate, Results
from ..runs.run import Run
from ..setup import selection
from ..setup.loaded import Loaded
from ..setup.notices import notice
from ..setup.request import Request
from ..setup.searches import Searches

Numbers = npt.NDArray[np.float64]
NONE = "no search"


@dataclass(frozen=True)
class Arm:
    """One algorithm under one budget, a number for every prompt in each column."""

    algorithm: str
    budget: str
    nfe: float
    seconds: float
    columns: dict[str, Numbers]  # [prompts]: score, the parts, and the checker where there is one


@dataclass(frozen=True)
class Comparison:
    """All arms; ``arms[0]`` is no search at all."""

    prompts: Sequence[str]
    arms: Sequence[Arm]

    def difference(self, arm: Arm, of: Arm, column: str) -> Interval:
        """The mean of arm − of over the prompts, with its paired bootstrap interval."""
        return paired(of.columns[column], arm.columns[column])

    def json(self) -> list[dict[str, Any]]:
        """A row an arm: means, and differences to no search and to the first of its budget."""
        rows = []
        for arm in self.arms:
            rival = next(a for a in self.arms if a.budget == arm.budget)
            row: dict[str, Any] = {
                "algorithm": arm.algorithm, "budget": arm.budget, "prompts": len(self.prompts),
                "nfe": arm.nfe, "seconds": round(arm.seconds, 2),
                "means": {name: float(v.mean()) for name, v in arm.columns.items()},
            }  # fmt: skip
            for name, of in (("over_no_search", self.arms[0]), (f"over_{rival.algorithm}", rival)):
                if of is not arm:
                    row[name] = {c: self.difference(arm, of, c).json() for c in arm.columns}
            rows.append(row)
        return rows


def compare(
    algorithms: Sequence[str],
    prompts: Sequence[str],
    budgets: Sequence[str],
    out: Path,
    model: str = "shapes",
    verifier: str = "ensemble",
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Run every algorithm under every budget; a run that is in ``out`` already is gone on with.

    The first noise of a prompt is the same for all algorithms, so the differences are paired. An
    algorithm that cannot work under a budget is left out there, and that is said.
    """
    requests = {
        (algorithm, budget): Request(
            prompts, model, verifier, algorithm=algorithm, budget=budget, seed=seed
        )
        for budget in budgets
        for algorithm in algorithms
    }
    arms: list[Arm] = []
    for (algorithm, budget), searches in _possible(requests, say).items():
        say(f"{algorithm}, {budget}: {len(prompts)} prompts")
        if said := notice(searches.loaded):
            say(said)
        results = ran(out / _name(algorithm, budget), searches)
        if not arms:
            arms.append(_arm(NONE, "", results, [r.baseline for r in results], model))
        winners = [r.winner for r in results]
        arms.append(_arm(short_name(algorithm), budget, results, winners, model))
    return Comparison(prompts, arms)


Pair = tuple[str, str]


def _possible(requests: dict[Pair, Request], say: Callable[[str], None]) -> dict[Pair, Searches]:
    """The searches of the requests that can be met, before any of them runs, with one and the same
    model; ConfigError where none can."""
    kept: dict[Pair, Searches] = {}
    loaded: Loaded | None = None
    refusal: ConfigError | None = None
    for (algorithm, budget), request in requests.items():
        try:
            resolved = request.resolve(like=loaded)
            loaded = resolved.loaded
            resolved.searches.all()
            kept[algorithm, budget] = resolved.searches
        except ConfigError as error:
            say(f"{short_name(algorithm)}, {budget}: left out; {error}")
            refusal = error
    if not kept and refusal is not None:
        raise refusal
    return kept


def budgets_of(text: str) -> list[str]:
    """The budgets of ``8,32`` or ``8candidates,640nfe``; a bare number is in candidates."""
    found = []
    for each in filter(None, (part.strip() for part in text.split(","))):
        budget = Budget.parse(f"{each}candidates" if each.isdigit() else each)
        if not budget.counted:
            raise ConfigError(
                f"budget {each!r} is on the clock, but a comparison needs equal work; "
                "write candidates, nfe or forwards"
            )
        found.append(str(budget).removesuffix("/condition"))
    if not found:
        raise ConfigError("no budget was given; write for example --budgets 8,32")
    return found


def _unseen(run: Run) -> AbstractContextManager[None]:
    return nullcontext()


def _name(algorithm: str, budget: str) -> str:
    return re.sub(r"[^\w.-]+", "-", f"{short_name(algorithm)}-{budget}")


def ran(
    folder: Path, setup: Searches, watching: Callable[[Run], AbstractContextManager[Any]] = _unseen
) -> Results:
    """The finished run of a folder, started or gone on with as needed.

    ``watching(run)`` gives a context whose value is the run's watcher. ConfigError where the
    folder holds a run of other prompts or another seed.
    """
    if (folder / "spec.json").exists():
        run = Run.open(folder)
        there, spec = run.loaded.spec, setup.loaded.spec
        if (there.conditions, there.seed) != (spec.conditions, spec.seed):
            run.close()
            raise ConfigError(
                f"{folder} holds a run of other prompts or another seed; "
                "choose another folder with --out"
            )
    else:
        run = Run.create(folder, setup)
    try:
        with watching(run) as watcher:
            return run.execute(watcher)
    finally:
        run.close()


def _arm(
    name: str, budget: str, results: Results, chosen: Sequence[Candidate], model: str
) -> Arm:  # fmt: skip
    parts = dict.fromkeys(part for c in chosen for part in c.parts)
    columns = {"score": np.array([c.score for c in chosen])}
    for part in parts:
        columns[part] = np.array([c.parts.get(part, np.nan) for c in chosen])
    checked = _checked([str(r.condition) for r in results], chosen, model)
    if checked is not None:
        columns["right"] = checked
    none = name == NONE
    # As the budget counts it: a gradient's evaluations weigh more than others.
    nfe = [r.ledger["baseline"]["nfe"] if none else r.ledger["counted"] for r in results]
    seconds = 0.0 if none else float(results[0].ledger["seconds"])
    return Arm(name, budget, float(np.mean(nfe)), seconds, columns)


def _checked(prompts: list[str], chosen: Sequence[Candidate], model: str) -> Numbers | None:
    """1 where a world's checker finds the whole prompt right, else 0; None without a checker."""
    known = choice.model_of(model)
    if "checker" not in known.verifiers:
        return None
    from ..files.pictures import read
    from ..sampling.images import from_pictures
    from ..verifiers.protocol import Views

    checker = selection.verifier_of("checker", known)
    images = from_pictures([read(c.path) for c in chosen if c.path is not None])
    score = checker(Views(images, [known.condition(p, None) for p in prompts]))["checker"]
    right: Numbers = (score.double().numpy() >= 1.0).astype(np.float64)
    return right


def located(algorithms: Sequence[str]) -> list[str]:
    """Names checked before anything runs, files with their whole path."""
    found = [registry.with_absolute_path(name) for name in algorithms]
    for name in found:
        selection.algorithm_of(name, {})
    if len({short_name(n) for n in found}) < len(found):
        raise ConfigError("an algorithm was named twice; name each once")
    return found
