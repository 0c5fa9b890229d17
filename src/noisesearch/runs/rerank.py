"""Another objective for a run that is there: ranked again, nothing generated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..candidates.ask import Ask, Reply, Score, score
from ..driver.held_out import Watch
from ..driver.live_search import LiveSearch
from ..errors import ConfigError
from ..objectives import text as objective_text
from ..objectives.single import Objective
from ..setup import selection
from ..setup.python_objects import PythonObjects
from ..setup.searches import Searches
from ..store.answered_candidates import arrivals, is_whole
from ..store.run_store import RunStore
from .opening import load_run
from .results import Results
from .run import Run

if TYPE_CHECKING:
    from ..verifiers.protocol import Verifier


@dataclass
class Reranked:
    """The new results, and a sentence for each winner that is a draft so far."""

    results: Results
    drafts: list[str] = field(default_factory=list)


def rerank(
    folder: Path,
    objective: str = "",
    verifier: Any = "",
    finish: bool = False,
    given: PythonObjects | None = None,
) -> Reranked:
    """Rank a run's candidates by another objective; winners.json and the pictures are rewritten.

    ``verifier`` is as in :func:`noisesearch.search`: a name, names separated by commas, a function
    or a list of these. Those that the run did not have score the stored pictures, which are what
    they would have seen, and their numbers are journalled. A winner that was seen at the search's
    steps only is a draft: with ``finish`` it is finished at the final steps. The spec stays, so a
    resume goes on with the run's own objective.
    """
    loaded = load_run(folder, given)
    if loaded.joint:
        raise ConfigError(
            f"{folder} holds a set that algorithm {loaded.algorithm.name!r} chose as a whole, so "
            "its candidates cannot be ranked one by one; make a run with another objective"
        )
    objects: dict[str, Verifier] = {}
    names = selection.verifier_names(verifier, loaded.model, objects)
    known = {v.name for v in loaded.verifiers}
    found = [objects.get(name) or selection.verifier_of(name, loaded.model) for name in names]
    added = [v for v in found if v.name not in known]
    scales = {**loaded.scales, **{p: s for v in added for p, s in v.scale.items()}}
    chosen = objective_text.parse(objective, scales, code=True)
    loaded.watch = [v for v in added if set(v.parts) & set(chosen.parts)]
    setup = Searches.of(loaded)
    searches = setup.all()
    store = RunStore(folder)
    try:
        ranked = {"objective": objective, "scales": scales}
        run = Run(folder, setup, store, searches, ranked_by=ranked)
        replies = _scored(run, _stored(store, loaded.spec.draft))
        drafts = []
        for live in searches:
            mine = [r for r in replies if r.trajectory.condition == live.problem.condition]
            drafts += _rank(run, live, mine, chosen, finish)
        return Reranked(run.write(), drafts)
    finally:
        store.close()


def _stored(store: RunStore, draft: str) -> list[Reply]:
    """Return the replies of all complete candidates, in the order of the journal."""
    found = (arrival.reply for arrival in arrivals(store))
    replies = [reply for reply in found if is_whole(reply.trajectory, draft)]
    if not replies:
        raise ConfigError(
            f"{store.folder} has no complete candidate to rank; go on with: "
            f"noisesearch resume {store.folder}"
        )
    return replies


def _scored(run: Run, replies: list[Reply]) -> list[Reply]:
    """The replies with the parts of the added verifiers, from the stored pictures."""
    store = run.store
    wanted = tuple(part for v in run.loaded.watch for part in v.parts)
    lacking = [r.trajectory for r in replies
               if not set(wanted) <= r.parts.keys() | r.missing.keys()]  # fmt: skip
    gone = [t for t in lacking if not store.sample_path(t.key).exists()]
    if gone:
        raise ConfigError(
            f"the pictures of {len(gone)} of {len(replies)} candidates were not kept in "
            f"{store.folder}, so {', '.join(sorted(wanted))} cannot score them; make the run "
            "again with --keep all, or rank by the parts it has"
        )
    _answered(run, [Ask(t, Score(wanted)) for t in lacking])
    merged = (store.seen(r.trajectory, ()) for r in replies)
    return [r for r in merged if r is not None]


def _rank(
    run: Run, live: LiveSearch, replies: list[Reply], objective: Objective, finish: bool
) -> list[str]:
    """Make a finished search of the replies; returns what is to be said of drafts."""
    record = live.record
    live.problem.objective = objective
    # The added verifiers' parts are ranked by, so nothing is held out.
    record.settings = replace(record.settings, finalists=record.settings.top, watch=())
    live.watch, record.select = Watch(), run.pictures.select
    record.replies = list(replies)
    for reply in replies:
        live.answer(reply)
    drafts: list[str] = []
    for draft, whole in record.settle(record.leaders()):
        if live.is_answered(score(whole)):
            continue
        if finish:
            for reply in _answered(run, [score(whole)]):
                live.answer(reply)
                record.replies.append(reply)
        else:
            drafts.append(
                f"{live.problem.condition}: the best is a draft at {draft.steps} steps; to finish "
                f"it at {whole.steps} would cost {live.problem.price(whole)} NFE: add --finish"
            )
    live.stage = "done"
    live.ledger.recount(record.replies)
    record.baseline_ledger.charge(record.baseline)
    return drafts


def _answered(run: Run, asks: list[Ask]) -> list[Reply]:
    """The replies to asks, computed and journalled."""
    worker = run.executor()
    for ask in asks:
        worker.submit(ask)
    replies = []
    while answers := worker.wait():
        for _, reply in answers:
            key = reply.trajectory.condition.key
            run.store.record(reply, key, worker.usage.get(key, {}), 0.0)
            replies.append(reply)
    worker.close()
    return replies
