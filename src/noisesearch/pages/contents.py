"""What a run folder says of every candidate; read from the folder alone, no model is loaded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..candidates.ask import Reply
from ..candidates.condition import Condition
from ..candidates.ledger import Ledger, Rates
from ..candidates.space import PIPELINE
from ..candidates.trajectory import FULL, Trajectory
from ..errors import ConfigError, StoreError
from ..files.json_text import finite, parsed
from ..objectives import sets_text
from ..objectives import text as objective_text
from ..objectives.single import UNMET, Bound, Constrained, Objective, Pareto
from ..store.run_store import RunStore, read_spec
from ..store.spec import RunSpec
from ..store.step_price import step_price
from ..store.winners import stored_results

TOLERANCE = 1e-6  # relative, between a stored score and the same from the stored parts


@dataclass(frozen=True)
class AnsweredCandidate:
    """One answered trajectory. ``nfe`` and ``seconds``: what its search had cost when the answer
    was there; ``parent``: the index of the candidate that it was made from; ``value``: the
    objective's, None where it has none."""

    reply: Reply
    kind: str  # baseline, sample, draft, preview (unfinished) or final
    nfe: float
    seconds: float
    value: float | None = None
    parent: int | None = None

    @property
    def trajectory(self) -> Trajectory:
        return self.reply.trajectory

    @property
    def out(self) -> bool:
        """True where a bound is broken or a cascade let it go."""
        return self.value is not None and self.value <= -UNMET / 2


@dataclass(frozen=True)
class Searched:
    """One condition: what winners.json says of it, and its candidates in the order of answers."""

    condition: Condition
    result: Mapping[str, Any]
    candidates: Sequence[AnsweredCandidate]

    @cached_property
    def index(self) -> dict[str, int]:
        return {c.trajectory.key: i for i, c in enumerate(self.candidates)}

    @property
    def baseline(self) -> AnsweredCandidate:
        return self.candidates[self.index[self.result["baseline"]["trajectory"]]]

    @property
    def winners(self) -> list[AnsweredCandidate]:
        return [self.candidates[self.index[w["trajectory"]]] for w in self.result["winners"]]

    @property
    def winner(self) -> AnsweredCandidate:
        return self.winners[0]

    def unsearched(self) -> list[int]:
        """Indices of the baseline's noise, sampled in few steps and in more; the baseline last."""
        base = self.baseline.trajectory
        found = [i for i, c in enumerate(self.candidates)
                 if _plain(c.trajectory) and c.trajectory.noise == base.noise]  # fmt: skip
        last = self.index[base.key]
        return sorted(found, key=lambda i: (i == last, self.candidates[i].trajectory.steps))

    def bests(self) -> list[int]:
        """Indices of the complete candidates that were better than all before them; drafts that
        were looked at beside are none."""
        beside = {"preview", "draft"} if any(c.kind == "sample" for c in self.candidates) else {
            "preview"
        }  # fmt: skip
        found: list[int] = []
        best = -math.inf
        for i, candidate in enumerate(self.candidates):
            value = candidate.value
            if candidate.kind not in beside and value is not None and value > best:
                found.append(i)
                best = value
        return found


@dataclass(frozen=True)
class Reading:
    """A run folder. ``objective`` is None where no candidate has a value of its own: a set's, or
    one that a later rerank did not leave in the folder (``reranked``). ``plan``: what the run was
    to cost, as it was worked out before it began; empty where that could not be told."""

    folder: Path
    spec: RunSpec
    content: Mapping[str, Any]
    searches: Sequence[Searched]
    objective: Objective | None
    reranked: bool
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return bool(self.content.get("complete"))

    def pairs(self) -> list[tuple[AnsweredCandidate, AnsweredCandidate]]:
        """Baseline and winner of every condition; of a set, of every place in it."""
        sets = self.content.get("population")
        if sets is None:
            return [(s.baseline, s.winner) for s in self.searches]
        known = {key: s.candidates[i] for s in self.searches for key, i in s.index.items()}
        places = zip(sets["without_search"], sets["with_search"], strict=True)
        return [(known[a], known[b]) for a, b in places if a in known and b in known]

    @cached_property
    def held_out(self) -> list[str]:
        """Parts of the verifiers that were only watched."""
        watched = (s.result.get("watch", {}).get("parts", {}) for s in self.searches)
        return list(dict.fromkeys(part for parts in watched for part in parts))

    @cached_property
    def parts(self) -> list[str]:
        """Every part that some candidate has: the searched first, then the held-out."""
        first = [*self.spec.scales, *self.held_out]
        later = (p for s in self.searches for c in s.candidates for p in c.reply.parts)
        return list(dict.fromkeys((*first, *later)))

    def role(self, part: str) -> str:
        """What a part was for: searched, guarded, held out or only scored."""
        if part in self.held_out:
            return "held out"
        if part in _guarded(self.spec):
            return "guarded"
        if self.objective is not None:
            return "searched" if part in self.objective.parts else "scored"
        return "searched" if self.reranked and part in self.spec.scales else "scored"

    @property
    def front(self) -> Pareto | None:
        """The objective, where no part is traded for another."""
        return self.objective if isinstance(self.objective, Pareto) else None


