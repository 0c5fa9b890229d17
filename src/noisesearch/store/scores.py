"""What the scores of a run folder are: the objective that its winners were ranked by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..candidates.ask import Reply
from ..files.json_text import finite
from ..objectives import sets_text
from ..objectives import text as objective_text
from ..objectives.single import Bound, Constrained, Objective
from .spec import RunSpec

# Scores are sums of a few floats: what differs by more is of another objective.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Scores:
    """The objective that gives the stored scores.

    ``objective``: None where no candidate has a value of its own, because the objective compares
    sets or because it is not known. ``text``: of the objective; "" is the mean rank. ``reranked``:
    whether the winners were ranked by another objective than the run's own. ``guarded``: the
    objective with the bounds of the guards, by condition.
    """

    objective: Objective | None
    text: str
    reranked: bool = False
    guarded: Mapping[str, Objective] = field(default_factory=dict)

    def value(self, reply: Reply) -> float | None:
        """Return the score of a reply; None where it has none."""
        if self.objective is None:
            return None
        objective = self.guarded.get(reply.trajectory.condition.key, self.objective)
        return finite(objective.value(reply))


Stored = Sequence[tuple[Reply, float | None]]  # replies of baselines and winners, their scores


def scores_of(
    spec: RunSpec, ranked: Mapping[str, Any] | None, stored: Stored, bases: Iterable[Reply]
) -> Scores:
    """Return what gives the ``stored`` scores. ``ranked``: the objective of a rerank, as
    winners.json has it. ``bases``: the baselines."""
    if ranked:
        text = ranked["objective"]
        objective = objective_text.parse(text, ranked["scales"])
        other = bool(guarded(spec)) or objective not in _readings(spec)
        found = Scores(objective, text, other)
        return found if _agrees(found, stored) else Scores(None, text, True)
    # One sample of a set has no value, and code that a folder names is not run for a look.
    if sets_text.parse(spec.objective) is not None or objective_text.code_of(spec.objective):
        return Scores(None, spec.objective)
    bounds = {base.trajectory.condition.key: _bounds(spec, base) for base in bases}
    for objective in _readings(spec):
        within = {key: Constrained(of, objective) for key, of in bounds.items() if of}
        found = Scores(objective, spec.objective, guarded=within)
        if _agrees(found, stored):
            return found
    return Scores(None, spec.objective, True)


def scores_by(
    text: str, spec: RunSpec, ranked: Mapping[str, Any] | None, replies: Iterable[Reply]
) -> Scores:
    """Return the scores by an objective that is given as text, of any parts that there are."""
    there = {part: 1.0 for reply in replies for part in reply.parts}  # held-out ones too
    scales = {**there, **spec.scales, **(ranked["scales"] if ranked else {})}
    return Scores(objective_text.parse(text, scales), text)


def guarded(spec: RunSpec) -> list[str]:
    """Return the parts that were not to fall below the baseline's."""
    return [part for part in spec.guarded if part in spec.scales]


def _bounds(spec: RunSpec, base: Reply) -> tuple[Bound, ...]:
    parts = (part for part in guarded(spec) if part in base.parts)
    return tuple(Bound(part, base.parts[part], True, spec.scales[part]) for part in parts)


def _readings(spec: RunSpec) -> Iterator[Objective]:
    """Yield what the objective of a spec may be. Without a text it is the mean rank of all parts
    but the guards', which say what must not fall and not what is wanted. Some verifiers have parts
    that are not counted: then it is the mean rank of those with the verifiers' names."""
    if spec.objective:
        yield objective_text.parse(spec.objective, spec.scales)
        return
    guards = guarded(spec)
    free = {p: s for p, s in spec.scales.items() if p not in guards} or spec.scales
    yield objective_text.parse("", free)
    names = set(spec.verifier_names.values())
    if named := {p: s for p, s in free.items() if p in names}:
        yield objective_text.parse("", named)


def _agrees(scores: Scores, stored: Stored) -> bool:
    for reply, known in stored:
        value = scores.value(reply)
        if value is None or known is None:
            if value is not known:
                return False
        elif not math.isclose(value, known, rel_tol=ROUNDING, abs_tol=ROUNDING):
            return False
    return True
