"""What an arm's search comes to, read off the journal of a run as far as that goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..candidates.ask import Reply
from ..candidates.budget import Budget
from ..driver.driver import Driver
from ..driver.live_search import LiveSearch
from ..files.json_text import finite
from ..objectives.single import ranking
from ..runs.run import Run
from ..setup import selection
from ..setup.loaded import Loaded
from ..setup.searches import Searches
from .arms import Setting


@dataclass(frozen=True)
class ArmWinner:
    """One winner: of which condition, its sample's key, its scores, and what its search cost."""

    condition: int
    key: str
    score: float  # the objective's value; -inf where only sets have one
    parts: Mapping[str, float]
    nfe: float
    forwards: float
    flops: float

    def json(self) -> dict[str, Any]:
        return {**vars(self), "score": finite(self.score), "parts": dict(self.parts)}


def parts_of(loaded: Loaded, arm: Setting) -> Loaded:
    """A run's parts as one arm has them: its verifiers, objective and algorithm, its final steps.

    The budget is for the search alone, so that what its final generation costs is put on top.
    """
    names = selection.verifier_names(arm.verifier, loaded.model, {})
    own = [v for n, v in zip(loaded.spec.verifiers, loaded.verifiers, strict=True) if n in names]
    spec = loaded.spec.model_copy(update={
        "verifiers": [n for n in loaded.spec.verifiers if n in names],
        "scales": {part: s for v in own for part, s in v.scale.items()},
        "objective": arm.objective,
        "parameters": dict(arm.parameters),
        "final_steps": arm.final_steps or loaded.spec.steps,
    })  # fmt: skip
    plain = selection.algorithm_of(arm.algorithm, dict(arm.parameters))
    algorithm = selection.with_model_names(
        plain, loaded.model, loaded.spec.steps, loaded.solver.stochastic
    )
    found = replace(loaded, spec=spec, verifiers=own, algorithm=algorithm)
    budget = Searches(found, Budget.parse(arm.search_budget)).with_final()
    found.spec = spec.model_copy(update={"budget": budget})
    return found


def replayed(run: Run, arm: Setting) -> list[ArmWinner]:
    """An arm's winners, in the order of the conditions; what is not journalled yet is computed.

    Unlike in a run of a user's, a baseline that is better than the winner does not replace it:
    what an algorithm returns is what is measured.
    """
    loaded = parts_of(run.loaded, arm)
    setup = Searches.of(loaded)
    lives = setup.all()
    for live in lives:
        live.record.select = run.pictures.select
    # Another worker counts from nothing: what the last one spent is summed up at this mark.
    run.store.event("open")
    own = Run(run.folder, setup, run.store, lives)
    worker = own.executor()
    try:
        Driver(lives, loaded.algorithm, worker, run.store, setup.budget,
               max_missing=loaded.spec.max_missing).run()  # fmt: skip
    finally:
        worker.close()
    return [row for live in lives for row in _rows(live, loaded)]


def _rows(live: LiveSearch, loaded: Loaded) -> list[ArmWinner]:
    rows = []
    costs = dict(zip((c.key for c in live.problem.conditions), live.record.ledgers(), strict=True))
    for condition in live.problem.conditions:
        mine = [r for r in _winners(live, loaded) if r.trajectory.condition == condition]
        ledger = costs[condition.key][0].json()
        nfe, forwards, flops = (ledger[u] / len(mine) for u in ("counted", "forwards", "flops"))
        index = loaded.conditions.index(condition)
        rows += [
            ArmWinner(index, r.trajectory.key, live.problem.objective.value(r), dict(r.parts), nfe,
                      forwards, flops)
            for r in mine
        ]  # fmt: skip
    return rows


def _winners(live: LiveSearch, loaded: Loaded) -> list[Reply]:
    """The whole set of a joint search, else the first of what the algorithm returned."""
    found = [final for final, _ in live.record.finished()]
    if loaded.joint:
        return found
    if live.record.drafted:  # as in a run: of several finished ones the best sample counts
        found = [found[i] for i in ranking(live.problem.objective, found)]
    return found[:1]
