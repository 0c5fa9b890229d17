"""Searches that end before their budget does: a target reached, a plateau."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch import ConfigError, RandomSearch, ZeroOrder
from noisesearch.cli.tables import warnings
from noisesearch.driver.stopping import PLATEAU, TARGET, Target
from noisesearch.setup.request import Request
from noisesearch.testing import Bench, BenchOutcome, MixtureModel
from noisesearch.testing.bench import MadeUp, Released

BUDGET = 40


def bench(folder: Path, algorithm: Any = None, **settings: Any) -> Bench:
    """One part, so that the order of a pool and the value of a candidate agree."""
    given = {"verifier": "brightness", "budget": f"{BUDGET}candidates", **settings}
    return Bench(folder, algorithm or RandomSearch(), settings=given)


def values(outcome: BenchOutcome, search: int = 0) -> list[float]:
    live = outcome.searches[search]
    return [live.problem.objective.value(reply) for reply in live.record.replies]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """The values of every candidate of both searches, without anything that ends them."""
    outcome = bench(tmp_path_factory.mktemp("whole")).run("whole")
    return [values(outcome, i) for i in (0, 1)]


def on_the_way(plain: list[list[float]]) -> float:
    """A target that a search's baseline, its first candidate, misses and another reaches."""
    better = [v for numbers in plain for v in numbers[1:-1] if v > numbers[0]]
    assert better, "the test needs a candidate that beats the first"
    return sorted(better)[len(better) // 2]


def test_a_search_ends_with_the_first_candidate_that_reaches_the_target(
    plain: list[list[float]], tmp_path: Path
) -> None:
    """It would catch a search that is looked at by yields alone, and so pays for all of one."""
    target = on_the_way(plain)
    outcome = bench(tmp_path, target=f"{target}").run("run")
    for i, numbers in enumerate(plain):
        at = [n for n, value in enumerate(numbers) if value >= target]
        # A baseline that reaches it leaves nothing to search.
        assert values(outcome, i) == numbers[: at[0] + 1 if at and at[0] else 0 if at else None]
    (live, *_) = [live for live in outcome.searches if 0 < len(live.record.replies) < BUDGET]
    assert live.settings.limits is not None and live.settings.limits.why == TARGET
    told = live.record.replies
    assert live.ledger.nfe == live.problem.steps * len(told), "what was dropped is free"
    assert outcome.winners[live.settings.index] == [live.record.replies[-1].trajectory.key]


@pytest.mark.parametrize("patience", [3, 8])
def test_a_search_ends_when_nothing_better_comes(
    patience: int, plain: list[list[float]], tmp_path: Path
) -> None:
    outcome = bench(tmp_path, patience=patience).run("run")
    for i, numbers in enumerate(plain):
        best, since, expected = float("-inf"), 0, []
        for value in numbers:
            expected.append(value)
            since = 0 if value > best else since + 1
            best = max(best, value)
            if since == patience:
                break
        assert values(outcome, i) == expected
        limits = outcome.searches[i].settings.limits
        assert limits is not None and limits.why == (PLATEAU if since == patience else "")


@pytest.mark.parametrize("algorithm", [RandomSearch(), ZeroOrder(neighbours=6)])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_answers_and_kills_change_nothing(
    algorithm: Any, seed: int, plain: list[list[float]], tmp_path: Path
) -> None:
    """It would catch a stop by whichever answer happens to come first."""
    of = bench(tmp_path, algorithm, target=f"{on_the_way(plain)}", patience=12)
    straight = of.run("straight")
    shuffled = of.run("shuffled", wrap=lambda e: Released(e, random.Random(seed)))
    with contextlib.suppress(KeyboardInterrupt):  # some searches end before that
        of.run("killed", wrap=lambda e: Released(e, random.Random(seed), deaths=5))
    killed = of.run("killed")
    for other in (shuffled, killed):
        assert [values(other, i) for i in (0, 1)] == [values(straight, i) for i in (0, 1)]
        assert (other.winners, other.logical) == (straight.winners, straight.logical)


def test_what_is_asked_in_vain_is_cancelled(tmp_path: Path) -> None:
    of = bench(tmp_path, target="5")
    executor = MadeUp(lambda trajectory, index: {"brightness": float(index)})
    outcome = of.run("run", wrap=lambda _: executor)
    assert all(values(outcome, i)[-1] >= 5 for i in (0, 1))
    assert not executor._asks, "nobody waits for these any more"


def test_a_baseline_that_is_good_enough_is_not_searched(tmp_path: Path) -> None:
    outcome = bench(tmp_path, target="-1").run("run")
    for live, found in zip(outcome.searches, outcome.outcomes, strict=True):
        assert live.record.replies == [] and live.ledger.nfe == 0
        assert found.winners[0][0].trajectory == live.record.baseline


def test_the_winner_is_what_reached_the_target(tmp_path: Path) -> None:
    """The ensemble's order of all may put another first than the one whose value reached it."""
    found = ns.search("two blue squares", algorithm="random", budget="16candidates", rows=4,
                      target=8.1, out=tmp_path / "run")  # fmt: skip
    reached = [c for c in found.candidates if c.score >= 8.1]
    if reached:
        assert found.stopped == TARGET and found.short_of == ""
        assert found.winner.trajectory == reached[0].trajectory == found.candidates[-1].trajectory
    else:
        assert found.stopped == "" and found.short_of == "8.1"


def test_a_target_out_of_reach_gives_the_best_and_says_so(tmp_path: Path) -> None:
    results = ns.search(["one", "two"], model=MixtureModel(), verifier="brightness", rows=4,
                        algorithm="random", budget="6candidates", target="brightness=2",
                        out=tmp_path / "run")  # fmt: skip
    for result in results:
        assert result.winner.score == max(c.score for c in result.candidates)
        assert result.stopped == "" and result.short_of == "brightness=2"
    said = warnings(results.json())
    assert "one: the target brightness=2 was not reached; the best found is the winner" in said


def test_an_extended_run_stays_ended(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings: dict[str, Any] = {"model": MixtureModel(), "verifier": "brightness", "rows": 4}
    first = ns.search("one", algorithm="random", budget="20candidates", patience=4, out=folder,
                      **settings)  # fmt: skip
    assert first.stopped == PLATEAU
    again = ns.resume(folder, budget="40candidates", model=MixtureModel())[0]
    assert again.winner.trajectory == first.winner.trajectory
    assert len(again.candidates) == len(first.candidates)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"target": "high"}, "target is 'high', but must be a score such as 7.5"),
        ({"target": "nan"}, "target is 'nan', but must be a score"),
        ({"target": "=3"}, "target is '=3', but must be a score"),
        ({"target": "taste=3"}, "names the part 'taste', which no verifier of this run gives"),
        ({"patience": 0}, "patience is 0, but must be at least 1"),
        ({"patience": 3, "algorithm": "population"}, "leave out --patience"),
    ],
)
def test_what_cannot_be_is_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    common: dict[str, Any] = {"model": MixtureModel(), "verifier": "brightness"}
    with pytest.raises(ConfigError, match=sentence):
        request = Request(["one"], **{**common, "budget": "80candidates", **settings})
        request.resolve().searches.all()


def test_a_target_is_written_as_it_is_read() -> None:
    for text in ("7.5", "imagereward=1.2", "-3"):
        assert str(Target.parse(text, ("imagereward",))) == text
