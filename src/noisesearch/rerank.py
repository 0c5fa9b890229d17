"""Another objective for a run that is there: ranked again, nothing generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import build, objective_forms
from .ask import Reply, score
from .budget import Budget
from .build import Given
from .errors import ConfigError
from .live import Live
from .objectives import Objective, ranking
from .results import Results
from .run import Run, loaded
from .store import RunStore
from .trajectory import Trajectory
from .watch import judged

if TYPE_CHECKING:
    from .verifiers.protocol import Verifier


@dataclass
class Reranked:
    """The new results, and a sentence for each winner that is a draft so far."""

    results: Results
    drafts: list[str] = field(default_factory=list)


def rerank(
    folder: Path,
    objective: str = "",
    verifier: str = "",
    finish: bool = False,
    given: Given | None = None,
) -> Reranked:
    """Rank a run's candidates by another objective; winners.json and the pictures are rewritten.

    Verifiers that the run did not have score the stored pictures, which are what they would have
    seen, and their numbers are journalled. A winner that was seen at the search's steps only is a
    draft: with ``finish`` it is finished at the final steps. The spec stays, so a resume goes on
    with the run's own objective.
    """
    parts = loaded(folder, given)
    names = [n.strip() for n in verifier.split(",") if n.strip()]
    known = {v.name for v in parts.verifiers}
    added = [v for n in build.expand(names, parts.model)
             if (v := build.verifier_of(n, parts.model)).name not in known]  # fmt: skip
    scales = {**parts.scales, **{p: s for v in added for p, s in v.scale.items()}}
    chosen = objective_forms.parse(objective, scales)
    budget = Budget.parse(parts.spec.budget)
    searches = parts.searches(budget)
    store = RunStore(folder)
    try:
        run = Run(folder, parts, store, searches, budget)
        used = [v for v in added if set(v.parts) & set(chosen.parts)]
        replies = _scored(run, _stored(store), used)
        drafts = []
        for live in searches:
            mine = [r for r in replies if r.trajectory.condition == live.problem.condition]
            drafts += _rank(run, live, mine, chosen, finish)
        return Reranked(run.write(), drafts)
    finally:
        store.close()


def _stored(store: RunStore) -> list[Reply]:
    """The replies of all complete candidates, in the order of the journal."""
    graph = store.graph()
    found = [store.seen(graph.trajectory(key), ()) for key in store.answered()]
    replies = [r for r in found if r is not None and r.trajectory.finished]
    if not replies:
        raise ConfigError(
            f"{store.folder} has no complete candidate to rank; go on with: "
            f"noisesearch resume {store.folder}"
        )
    return replies


def _scored(run: Run, replies: list[Reply], added: Sequence[Verifier]) -> list[Reply]:
    """The replies with the parts of the added verifiers, from the stored pictures."""
    store = run.store
    wanted = {part for v in added for part in v.parts}
    lacking = [r for r in replies if not wanted <= r.parts.keys() | r.missing.keys()]
    gone = [r for r in lacking if not store.sample_path(r.trajectory.key).exists()]
    if gone:
        raise ConfigError(
            f"the pictures of {len(gone)} of {len(replies)} candidates were not kept in "
            f"{store.folder}, so {', '.join(sorted(wanted))} cannot score them; make the run "
            "again with --keep all, or rank by the parts it has"
        )
    new: dict[str, Reply] = {}
    wanting = [r.trajectory for r in lacking]
    samples, rows = store.folder / "samples", run.parts.spec.rows
    for reply in judged(wanting, added, run.parts.denoiser, rows, samples):
        store.record(reply, reply.trajectory.condition.key, {}, 0.0)
        new[reply.trajectory.key] = reply
    merged = (store.seen(r.trajectory, ()) if r.trajectory.key in new else r for r in replies)
    return [r for r in merged if r is not None]


def _rank(
    run: Run, live: Live, replies: list[Reply], objective: Objective, finish: bool
) -> list[str]:
    """Make a finished search of the replies; returns what is to be said of drafts."""
    live.problem.objective = objective
    drafts: list[str] = []
    final = live.final_steps
    ranked = [replies[i].trajectory for i in ranking(objective, replies)]
    order = list(dict.fromkeys(t.at(final).key for t in ranked))
    by_key = {t.at(final).key: t for t in reversed(ranked)}
    for key in order[: live.top]:
        draft = by_key[key]
        whole = draft.at(final)
        if any(r.trajectory == whole for r in replies):
            continue
        cost = live.problem.price(whole)
        if finish:
            replies += _finished(run, whole)
        else:
            drafts.append(
                f"{live.problem.condition}: the best is a draft at {draft.steps} steps; to finish "
                f"it at {final} would cost {cost} NFE: add --finish"
            )
    for reply in replies:
        live.answer(reply)
    live.replies = list(replies)
    live.ledger.recount(replies)
    live.baseline_ledger.charge(live.baseline)
    live.settle(ranked)
    return drafts


def _finished(run: Run, whole: Trajectory) -> list[Reply]:
    """The reply to a winner at the final steps, computed and journalled."""
    worker = run.parts.worker(run.save, run.store.get)
    worker.submit(score(whole))
    replies = [reply for _, reply in worker.wait()]
    for reply in replies:
        key = whole.condition.key
        run.store.record(reply, key, worker.usage[key], 0.0)
    worker.close()
    return replies
