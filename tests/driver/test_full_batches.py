"""Batches as full as they can be: widths that part the work evenly, and who waits for whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

import noisesearch as ns
from noisesearch.candidates.ask import Ask, Reply, score
from noisesearch.candidates.budget import Budget
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.executor import Executor
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import FULL, Trajectory
from noisesearch.setup.request import Request
from noisesearch.testing import Bench, MixtureModel
from noisesearch.worker.draft_workers import DraftWorkers
from noisesearch.worker.engine import Worker


@pytest.mark.parametrize(
    ("algorithm", "candidates", "prompts", "rows"),
    [
        (ns.RandomSearch(), 12, 1, 12),
        (ns.RandomSearch(), 40, 1, 20),  # 32 and 8 would leave 24 rows empty
        (ns.RandomSearch(), 40, 5, 32),  # 200 in seven parts of 29
        (ns.ZeroOrder(neighbours=5), 41, 8, 32),  # yields come one by one, and fill up
    ],
)
def test_what_one_yield_has_is_parted_evenly(
    algorithm: Any, candidates: int, prompts: int, rows: int
) -> None:
    names = [f"prompt {i}" for i in range(prompts)]
    budget = Budget(candidates, "candidates")
    request = Request(names, model=MixtureModel(), algorithm=algorithm, budget=budget)
    assert request.resolve().loaded.spec.rows == rows


def test_the_baseline_is_counted_beside_the_full_ones() -> None:
    prompts = [f"{colour} circle" for colour in ("a red", "a blue", "a green", "a yellow")] * 2
    request = Request(
        prompts, model="shapes", budget=Budget(16, "candidates"), algorithm="auto", solver="euler"
    )
    spec = request.resolve().loaded.spec
    # Four candidates in full and the baseline, of eight prompts.
    assert spec.rows == 20 and spec.draft_rows[spec.drafts[0]] == 32


class Late:
    """Holds the answers about baselines back until there is nothing else to say."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner
        self.said: list[str] = []
        self._held: list[tuple[Ask, Reply]] = []

    @property
    def usage(self) -> Mapping[str, Mapping[str, int]]:
        return self.inner.usage

    def submit(self, ask: Ask) -> None:
        self.inner.submit(ask)

    def wait(self) -> list[tuple[Ask, Reply]]:
        while answers := self.inner.wait():
            self._held += [a for a in answers if a[0].tag.get("role") == "baseline"]
            if rest := [a for a in answers if a not in self._held]:
                return self._said(rest)
        held, self._held = self._held, []
        return self._said(held)

    def _said(self, answers: list[tuple[Ask, Reply]]) -> list[tuple[Ask, Reply]]:
        self.said += [ask.tag["role"] for ask, _ in answers]
        return answers

    def cancel(self, ask: Ask) -> None:
        self.inner.cancel(ask)

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        ({}, False),
        ({"verifier": "brightness,evenness", "guard": "evenness"}, True),
        ({"verifier": "brightness", "watch": "evenness"}, True),
        ({"patience": 100}, True),
    ],
)
def test_only_what_hangs_on_the_baseline_waits_for_it(
    settings: Any, waits: bool, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, ns.DraftThenCommit(draft="steps:2"), settings=settings)
    kept: list[Late] = []

    def late(inner: Executor) -> Executor:
        kept.append(Late(inner))
        return kept[-1]

    found, usual = bench.run("late", wrap=late), bench.run("usual")
    said = kept[0].said
    assert (said.index("baseline") < said.index("commit")) is waits
    assert (found.winners, found.parts, found.logical) == (
        usual.winners, usual.parts, usual.logical
    )  # fmt: skip


class Filled:
    """A worker with so many asks in a batch of ten."""

    rows = 10

    def __init__(self, name: str, asks: int) -> None:
        self.name, self.asks = name, asks

    @property
    def fullness(self) -> float:
        return min(1.0, self.asks / self.rows)

    def wait(self) -> list[tuple[Ask, Reply]]:
        trajectory = Trajectory.begin(Condition(self.name), gaussian(0), 1)
        return [(score(trajectory), Reply(trajectory, {}))] if self.asks else []


@pytest.mark.parametrize(
    ("full", "draft", "first"),
    [
        (8, 5, "draft"),  # two rows empty at twelve each, or five at one
        (8, 1, "draft"),
        (10, 9, FULL),
        (9, 10, "draft"),
        (3, 0, FULL),  # an empty worker has nothing to say
    ],
)
def test_the_batch_that_wastes_least_goes_first(full: int, draft: int, first: str) -> None:
    workers = {FULL: Filled(FULL, full), "draft": Filled("draft", draft)}
    drafts = DraftWorkers(cast("Mapping[str, Worker]", workers), {FULL: 12.0, "draft": 1.0})
    ((ask, _),) = drafts.wait()
    assert ask.trajectory.condition.text == first
