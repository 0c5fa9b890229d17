"""A run's complete candidates as plain rows, from its folder alone: no weights are loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..candidates.ask import Reply
from ..candidates.condition import Condition
from ..candidates.ledger import Ledger, Rates
from ..candidates.space import PIPELINE
from ..candidates.trajectory import Trajectory, nodes
from ..errors import ConfigError
from ..objectives import sets_text
from ..objectives import text as objective_text
from ..objectives.single import Bound, Constrained, Objective
from .run_store import RunStore, read_spec
from .spec import RunSpec
from .step_price import step_price
from .winners import stored_results

WINNER, BASELINE, CANDIDATE = "winner", "baseline", "candidate"  # roles
# Scores are sums of a few floats: what differs by more is of another objective.
ROUNDING = 1e-9


@dataclass(frozen=True)
class CandidateRecord:
    """One complete candidate.

    ``number``: its place among the answers of its condition, from 1. ``rank``: of a winner, from
    1. ``baseline``: whether it is the unsearched sample, which may have won all the same.
    ``score``: the objective's value; None where it has none. ``nfe``: what its recipe needs, and
    ``spent`` what its search had been answered up to it, shared evaluations counted once; None
    where a black box does not say. ``picture``: None where it was not kept.
    """

    number: int
    trajectory: Trajectory
    rank: int | None
    baseline: bool
    score: float | None
    parts: Mapping[str, float]
    missing: Mapping[str, str]
    nfe: int | None
    spent: int | None
    picture: Path | None

    @property
    def condition(self) -> Condition:
        return self.trajectory.condition

    @property
    def role(self) -> str:
        """A baseline that won is a winner."""
        if self.rank is not None:
            return WINNER
        return BASELINE if self.baseline else CANDIDATE

    @property
    def recipe(self) -> list[dict[str, Any]]:
        """Its nodes in order, as the journal has them; read again by :class:`Graph`."""
        return [{"node": n.key, **n.line()} for n in nodes(self.trajectory, set())]


@dataclass(frozen=True)
class RunRecords:
    """The candidates of a run folder. ``objective``: as text, in place of the run's own."""

    folder: Path
    objective: str = ""

    @cached_property
    def spec(self) -> RunSpec:
        return RunSpec.read(read_spec(self.folder), self.folder)

    @cached_property
    def content(self) -> dict[str, Any]:
        """winners.json."""
        return stored_results(self.folder)

    def __iter__(self) -> Iterator[CandidateRecord]:
        """In the order in which they were answered."""
        return iter(self._records)

    def of(self, condition: Condition) -> list[CandidateRecord]:
        return [r for r in self if r.condition == condition]

    @cached_property
    def part_names(self) -> list[str]:
        """Of all verifiers that looked, those of held-out ones included."""
        return list(dict.fromkeys(p for r in self for p in (*r.parts, *r.missing)))

    @property
    def counts_nfe(self) -> bool:
        """Whether NFE are known; see :class:`Record`."""
        return self._rates() is not None

    @cached_property
    def unscored(self) -> list[CandidateRecord]:
        """The records with no score."""
        return [record for _, record in self._found]

    @cached_property
    def _records(self) -> list[CandidateRecord]:
        return self._scored(self._found)

    @cached_property
    def _found(self) -> list[tuple[Reply, CandidateRecord]]:
        searches = self.content["searches"]
        store = RunStore(self.folder, write=False)
        graph = store.graph()
        ranks = {w["trajectory"]: i for s in searches for i, w in enumerate(s["winners"], 1)}
        bases = {s["baseline"]["trajectory"] for s in searches}
        rates = self._rates()
        ledgers: dict[str, Ledger] = {}
        counts: dict[str, int] = {}
        found: list[tuple[Reply, CandidateRecord]] = []
        for key in store.answered():
            reply = store.seen(graph.trajectory(key), ())
            if reply is None:
                continue
            trajectory, of = reply.trajectory, reply.trajectory.condition.key
            spent = None
            if rates is not None:
                ledger = ledgers.setdefault(of, Ledger(rates))
                ledger.charge(trajectory, ())
                spent = ledger.nfe
            if not trajectory.finished:
                continue
            counts[of] = counts.get(of, 0) + 1
            path = store.sample_path(key)
            found.append((reply, CandidateRecord(
                counts[of], trajectory, ranks.get(key), key in bases, None, reply.parts,
                reply.missing, None if rates is None else Ledger(rates).charge(trajectory, ()),
                spent, path if path.exists() else None,
            )))  # fmt: skip
        if not found:
            raise ConfigError(
                f"{self.folder} has no complete candidate yet; go on with: noisesearch resume "
                f"{self.folder}"
            )
        return found

    def _rates(self) -> Rates | None:
        """What an evaluation is; None where a black box is asked for several numbers of steps,
        which it alone can price."""
        if self.spec.solver != PIPELINE:
            return Rates(step_price(self.spec, self.content))
        if self.spec.steps != self.spec.final_steps:
            return None
        price = self.content["searches"][0]["ledger"]["baseline"]["nfe"]
        return Rates(whole=lambda steps: price)

    def _scored(self, found: list[tuple[Reply, CandidateRecord]]) -> list[CandidateRecord]:
        """The records with the objective's value."""
        if not self.objective and sets_text.parse(self.spec.objective) is not None:
            return [record for _, record in found]  # one sample of a set has no value
        value = self._value(found)
        values = {reply.trajectory.key: value(reply) for reply, _ in found}
        if not self.objective:
            self._check(values)
        pairs = ((record, values[record.trajectory.key]) for _, record in found)
        return [replace(r, score=v if math.isfinite(v) else None) for r, v in pairs]

    def _value(self, found: list[tuple[Reply, CandidateRecord]]) -> Callable[[Reply], float]:
        """Of a reply: by the objective given, by that of a rerank, or by the run's own."""
        ranked = self.content.get("ranked_by")
        if self.objective:
            known = {part: 1.0 for reply, _ in found for part in reply.parts}  # held-out ones too
            scales = {**known, **self.spec.scales, **(ranked["scales"] if ranked else {})}
            return objective_text.parse(self.objective, scales).value
        if ranked:
            return objective_text.parse(ranked["objective"], ranked["scales"]).value
        text, scales = self.spec.objective, self.spec.scales
        # Guards say what must not fall, not what is wanted.
        wanted = {p: s for p, s in scales.items() if p not in self.spec.guard} or scales
        own = objective_text.parse(text, scales if text else wanted)
        bases = {r.trajectory.condition.key: r for r, record in found if record.baseline}
        return lambda reply: self._guarded(own, bases, reply).value(reply)

    def _guarded(self, own: Objective, bases: Mapping[str, Reply], reply: Reply) -> Objective:
        base = bases.get(reply.trajectory.condition.key)
        bounds = [Bound(p, base.parts[p], True, self.spec.scales[p])
                  for p in self.spec.guard if base is not None and p in base.parts]  # fmt: skip
        return Constrained(tuple(bounds), own) if bounds else own

    def _check(self, values: Mapping[str, float]) -> None:
        """That these are the scores which the run's winners were chosen by."""
        for search in self.content["searches"]:
            for candidate in (search["baseline"], *search["winners"]):
                score, value = candidate["score"], values.get(candidate["trajectory"], math.nan)
                if score is None and not math.isfinite(value):
                    continue
                if score is None or not math.isclose(score, value, rel_tol=ROUNDING,
                                                     abs_tol=ROUNDING):  # fmt: skip
                    raise ConfigError(
                        f"the winners of {self.folder} have other scores than the objective of "
                        "its spec.json gives; name the one that they were ranked by: --objective "
                        "'part(x)'"
                    )
