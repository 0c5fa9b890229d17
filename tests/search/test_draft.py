"""Draft, then commit: who is made in full, what drafts are told to be worth, and the seams."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

import noisesearch as ns
from noisesearch.algorithms.agreement import Agreement, agreement, interval
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.budget import Budget
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Cost, Ledger, Rates
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.space import Space
from noisesearch.candidates.trajectory import FULL, Trajectory
from noisesearch.cli.summary import summary
from noisesearch.driver.plan import rehearse
from noisesearch.errors import ConfigError
from noisesearch.experiments.pages.report import report
from noisesearch.objectives.single import Weighted
from noisesearch.runs.verify import verify
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from noisesearch.testing import AlgorithmContract, Bench, MixtureModel
from noisesearch.testing.plane import drive

X = Weighted({"x": 1.0})
SCALES = {"brightness": 0.1, "evenness": 0.05}
STEPS = 12


class _Draft(AlgorithmContract):
    """Drafts of the mixture's six steps, which weigh as much as full evaluations."""

    starts_at_baseline = False

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.DraftThenCommit(draft="steps:2")


class TestDraft(_Draft):
    pass


class TestDraftAncestralNumber(_Draft):
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.DraftThenCommit(draft="steps:1", commit=4, probes=0.5)

    smallest = "4candidates"


class TestCascadeOfDrafts(_Draft):
    budget = "14candidates"

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.DraftThenCommit(draft="steps:1 > steps:3")


def problem(budget: float, drafts: dict[str, int], seed: int = 0) -> Problem:
    """``drafts``: their steps by draft; one evaluation of theirs weighs what a full one does."""
    space = Space((1, 4, 4), MixtureModel().space().times, drafts={FULL: STEPS, **drafts})
    return Problem(Condition(), space, X, STEPS, RunFacts("draft", seed, Ledger(Rates()), budget))


def normal(*key: str) -> float:
    """A unit normal that follows from names."""
    words = [int(name.encode().hex(), 16) % 2**32 for name in key]
    return float(np.random.default_rng(words).standard_normal())


def searched(
    algorithm: ns.DraftThenCommit, of: Problem, number: Callable[[Trajectory], float]
) -> tuple[list[Trajectory], list[list[Ask]]]:
    """The winners, and what was asked yield by yield."""
    asked: list[list[Ask]] = []

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        asked.append(list(asks))
        return [Reply.of(a.trajectory, {"x": number(a.trajectory)}) for a in asks]

    return drive(algorithm, of, answer), asked


