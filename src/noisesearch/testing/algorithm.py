"""What every algorithm must do, whatever it searches for."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ..algorithms.problem import Algorithm
from ..candidates.condition import Condition
from ..errors import ConfigError
from ..setup.searches import Searches
from ..verifiers.protocol import FunctionVerifier
from .bench import Bench, Released


def fails_often(images: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """The mean of the pixels, or NaN for about a third of all pictures."""
    mean = images.double().mean((1, 2, 3))
    unlucky = (images.double() * 255).round().sum((1, 2, 3)).long() % 11 < 4
    return torch.where(unlucky, torch.full_like(mean, math.nan), mean)


# Differentiable, so that algorithms which need gradients take it too.
FAILS_OFTEN = FunctionVerifier(fails_often, "fails_often", differentiable=True)


class AlgorithmContract:
    """Inherit and give the fixture ``algorithm``; the class attributes say how it is run.

    ``settings`` are those of :func:`noisesearch.search`. ``starts_at_baseline``: the first
    candidate is the baseline's noise, so that a budget of one candidate is plain sampling.
    ``revisits``: a level may be asked for that was passed unasked, and is computed again: what
    ran may be more than what the recipes cost. ``smallest``: the budget that is just enough; below
    it, and above one candidate, the algorithm says what it needs.
    """

    settings: Mapping[str, Any] = {}
    budget = "9candidates"
    starts_at_baseline = True
    revisits = False
    smallest = "1candidates"

    @pytest.fixture
    def bench(self, algorithm: Algorithm, tmp_path: Path) -> Bench:
        return Bench(tmp_path, algorithm, settings={"budget": self.budget, **self.settings})

    def test_killed_at_every_ask_and_resumed(self, bench: Bench) -> None:
        whole = bench.run("whole")
        for after in range(len(whole.asked)):
            name = f"killed-{after}"
            bench.killed(name, after)
            resumed = bench.run(name)
            assert resumed.winners == whole.winners, f"killed after {after} answers"
            assert resumed.logical == whole.logical, f"killed after {after} answers"
            assert resumed.parts == whole.parts, "a score changed by a resume"

    def test_order_of_answers_does_not_matter(self, bench: Bench) -> None:
        whole = bench.run("whole")
        for seed in range(4):
            order = random.Random(seed)
            other = bench.run(f"order-{seed}", wrap=lambda e, o=order: Released(e, o))  # type: ignore[misc]
            assert (other.winners, other.logical) == (whole.winners, whole.logical)
            assert other.parts == whole.parts

    def test_batch_size_does_not_matter(self, bench: Bench) -> None:
        four, eight = (bench.run(f"rows-{n}", bench.parts(rows=n)) for n in (4, 8))
        assert sorted(four.asked) == sorted(eight.asked)
        assert (four.winners, four.logical) == (eight.winners, eight.logical)
        for mine, others in zip(four.parts, eight.parts, strict=True):
            for a, b in zip(mine, others, strict=True):
                # Another shape may round otherwise, and a pixel then falls on another of 255
                # levels: a few of those in the mean of a picture.
                assert all(math.isclose(a[p], b[p], abs_tol=1e-3) for p in a)

    def test_budget_is_kept_and_planned(self, bench: Bench) -> None:
        loaded = bench.parts()
        forecast = Searches.of(loaded).plan()
        for live in bench.run("budget", loaded).searches:
            assert 0 < live.ledger.counted <= live.problem.run.limit
            if not forecast.adaptive:
                assert forecast.least.nfe <= live.ledger.nfe <= forecast.most.nfe
            assert not forecast.exact or forecast.most.decodes == live.ledger.decodes

    def test_what_is_counted_is_what_ran(self, bench: Bench) -> None:
        outcome = bench.run("count")
        assert outcome.evictions == 0
        assert outcome.counted == outcome.physical
        if self.revisits:
            assert outcome.physical >= outcome.priced
        else:
            assert outcome.physical == outcome.priced

    def test_failing_verifier_is_survived(self, bench: Bench) -> None:
        joint = bench.parts().joint
        parts = bench.parts(verifier=[FAILS_OFTEN], objective="", top=1 if joint else 9)
        # So many failures would end a run; here they are to be lived with.
        outcome = bench.run("nan", parts, max_missing=1.0)
        replies = [r for live in outcome.searches for r in live.record.replies]
        failed = [r for r in replies if r.missing]
        assert failed, "the test needs a seed under which something fails"
        assert all(r.parts.keys() | r.missing.keys() == {"fails_often"} for r in replies)
        for live in outcome.searches:
            record, steps = live.record, live.settings.final_steps
            values = [live.problem.objective.value(record.answers[t.at(steps).key])
                      for t in record.winners or ()]  # fmt: skip
            assert values, "there is a winner whatever fails"
            found = [v > -math.inf for v in values]
            if not joint:
                assert found == sorted(found, reverse=True), "a failed candidate ranks last"
            assert live.ledger.decodes == len({r.trajectory.key for r in record.replies})

    def test_returns_complete_trajectories_best_first(self, bench: Bench) -> None:
        joint = bench.parts().joint
        # Of one part: a mean rank among three is not that among all.
        several = {} if joint else {"top": 3, "objective": "part(brightness)"}
        outcome = bench.run("top", bench.parts(**several))
        for live in outcome.searches:
            record = live.record
            assert record.winners and all(t.finished for t in record.winners)
            assert len({t.key for t in record.winners}) == len(record.winners)
            if joint:  # a set, in the order of its places
                assert len(record.winners) == len(record.baselines)
                continue
            told = [record.answers[t.key] for t in record.winners]
            order = live.problem.objective.order(told)
            assert list(order) == sorted(order, reverse=True)

    def test_one_candidate_is_plain_sampling(self, bench: Bench) -> None:
        if self.smallest != "1candidates":
            with pytest.raises(ConfigError, match="needs at least"):
                bench.run("too-small", bench.parts(budget="1candidates"))
        outcome = bench.run("one", bench.parts(budget=self.smallest))
        for live in outcome.searches:
            assert live.ledger.counted <= live.problem.run.limit
            if self.starts_at_baseline:
                base = [ask.trajectory for ask in live.record.baselines]
                won = [w.trajectory for o in live.record.outcomes() for w, _ in o.winners]
                assert {t.key for t in won} == {t.key for t in base}
                assert live.ledger.price(base) == 0
