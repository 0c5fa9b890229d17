"""What drafts are worth: how they rank the same noises as the full sample does, and their cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..algorithms.problem import Problem, Search
from ..algorithms.settings import Settings
from ..candidates.ask import score
from ..candidates.budget import Budget
from ..candidates.trajectory import FULL
from ..driver.driver import Watcher
from ..driver.live_search import LiveSearch
from ..errors import ConfigError
from ..files.json_text import parsed
from ..models import capabilities
from ..models.choice import as_model, model_of
from ..objectives.single import ranking
from ..objectives.statistics import Interval, mean, rank_correlation
from ..runs.run import Run
from ..setup.request import Request
from ..setup.searches import Searches

Numbers = npt.NDArray[np.float64]
REPORT = "calibration.json"
LEAST = 3  # candidates of a prompt, for a rank correlation to say anything
MOST = 100_000


class Pairs(Settings):
    """The same noises at every draft that the run knows; not a search, but what calibrates one.

    Price: ``candidates`` at the price of every draft.
    """

    name: ClassVar[str] = "pairs"
    price: ClassVar[str] = "candidates·(C + the price of every draft)"

    candidates: int = Field(default=16, ge=LEAST, le=MOST, description="noises a prompt")

    def __call__(self, problem: Problem) -> Search:
        replies = yield [
            score(problem.sample(problem.noise(i), draft=draft), role="pair", index=i)
            for i in range(self.candidates)
            for draft in problem.space.drafts
        ]
        full = [reply for reply in replies if reply.trajectory.draft == FULL]
        return [full[i].trajectory for i in ranking(problem.objective, full)]


@dataclass(frozen=True)
class DraftRow:
    """One draft against the full sample, of the same noises.

    ``correlation``: Spearman's within a prompt, over the prompts. ``regret``: what the full value
    of the draft's best is below the best full value. ``kept``: the share of the gain of the best
    over the mean candidate that is left after it. ``nfe``: of a candidate, over a full one's.
    ``seconds``: the same as measured, scoring and all; None where nothing was made anew.
    ``reused``: the share of evaluations of which a cache left most out. ``prompts``: those whose
    full samples were not all scored alike; drafts that are correlate by 0.
    """

    draft: str
    steps: int
    nfe: float
    correlation: Interval
    regret: Interval
    kept: float
    prompts: int
    seconds: float | None = None
    reused: float | None = None

    def json(self) -> dict[str, Any]:
        def named(interval: Interval) -> dict[str, float]:
            return {"mean": interval.delta, "low": interval.low, "high": interval.high}

        return {**vars(self), "correlation": named(self.correlation), "regret": named(self.regret)}


@dataclass(frozen=True)
class Calibration:
    """All drafts of a model, and what they were measured on."""

    model: str
    verifiers: Sequence[str]
    prompts: int
    candidates: int
    steps: int
    seed: int
    rows: Sequence[DraftRow]

    def json(self) -> dict[str, Any]:
        return {**vars(self), "rows": [row.json() for row in self.rows]}


def drafts_of(model: Any, drafts: Sequence[str]) -> list[str]:
    """Those asked for, else all that the model has names for."""
    if drafts:
        return list(drafts)
    known = model_of(model) if isinstance(model, str) else as_model(model)
    found = list(dict.fromkeys(capabilities.drafts(known).values()))
    if not found:
        raise ConfigError(f"{known.name} has no drafts of its own; name some, as --draft steps:8")
    return found


Watching = Callable[[Run], AbstractContextManager[Watcher | None]]


def prepared(request: Request, candidates: int) -> Searches:
    """What makes and scores ``candidates`` noises a prompt in full and as each of the request's
    drafts, loaded; ConfigError where that cannot be, before there is a folder."""
    drafts = drafts_of(request.model, request.drafts)
    # Enough for all, since a draft costs at most what the full sample does; set right below.
    budget = f"{candidates * (1 + len(drafts))}candidates"
    request = replace(
        request, drafts=drafts, budget=budget, algorithm=f"{__name__}:{Pairs.__name__}",
        parameters={"candidates": candidates},
    )  # fmt: skip
    resolved = request.resolve()
    loaded, prices = resolved.loaded, resolved.searches.prices
    each = prices.candidate + sum(map(prices.draft, loaded.drafts))
    exact = Budget(math.ceil(candidates * each))
    spec = loaded.spec.model_copy(update={"budget": exact})
    return Searches.of(replace(loaded, spec=spec))


def calibrate(setup: Searches, out: Path, watching: Watching | None = None) -> Calibration:
    """Run what was :func:`prepared`.

    A calibration that is in ``out`` already is gone on with; what came out is written there as
    ``calibration.json``. ConfigError where ``out`` holds another one.
    """
    loaded = setup.loaded
    run = Run.begun(out, setup, ConfigError(
        f"{out} holds a run with other settings; choose another folder with --out"
    ))  # fmt: skip
    try:
        with watching(run) if watching else nullcontext() as watcher:
            run.execute(watcher)
        made = _measured(run)
    finally:
        run.close()
    found = Calibration(
        loaded.spec.model, loaded.spec.verifiers, len(loaded.conditions),
        loaded.spec.parameters["candidates"],
        loaded.spec.steps, loaded.spec.seed,
        [_row(run, draft, made.get(draft, {})) for draft in loaded.drafts],
    )  # fmt: skip
    run.store.write_json(REPORT, {**found.json(), "measured": made})
    return found


def _measured(run: Run) -> dict[str, dict[str, float]]:
    """Seconds, answers, evaluations and reused ones by draft; of an earlier process those of
    drafts that were not made anew."""
    from ..worker.draft_workers import DraftWorkers

    path = run.folder / REPORT
    found: dict[str, dict[str, float]] = {}
    if path.exists():
        found = parsed(path.read_text(encoding="utf-8"))["measured"]
    executor = run.driver.executor if run.driver else None
    assert isinstance(executor, DraftWorkers), "a calibration has drafts"
    for draft, worker in executor.workers.items():
        timing = executor.timings[draft]
        if timing.answers:
            units = worker.usage.values()
            found[draft] = {
                "seconds": timing.seconds, "answers": timing.answers,
                "nfe": sum(of["nfe"] for of in units),
                "reused": sum(of.get("reused", 0) for of in units),
            }  # fmt: skip
    full = found.get(FULL)
    for of in found.values():
        of["share"] = (
            of["seconds"] / of["answers"] / (full["seconds"] / full["answers"]) if full else 0.0
        )
    return found


def _row(run: Run, draft: str, measured: Mapping[str, float]) -> DraftRow:
    loaded, prices = run.loaded, run.setup.prices
    cheaper = loaded.drafts[draft]
    pairs = [_values(live, draft) for live in run.searches]
    known = [0.0 if np.ptp(drafted) == 0 else rank_correlation(drafted, full)
             for drafted, full in pairs if np.ptp(full) > 0]  # fmt: skip
    if not known:
        raise ConfigError(
            "the full samples of each prompt have one and the same score, so nothing can be "
            "ranked; choose another verifier, or other prompts"
        )
    regret = np.array([full.max() - full[drafted.argmax()] for drafted, full in pairs])
    gain = np.array([full.max() - full.mean() for _, full in pairs])
    nfe = prices.draft(draft) / prices.candidate
    reused = measured["reused"] / measured["nfe"] if "nfe" in measured else None
    return DraftRow(
        draft, cheaper.steps, nfe, mean(known), mean(regret),
        float(1 - regret.sum() / gain.sum()) if gain.sum() else 1.0, len(known),
        measured.get("share"), reused if cheaper.draft.cache is not None else None,
    )  # fmt: skip


def _values(live: LiveSearch, draft: str) -> tuple[Numbers, Numbers]:
    """The values of drafts and of full samples of the same noises; those without one left out."""
    value = live.problem.objective.value
    found = {(r.trajectory.noise.key, r.trajectory.draft): value(r) for r in live.record.replies}
    both = [
        (found[noise, draft], full)
        for (noise, of), full in found.items()
        if of == FULL and np.isfinite([full, found.get((noise, draft), np.nan)]).all()
    ]
    if len(both) < LEAST:
        raise ConfigError(
            f"{live.problem.condition}: {len(both)} of its candidates have a score both in full "
            f"and as draft {draft!r}, too few to rank; mend the verifier and calibrate again"
        )
    drafted, full = np.array(both).T
    return drafted, full