def read(folder: Path) -> Reading:
    """Everything a report says of a run; StoreError where there is no run, no result or another
    version's."""
    spec = RunSpec.read(read_spec(folder), folder)
    content = stored_results(folder)
    if not content.get("searches"):
        raise ConfigError(
            f"{folder} has no result yet, so there is nothing to report: not even a baseline was "
            f"finished; go on with: noisesearch resume {folder}"
        )
    store = RunStore(folder, write=False)
    try:
        searches = list(_searches(store, spec, content))
    finally:
        store.close()
    plan = _plan(folder)
    if (found := _valued(spec, searches)) is None:
        sets = sets_text.parse(spec.objective) is not None
        return Reading(folder, spec, content, searches, None, not sets, plan)
    return Reading(folder, spec, content, found[1], found[0], False, plan)


def _plan(folder: Path) -> dict[str, Any]:
    """plan.json of a run; empty where it has none, as those of before there was one."""
    path = folder / "plan.json"
    try:
        content: dict[str, Any] = parsed(path.read_text())
    except (OSError, ValueError):
        return {}
    return content


def _searches(store: RunStore, spec: RunSpec, content: Mapping[str, Any]) -> Iterator[Searched]:
    graph = store.graph()
    replies: dict[str, list[tuple[Reply, float]]] = {}
    arrivals = _arrivals(store)
    for key, seconds in arrivals.items():
        reply = store.seen(graph.trajectory(key), ())
        assert reply is not None  # its arrival is in the same journal
        replies.setdefault(reply.trajectory.condition.key, []).append((reply, seconds))
    done: set[str] = set()
    step = step_price(spec, content)
    for result in content["searches"]:
        condition = graph.trajectory(result["baseline"]["trajectory"]).condition
        for stored in (result["baseline"], *result["winners"]):
            key = stored["trajectory"]
            if key not in arrivals or graph.trajectory(key).condition != condition:
                raise StoreError(
                    f"{store.folder / 'winners.json'} names a candidate ({key}) that its journal "
                    f"has not; write it again with: noisesearch resume {store.folder}"
                )
        if condition.key not in done:  # a prompt that is given twice is searched once
            done.add(condition.key)
            found = _candidates(spec, result, replies[condition.key], step)
            yield Searched(condition, result, found)


def _arrivals(store: RunStore) -> dict[str, float]:
    """Seconds at which each trajectory was first answered, over all processes of the run."""
    found: dict[str, float] = {}
    before = latest = 0.0
    for record in store.journal.read():
        if record.get("event") == "open":
            before, latest = before + latest, 0.0
        elif "reply" in record:
            latest = record["seconds"]
            found.setdefault(record["reply"], before + latest)
        elif record.get("event") == "cut":
            latest = max(latest, record["seconds"])
    return found


