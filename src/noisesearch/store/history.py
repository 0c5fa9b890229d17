"""What a run folder says of its candidates; read from the folder alone, no weights are loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..candidates.condition import Condition
from ..candidates.ledger import Rates
from ..candidates.space import PIPELINE
from ..candidates.trajectory import Trajectory
from ..errors import ConfigError, StoreError
from ..files.json_text import parsed
from ..objectives.single import Objective, Pareto
from .answered_candidates import (
    BASELINE,
    AnsweredCandidate,
    Arrival,
    RecipePrices,
    arrivals,
    is_plain,
    is_whole,
    kind_of,
    parents,
)
from .run_store import RunStore, read_spec
from .scores import Scores, guarded, scores_by, scores_of
from .spec import RunSpec
from .step_price import step_price
from .winners import stored_results


@dataclass(frozen=True)
class SearchHistory:
    """One condition: what winners.json says of it, and its candidates in the order of answers."""

    condition: Condition
    result: Mapping[str, Any]
    candidates: Sequence[AnsweredCandidate]
    draft: str  # that it searched at

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
                 if is_plain(c.trajectory) and c.trajectory.noise == base.noise]  # fmt: skip
        last = self.index[base.key]
        return sorted(found, key=lambda i: (i == last, self.candidates[i].trajectory.steps))

    def bests(self) -> list[int]:
        """Indices of the complete candidates that were better than all before them; drafts that
        were looked at beside are none."""
        found: list[int] = []
        best = -math.inf
        for i, candidate in enumerate(self.candidates):
            score = candidate.score
            if score is not None and score > best and is_whole(candidate.trajectory, self.draft):
                found.append(i)
                best = score
        return found


@dataclass(frozen=True)
class RunHistory:
    """The candidates of a run folder, what each is worth, and what its parts were for.

    ``given``: an objective as text that scores them in place of the run's own. Nothing is read
    before it is asked for. StoreError where there is no run, no result or another version's.
    """

    folder: Path
    given: str = ""

    @cached_property
    def spec(self) -> RunSpec:
        return RunSpec.read(read_spec(self.folder), self.folder)

    @cached_property
    def content(self) -> dict[str, Any]:
        """winners.json; ConfigError where it holds no result yet."""
        content = stored_results(self.folder)
        if not content["searches"]:
            raise ConfigError(
                f"{self.folder} has no result yet, so there is nothing to report or export: not "
                "even a baseline was finished; go on with: noisesearch resume "
                f"{self.folder}"
            )
        return content

    @cached_property
    def plan(self) -> dict[str, Any]:
        """plan.json, what the run was to cost; empty where that could not be told."""
        try:
            content: dict[str, Any] = parsed((self.folder / "plan.json").read_text())
        except (OSError, ValueError):
            return {}
        return content

    @property
    def complete(self) -> bool:
        return bool(self.content.get("complete"))

    def __iter__(self) -> Iterator[AnsweredCandidate]:
        """Yield the complete candidates in the order in which they were answered. ConfigError
        where it is not known what their scores are of."""
        if self.objective is None and self.reranked:
            raise ConfigError(
                f"the winners of {self.folder} have other scores than the objective of its "
                "spec.json gives; name the one that they were ranked by: --objective 'part(x)'"
            )
        return (c for c in self.candidates if c.trajectory.finished)

    @cached_property
    def candidates(self) -> list[AnsweredCandidate]:
        """Everything that was answered, previews included, in that order."""
        made = {c.trajectory.key: c for of in self._by_condition.values() for c in of}
        return [made[arrival.reply.trajectory.key] for arrival in self._arrivals]

    @cached_property
    def searches(self) -> list[SearchHistory]:
        """The conditions with a result. A prompt that was given twice was searched once."""
        return [
            SearchHistory(of[0].condition, result, of, self.spec.draft)
            for key, result in self._results.items()
            if (of := self._by_condition[key])
        ]

    @property
    def objective(self) -> Objective | None:
        """What gives the scores: of a rerank, the objective that it ranked by. None where no
        candidate has a value of its own, or where it is not known."""
        return self._scores.objective

    @property
    def ranked_by(self) -> str:
        """The text of the objective; "" is the mean rank."""
        return self._scores.text

    @property
    def reranked(self) -> bool:
        """True where the winners were ranked by another objective than the run's own."""
        return self._scores.reranked

    @property
    def front(self) -> Pareto | None:
        """The objective, where no part is traded for another."""
        return self.objective if isinstance(self.objective, Pareto) else None

    def pairs(self) -> list[tuple[AnsweredCandidate, AnsweredCandidate]]:
        """Baseline and winner of every condition; of a set, of every place in it."""
        sets = self.content.get("population")
        if sets is None:
            return [(s.baseline, s.winner) for s in self.searches]
        known = {key: s.candidates[i] for s in self.searches for key, i in s.index.items()}
        places = zip(sets["without_search"], sets["with_search"], strict=True)
        return [(known[a], known[b]) for a, b in places if a in known and b in known]

    @cached_property
    def part_names(self) -> list[str]:
        """The parts that some complete candidate has or misses, in the order of the answers."""
        whole = (c for c in self.candidates if c.trajectory.finished)
        return list(dict.fromkeys(p for c in whole for p in (*c.parts, *c.missing)))

    @cached_property
    def parts(self) -> list[str]:
        """Every part that some candidate has: the searched first, then the held-out."""
        return list(dict.fromkeys((*self.spec.scales, *self.held_out, *self._seen)))

    @cached_property
    def held_out(self) -> list[str]:
        """Parts of the verifiers that were only watched, unless a rerank ranked by them."""
        watched = (s.result.get("watch", {}).get("parts", {}) for s in self.searches)
        # A rerank writes winners.json again without them.
        named = [p for p in self._seen if p in self.watched_verifiers]
        known = {*self.spec.scales, *(self.objective.parts if self.objective else ())}
        found = dict.fromkeys((*(part for parts in watched for part in parts), *named))
        return [part for part in found if part not in known]

    @cached_property
    def watched_verifiers(self) -> set[str]:
        """The names of the verifiers that were only watched."""
        names = self.spec.verifier_names
        return {names[text] for text in self.spec.watch}

    def role(self, part: str) -> str:
        """Return what a part was for: searched, guarded, held out or only scored."""
        if part in self.held_out:
            return "held out"
        if part in guarded(self.spec):
            return "guarded"
        if self.objective is not None and part in self.objective.parts:
            return "searched"
        return "searched" if self.reranked and part in self.spec.scales else "scored"

    @property
    def counts_nfe(self) -> bool:
        """Whether NFE are known; see :class:`AnsweredCandidate`."""
        return self._prices is not None

    def nfe_alone(self, candidate: AnsweredCandidate) -> int | None:
        """Return the NFE that the recipe of a candidate needs; None where they are not known."""
        return None if self._prices is None else self._prices.alone(candidate.trajectory)

    @cached_property
    def _arrivals(self) -> list[Arrival]:
        store = RunStore(self.folder, write=False)
        try:
            return arrivals(store)
        finally:
            store.close()

    @cached_property
    def _seen(self) -> list[str]:
        """The parts of all replies."""
        return list(dict.fromkeys(p for a in self._arrivals for p in a.reply.parts))

    @cached_property
    def _results(self) -> dict[str, Mapping[str, Any]]:
        """What winners.json says of each condition. StoreError where it names a candidate that is
        not answered, or is one of another condition."""
        known = {a.reply.trajectory.key: a.reply.trajectory.condition.key for a in self._arrivals}
        found: dict[str, Mapping[str, Any]] = {}
        for result in self.content["searches"]:
            named = [c["trajectory"] for c in (result["baseline"], *result["winners"])]
            for key in named:
                if key not in known or known[key] != known[named[0]]:
                    raise StoreError(
                        f"{self.folder / 'winners.json'} names a candidate ({key}) that its "
                        "journal has not; write it again with: noisesearch resume "
                        f"{self.folder}"
                    )
            found.setdefault(known[named[0]], result)
        return found

    @cached_property
    def _scores(self) -> Scores:
        results, ranked = self._results.values(), self.content.get("ranked_by")
        replies = {a.reply.trajectory.key: a.reply for a in self._arrivals}
        if self.given:
            return scores_by(self.given, self.spec, ranked, replies.values())
        named = [c for result in results for c in (result["baseline"], *result["winners"])]
        stored = [(replies[c["trajectory"]], c["score"]) for c in named]
        bases = [replies[result["baseline"]["trajectory"]] for result in results]
        return scores_of(self.spec, ranked, stored, bases)

    @cached_property
    def _prices(self) -> RecipePrices | None:
        """What an evaluation is; None where a black box is asked for several numbers of steps,
        which it alone can price."""
        if self.spec.solver != PIPELINE:
            return RecipePrices(Rates(step_price(self.spec, self.content)))
        if self.spec.steps != self.spec.final_steps:
            return None
        key, first = next(iter(self._results.items()))
        sets = set((self.content.get("population") or {}).get("without_search", ()))
        # A set has several baselines of a condition, which are counted together.
        count = sum(a.reply.trajectory.key in sets for a in self._arrivals
                    if a.reply.trajectory.condition.key == key)  # fmt: skip
        return RecipePrices(None, round(first["ledger"]["baseline"]["nfe"] / max(1, count)))

    @cached_property
    def _by_condition(self) -> dict[str, list[AnsweredCandidate]]:
        answered: dict[str, list[Arrival]] = {}
        for arrival in self._arrivals:
            answered.setdefault(arrival.reply.trajectory.condition.key, []).append(arrival)
        return {key: list(self._made(key, of)) for key, of in answered.items()}

    def _made(self, condition: str, of: Sequence[Arrival]) -> Iterator[AnsweredCandidate]:
        """Yield the candidates of a condition."""
        result = self._results.get(condition, {})
        base = result["baseline"]["trajectory"] if result else ""
        ranks = {w["trajectory"]: i for i, w in enumerate(result.get("winners", ()), 1)}
        trajectories = [arrival.reply.trajectory for arrival in of]
        spent, nfe = self._counted(result, trajectories, base)
        samples, number = self.folder / "samples", 0
        made_from = parents(self.spec, trajectories)
        for i, ((reply, seconds), parent) in enumerate(zip(of, made_from, strict=True)):
            trajectory = reply.trajectory
            number += trajectory.finished
            yield AnsweredCandidate(
                reply,
                BASELINE if trajectory.key == base else kind_of(self.spec, trajectory),
                number if trajectory.finished else None,
                parent,
                ranks.get(trajectory.key),
                self._scores.value(reply),
                seconds,
                nfe[i],
                spent[i],
                samples,
            )

    def _counted(
        self, result: Mapping[str, Any], trajectories: Sequence[Trajectory], base: str
    ) -> tuple[Sequence[int | None], Sequence[int]]:
        """Return the NFE at each answer, with the baseline's and without."""
        count, prices = len(trajectories), self._prices
        paid = result["ledger"]["nfe"] if result else math.inf
        if prices is None:  # on average
            mean = RecipePrices(None, max(1, round(paid / count)) if result else 1)
            nfe = mean.sums(trajectories)
            return [None] * count, mean.sums(trajectories, base) if nfe[-1] > paid else nfe
        spent = prices.sums(trajectories)
        # The baseline is outside the budget unless its noise is one of the search's own.
        return spent, prices.sums(trajectories, base) if spent[-1] > paid else spent