def test_drafts_that_rank_as_their_samples_find_the_best_of_all() -> None:
    """Catches the worst committed in place of the best, scores of two drafts that are compared,
    and a second round that forgets the drafts of the first."""
    for seed in range(20):
        of = problem(20 * STEPS, {"d": 3}, seed)
        salt = str(seed)

        def number(t: Trajectory, salt: str = salt) -> float:
            true = normal(t.noise.key, salt)
            return true if t.draft == FULL else 10 + true**3

        winners, asked = searched(ns.DraftThenCommit(draft="d"), of, number)
        noises = {a.trajectory.noise for asks in asked for a in asks}
        assert len(noises) == 2 * (5 * STEPS // 3), "half of the budget, at a quarter each"
        assert winners[0].draft == FULL
        assert winners[0].noise == max(noises, key=lambda n: normal(n.key, salt))
        assert len(winners) == 10 and of.budget == 0


def test_drafts_that_are_surely_poor_are_given_up() -> None:
    """In the second round all goes into full samples, of the drafts that are left and of new
    noises. Catches a correlation that is not looked at, or of the wrong two rows."""
    of = problem(40 * STEPS, {"d": 3})
    winners, asked = searched(
        ns.DraftThenCommit(draft="d"), of,
        lambda t: normal(t.noise.key) * (-1 if t.draft == FULL else 1),
    )  # fmt: skip
    counts = [Counter(a.trajectory.draft for a in asks) for asks in asked]
    assert counts == [{"d": 40}, {FULL: 10}, {FULL: 20}]
    assert len(winners) == 30
    again = searched(ns.DraftThenCommit(draft="d", poor=-1), problem(40 * STEPS, {"d": 3}),
                     lambda t: normal(t.noise.key, t.draft))[1]  # fmt: skip
    assert [Counter(a.trajectory.draft for a in asks) for asks in again] == [
        {"d": 40}, {FULL: 10}, {"d": 40}, {FULL: 10}]  # fmt: skip


def test_a_large_budget_is_not_asked_for_at_once() -> None:
    """Catches a list of a million drafts before the first is looked at: with a clock beside the
    budget nothing would come of it."""
    of = problem(1000 * STEPS, {"d": 3})
    _, asked = searched(ns.DraftThenCommit(draft="d"), of, lambda t: normal(t.noise.key))
    assert len(asked) >= 2 * 1000 // 64 and max(map(len, asked)) <= 64 * STEPS


def test_probes_are_not_among_the_best() -> None:
    """Catches probes that are the best again, or the same rank of the drafts in every search."""
    places = []
    for seed in range(12):
        of = problem(16 * STEPS, {"d": 3}, seed)
        _, asked = searched(ns.DraftThenCommit(draft="d", probes=0.5), of,
                            lambda t: normal(t.noise.key))  # fmt: skip
        ranked = sorted((a.trajectory.noise for a in asked[0]), key=lambda n: -normal(n.key))
        full = [a.trajectory.noise for a in asked[1]]
        assert full[:2] == ranked[:2] and len(set(full)) == 4
        places += [ranked.index(n) for n in full[2:]]
    assert min(places) >= 2 and len(set(places)) > 8


def test_a_cascade_goes_from_many_to_few() -> None:
    """Each draft looks at the best of the one below, and all drafts share their part of the
    budget. Catches a stage that draws new noises, or ranks by another stage's scores."""
    of = problem(24 * STEPS, {"a": 1, "b": 4})
    signs = {"a": 1, "b": -1, FULL: 1}
    _, asked = searched(ns.DraftThenCommit(draft="a>b", probes=0, poor=-1), of,
                        lambda t: signs[t.draft] * normal(t.noise.key))  # fmt: skip
    for first, second, third in (asked[:3], asked[3:]):
        assert [len(first), len(second), len(third)] == [36, 9, 6]
        assert [a.trajectory.draft for a in (first[0], second[0], third[0])] == ["a", "b", FULL]
    a, b, full = ([x.trajectory.noise for x in asks] for asks in asked[:3])
    best = sorted(a, key=lambda n: -normal(n.key))[:9]
    assert b == best
    assert full == sorted(b, key=lambda n: normal(n.key))[:6], "by the scores of b"


@pytest.mark.parametrize("budget", [12, 14, 19, 30, 47.5, 48, 100, 331])
@pytest.mark.parametrize("draft", ["d", "d>e"])
def test_budgets_are_kept_and_used(budget: float, draft: str) -> None:
    """Draft evaluations that weigh 1/8 and 3/8. Catches a budget exceeded by rounding, and one of
    which a whole sample's worth is left over."""
    of = problem(budget, {"d": 6, "e": 6})
    of.run.ledger.rates = Rates(1, forwards=2, flops=4, drafts={"d": Cost(1, 1), "e": Cost(1, 3)})
    winners, _ = searched(ns.DraftThenCommit(draft=draft), of, lambda t: normal(t.noise.key))
    assert winners and all(t.draft == FULL for t in winners)
    assert 0 <= of.budget < STEPS


def test_the_reported_correlation_is_scipys(tmp_path: Path) -> None:
    """In results, JSON, summary and report; of the pairs that the journal has.

    Catches pairs of different noises, previews or finals taken for pairs, a figure of the first
    round alone, and ties that are not averaged.
    """
    result = ns.search(
        ["one", "two"], model=MixtureModel(), algorithm=ns.DraftThenCommit(draft="steps:2"),
        budget="20candidates", out=tmp_path / "run",
    )  # fmt: skip
    content = json.loads((tmp_path / "run" / "winners.json").read_text())
    nodes, parts = {}, {}
    for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines():
        record = json.loads(line)
        nodes[record.get("node")] = record
        parts[record.get("reply")] = record.get("parts")
    every = []
    for found, said in zip(result, content["searches"], strict=True):
        values: dict[str, dict[str, float]] = {}
        for key, of in parts.items():
            node = nodes.get(key, {})
            begun = nodes.get(node.get("of"), {})
            if of and begun.get("condition") == {"text": str(found.condition)}:
                values.setdefault(begun["noise"], {})[begun["draft"]] = (
                    of["brightness"] / SCALES["brightness"] + of["evenness"] / SCALES["evenness"]
                )
        pairs = [(v["steps:2"], v[FULL]) for v in values.values() if len(v) == 2]
        by_hand = stats.spearmanr(*zip(*pairs, strict=True)).statistic
        told = said["drafts"]["steps:2"]
        assert len(pairs) == told["pairs"] == found.drafts["steps:2"].pairs > 8
        assert told["correlation"] == pytest.approx(by_hand)
        assert told["low"] < told["correlation"] < told["high"]
        every.append(by_hand)
    mean = f"Spearman's {np.mean(every):.2f} ["
    assert mean in summary(content) and "the mean over 2 searches" in summary(content)
    page = report(tmp_path / "run").path.read_text()
    assert "Draft steps:2 was finished in full for" in page and mean.replace("'", "&#39;") in page


def test_the_interval_covers_what_it_says() -> None:
    """Of normals with correlation r, Spearman's is 6/π·asin(r/2); 95 % intervals of 12 pairs hold
    it in 93 to 97 of 100 samples. Catches the variance of Pearson's, a standard error of one
    pair more or less by a factor, and a perfect order said to be certain."""
    rng = np.random.default_rng(0)
    for r in (0.0, 0.5, 0.8):
        true, held = 6 / np.pi * np.arcsin(r / 2), 0
        for _ in range(1500):
            a = rng.standard_normal(12)
            b = r * a + np.sqrt(1 - r**2) * rng.standard_normal(12)
            low, high = interval(float(stats.spearmanr(a, b).statistic), 12)
            held += low <= true <= high
        assert 0.925 < held / 1500 < 0.975
    low, high = interval(1.0, 5)
    assert low < 0.5 and high == 1.0


def test_too_few_and_all_alike() -> None:
    def replies(draft: str, values: Sequence[float]) -> list[Reply]:
        return [
            Reply.of(Trajectory.begin(Condition(), gaussian(i), 2, draft).denoise(), {"x": v})
            for i, v in enumerate(values)
        ]

    nan = float("nan")
    assert agreement(X, replies("d", [1, 2, 3, 4]), replies(FULL, [1, 2, nan, 3])) == Agreement(3)
    assert agreement(X, replies("d", [1, 2, 3, 4]), replies(FULL, [5] * 4)).correlation == 0.0


def test_a_search_that_is_stopped_returns_no_draft(tmp_path: Path) -> None:
    """Under a clock, with drafts that score higher than all full samples and came last.

    Catches a leader among drafts, whose finished sample nobody has seen.
    """
    algorithm = ns.DraftThenCommit(draft="steps:2", poor=-1)
    loaded = Bench(tmp_path, algorithm).parts(budget="100s")
    live = Searches(loaded, Budget.parse("100s")).first()
    rehearse(live, loaded.algorithm, itertools.count(1.0), most=3)
    assert live.record.replies[-1].trajectory.draft == "steps:2"
    assert live.record.winners and all(t.draft == FULL for t in live.record.winners)


def test_names_of_drafts_become_their_texts() -> None:
    """Catches a name in a spec, which another version of the model may mean otherwise."""
    named = {"quarter": "steps:3", "fast": "lora:/x.safetensors+steps:1"}
    assert ns.DraftThenCommit().with_names(named, 12).draft == ("steps:1+lora:/x.safetensors",)
    assert ns.DraftThenCommit().with_names({"quarter": "steps:3"}, 12).draft == ("steps:3",)
    both = ns.DraftThenCommit(draft="fast > quarter").with_names(named, 12)
    assert both.drafts == ("steps:1+lora:/x.safetensors", "steps:3")
    with pytest.raises(ConfigError, match="has names for none; give one, such as draft=steps:4"):
        ns.DraftThenCommit().with_names({"half": "steps:6"}, 12)


def test_what_is_loaded_serves_algorithms_with_other_drafts() -> None:
    """As `compare` has them. Catches drafts of the last algorithm that the next is offered, and
    missing ones."""

    def request(algorithm: Any) -> Request:
        return Request(["x"], model=MixtureModel(), algorithm=algorithm, budget="9candidates")

    loaded = request("random").resolve().loaded
    assert not loaded.drafts
    two = request(ns.DraftThenCommit(draft="steps:2")).resolve(like=loaded).loaded
    both = request(ns.DraftThenCommit(draft="steps:2>steps:3")).resolve(like=two).loaded
    assert list(both.space.drafts) == [FULL, "steps:2", "steps:3"]
    assert both.drafts["steps:2"] is two.drafts["steps:2"]
    last = request("random").resolve(like=both).loaded
    assert list(last.space.drafts) == [FULL]


def test_shapes_from_the_name_alone(tmp_path: Path) -> None:
    """Without --draft: the algorithm's own is loaded, kept in the spec and found by a resume."""
    out = tmp_path / "run"
    settings: dict[str, Any] = {"model": "shapes-small", "verifier": "aesthetic", "steps": 4}
    result = ns.search("a red circle", algorithm="draft", parameters={"draft": "steps:1"},
                       budget=24, out=out, **settings)  # fmt: skip
    spec = json.loads((out / "spec.json").read_text())
    assert (spec["draft"], spec["drafts"]) == (FULL, ["steps:1"])
    assert spec["parameters"]["draft"] == ["steps:1"]
    assert result.ledger["drafts"]["steps:1"] == 16 and result.ledger["nfe"] == 24
    (again,) = ns.resume(out)
    assert again.winner.trajectory == result.winner.trajectory
    assert verify(out)["pixels"] == 0
    assert "--algorithm draft" in report(out).path.read_text()