def _candidates(
    spec: RunSpec, result: Mapping[str, Any], replies: Sequence[tuple[Reply, float]], step: int
) -> list[AnsweredCandidate]:
    base = result["baseline"]["trajectory"]
    paid = result["ledger"]["nfe"]
    rates = _rates(spec, paid, len(replies), step)
    whole = Ledger(rates)
    for reply, _ in replies:
        whole.charge(reply.trajectory)
    # The baseline is outside the budget unless its noise is one of the search's own.
    free = whole.nfe > paid
    ledger = Ledger(rates)
    found: list[AnsweredCandidate] = []
    places: dict[str, int] = {}
    noises: dict[str, int] = {}
    for i, (reply, seconds) in enumerate(replies):
        trajectory = reply.trajectory
        if not (free and trajectory.key == base):
            ledger.charge(trajectory)
        parent = _parent(trajectory, places, noises)
        places[trajectory.key] = i
        if spec.draft == trajectory.draft and spec.steps == trajectory.steps:
            noises.setdefault(trajectory.noise.key, i)
        kind = "baseline" if trajectory.key == base else _kind(spec, trajectory)
        found.append(AnsweredCandidate(reply, kind, ledger.nfe, seconds, None, parent))
    return found


def _rates(spec: RunSpec, paid: float, count: int, step: int) -> Rates:
    if spec.solver == PIPELINE:  # every sample of a black box costs the same
        return Rates(whole=lambda _: max(1, round(paid / count)))
    return Rates(stages=step)


def _kind(spec: RunSpec, trajectory: Trajectory) -> str:
    if not trajectory.finished:
        return "preview"
    if trajectory.draft not in (FULL, spec.draft):
        return "draft"
    searched = spec.draft == FULL and spec.steps == spec.final_steps
    if searched:
        return "sample"
    final = trajectory.draft == FULL and trajectory.steps == spec.final_steps
    return "final" if final else "draft"


def _parent(
    trajectory: Trajectory, places: Mapping[str, int], noises: Mapping[str, int]
) -> int | None:
    """The nearest ancestor that was answered: along its moves, or for a plain sample along its
    noises, its own first (as the draft of a finished sample)."""
    lineage = trajectory.lineage()
    for node in lineage[-2::-1]:
        if node.key in places:
            return places[node.key]
    queue = deque([trajectory.noise] if _plain(trajectory) else [])
    seen: set[str] = set()
    while queue:
        noise = queue.popleft()
        if noise.key in noises:
            return noises[noise.key]
        queue.extend(child for child in noise.children if child.key not in seen)
        seen.update(child.key for child in noise.children)
    return None


def _plain(trajectory: Trajectory) -> bool:
    """True for a whole sample of its noise, without renoising."""
    return trajectory.finished and len(trajectory.moves) == 1


def _guarded(spec: RunSpec) -> list[str]:
    """Parts of the guards; a guard's part has its name."""
    short = {name.rpartition(":")[2] for name in spec.guard}
    return [part for part in spec.scales if part in short]


def _readings(spec: RunSpec) -> Iterator[Objective]:
    """What the spec's objective may be. Without one it is the mean rank of all parts but the
    guards', and some verifiers have parts that are not counted: then only those of their names."""
    if sets_text.parse(spec.objective) is not None:
        return
    if spec.objective:
        yield objective_text.parse(spec.objective, spec.scales)
        return
    guarded = _guarded(spec)
    free = {p: s for p, s in spec.scales.items() if p not in guarded} or spec.scales
    yield objective_text.parse("", free)
    names = {name.rpartition(":")[2] for name in spec.verifiers}
    if named := {p: s for p, s in free.items() if p in names}:
        yield objective_text.parse("", named)


def _valued(
    spec: RunSpec, searches: Sequence[Searched]
) -> tuple[Objective, list[Searched]] | None:
    """The objective and the searches with its values; None where none of the spec's readings
    gives the scores that are stored."""
    for objective in _readings(spec):
        valued = [_with_values(spec, s, objective) for s in searches]
        if all(map(_agrees, valued)):
            return objective, valued
    return None


def _with_values(spec: RunSpec, search: Searched, objective: Objective) -> Searched:
    base = search.baseline.reply.parts
    bounds = tuple(Bound(p, base[p], True, spec.scales[p]) for p in _guarded(spec) if p in base)
    bounded = Constrained(bounds, objective) if bounds else objective
    return replace(search, candidates=[
        replace(c, value=finite(bounded.value(c.reply))) for c in search.candidates
    ])  # fmt: skip


def _agrees(search: Searched) -> bool:
    """True where the values are the scores that the run stored for baseline and winners."""
    stored = [search.result["baseline"], *search.result["winners"]]
    for candidate, score in zip([search.baseline, *search.winners], stored, strict=True):
        one, other = candidate.value, score["score"]
        if (one is None) != (other is None):
            return False
        if one is not None and not math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            return False
    return True
