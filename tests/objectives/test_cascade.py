"""Cascades: a cheap verifier on all candidates of a yield, a dear one on the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.candidates.ask import Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.errors import ConfigError
from noisesearch.objectives.single import UNMET, Cascade, gradient_weights, ranking
from noisesearch.objectives.text import parse
from noisesearch.testing import AlgorithmContract, MixtureModel
from noisesearch.testing.bench import Bench, Clock, Ticking

SOME = Trajectory.begin(Condition(), gaussian(1), 2).denoise()
SCALES = {"a": 1.0, "b": 10.0, "c": 0.1}
OBJECTIVE = "cascade(brightness:3, evenness)"


def pool(*rows: Mapping[str, float | None]) -> list[Reply]:
    return [Reply.of(SOME, {n: "gone" if v is None else v for n, v in row.items()})
            for row in rows]  # fmt: skip


def cascade(text: str) -> Cascade:
    found = parse(text, SCALES)
    assert isinstance(found, Cascade)
    return found


def test_who_came_further_is_better_and_there_the_last_stage_decides() -> None:
    """Catches a cheap score that still counts where the dear one is known."""
    objective = cascade("cascade(a:2, b)")
    replies = pool({"a": 9, "b": 1}, {"a": 5}, {"a": 8, "b": 2}, {"a": 7}, {})
    assert ranking(objective, replies) == [2, 0, 3, 1, 4]
    values = [objective.value(r) for r in replies]
    assert values == [1, 5 - UNMET, 2, 7 - UNMET, -np.inf]


def test_a_failed_dear_score_ranks_last() -> None:
    objective = cascade("cascade(a:2, b)")
    replies = pool({"a": 9, "b": None}, {"a": 1}, {"a": 5, "b": 0})
    assert ranking(objective, replies) == [2, 1, 0]


def test_what_goes_on() -> None:
    replies = pool({"a": 3}, {"a": 9}, {"a": None}, {"a": 5}, {"a": 7})
    stages = cascade("cascade(a:2, b:1, c)").stages
    assert [stage.keep for stage in stages] == [2, 1, None]
    assert stages[0].kept(replies) == [1, 4]
    assert cascade("cascade(a:0.5, b)").stages[0].kept(replies) == [1, 3, 4]
    assert cascade("cascade(a:99, b)").stages[0].kept(replies) == [0, 1, 2, 3, 4]
    assert cascade("cascade(a+b:0.9, c)").stages[0].objective.parts == ("a", "b")
    assert cascade("cascade(a+b:0.9, c)").parts == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cascade(a:2)", "needs stages"),
        ("cascade(a, b)", "needs stages"),
        ("cascade(a:2, b:3)", "needs stages"),
        ("cascade(a:0, b)", "lets 0 through"),
        ("cascade(a:2.5, b)", "lets 2.5 through"),
        ("cascade(a:x, b)", "'x', not a number"),
        ("cascade(d:2, b)", "unknown part of the objective 'd'"),
        ("cascade(a:2, a)", "names a part twice"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(text, SCALES)


def test_it_has_no_gradient() -> None:
    with pytest.raises(ConfigError, match="a cascade objective has no gradient"):
        gradient_weights(cascade("cascade(a:2, b)"))


class TestRandomSearchInStages(AlgorithmContract):
    settings: ClassVar = {"objective": OBJECTIVE}

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.RandomSearch()


class TestZeroOrderInStages(AlgorithmContract):
    settings: ClassVar = {"objective": "cascade(brightness:0.5, evenness)"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.ZeroOrder()


def ran(folder: Path, **settings: Any) -> Any:
    common = {"budget": "12candidates", "rows": 4, "algorithm": "random",
              "verifier": "brightness,evenness"}  # fmt: skip
    return ns.search(["one", "two"], model=MixtureModel(), out=folder,
                     **{**common, **settings})  # fmt: skip


def test_the_dear_verifier_sees_the_best_alone(tmp_path: Path) -> None:
    """Catches a dear verifier that is called for all, and a sample that is made twice for it."""
    staged = ran(tmp_path / "staged", objective=OBJECTIVE)
    for result, known in zip(staged, ran(tmp_path / "all"), strict=True):
        by_cheap = sorted(known.candidates, key=lambda c: -c.parts["brightness"])
        best = max(by_cheap[:3], key=lambda c: c.parts["evenness"])
        assert result.winner.trajectory == best.trajectory and result.winner.parts == best.parts
        seen = {c.trajectory: c.parts for c in result.candidates}
        # The baseline is compared with winners, so it has all parts whatever the first stage says.
        looked = {k for k, parts in seen.items() if "evenness" in parts}
        assert looked == {c.trajectory for c in by_cheap[:3]} | {result.baseline.trajectory}
        verifiers = result.ledger["verifiers"]
        assert verifiers["brightness"]["samples"] == 12 and verifiers["evenness"]["samples"] == 3
        assert result.ledger["physical"]["nfe"] == result.ledger["nfe"] == 72
        assert result.ledger["physical"]["decodes"] == 12, "a second look is at the stored picture"


def test_a_guard_is_seen_from_the_first_stage_on(tmp_path: Path) -> None:
    results = ran(tmp_path / "run", verifier="brightness", objective="", guard="evenness")
    staged = ran(tmp_path / "staged", objective=OBJECTIVE, guard="evenness")
    for plain, result in zip(results, staged, strict=True):
        assert all("evenness" in c.parts for c in result.candidates)
        assert result.winner.parts["evenness"] >= result.baseline.parts["evenness"]
        assert plain.baseline.trajectory == result.baseline.trajectory


def test_inside_a_constraint(tmp_path: Path) -> None:
    text = "constrain(evenness >= -0.2, then=cascade(brightness:3, evenness))"
    for result in ran(tmp_path / "run", objective=text):
        assert all("evenness" in c.parts for c in result.candidates)
        assert result.winner.parts["evenness"] >= -0.2 or result.unmet


def test_stopped_by_the_clock_between_the_stages(tmp_path: Path) -> None:
    """The candidates of the yield that was under way count as far as they were looked at."""
    bench = Bench(tmp_path, ns.RandomSearch(), settings={
        "objective": OBJECTIVE, "verifier": "brightness,evenness", "budget": "70s",
    }, prompts=["one"])  # fmt: skip
    clock = Clock()
    outcome = bench.run("cut", wrap=lambda e: Ticking(e, clock), clock=clock)
    (live,) = outcome.searches
    # The baseline, 64 cheap looks and three dear ones: the second yield is cut in its first stage.
    assert live.cut and any("evenness" not in r.parts for r in live.record.replies)
    assert live.record.winners is not None and live.record.winners[0] == live.record.leaders()[0]
    again = bench.run("cut", wrap=lambda e: Ticking(e, clock), clock=clock)
    assert (again.winners, again.logical) == (outcome.winners, outcome.logical)


class Recorder:
    """Keeps what a watcher is told."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.better: list[float] = []

    def replied(self, driver: Any, live: Any, reply: Any) -> None:
        self.values.append(live.problem.objective.value(reply))

    def improved(self, driver: Any, live: Any, reply: Any) -> None:
        self.better.append(live.problem.objective.value(reply))


def test_who_looks_on_is_told_of_whole_replies(tmp_path: Path) -> None:
    """Catches a bar at minus infinity: a second look valued by its own parts alone."""

    def dark(images: Any, conditions: Any) -> Any:
        return 1 - images.mean((1, 2, 3))

    seen = Recorder()
    ran(tmp_path / "run", objective=OBJECTIVE, watch=[dark], watcher=seen)
    assert min(seen.values) > -2 * UNMET and max(seen.values) > -1
    assert seen.better and max(seen.better) == max(seen.values)


def test_a_held_out_verifier_that_fails_ends_nothing(tmp_path: Path) -> None:
    def broken(images: Any, conditions: Any) -> Any:
        raise RuntimeError("no such thing")

    (result, _) = ran(tmp_path / "run", watch=[broken])
    assert result.watched is not None and set(result.watched.parts["broken"]) == {None}
