"""Budgets of time, on a clock that the test moves."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from noisesearch import RandomSearch, ZeroOrder
from noisesearch.testing import Bench, BenchOutcome
from noisesearch.testing.bench import Clock, Ticking

ALGORITHMS = [RandomSearch(), ZeroOrder()]


class Lab:
    """Runs in which every answer takes a second."""

    def __init__(self, folder: Path, algorithm: Any, prompts: int = 2) -> None:
        texts = ["one", "two", "three"][:prompts]
        # One part, so that the order of a pool and the value of a candidate agree.
        one = {"verifier": "brightness"}
        self.bench = Bench(folder, algorithm, settings=one, prompts=texts)

    def run(self, name: str, budget: str, **keywords: Any) -> BenchOutcome:
        clock = Clock()
        parts = self.bench.parts(budget=budget)
        return self.bench.run(
            name, parts, wrap=lambda e: Ticking(e, clock), clock=clock, **keywords
        )


def known(outcome: BenchOutcome) -> list[list[str]]:
    return [sorted(r.trajectory.key for r in live.record.replies) for live in outcome.searches]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
@pytest.mark.parametrize("seconds", [3, 10, 17])
def test_a_run_is_cut_and_stays_cut(algorithm: Any, seconds: int, tmp_path: Path) -> None:
    lab = Lab(tmp_path, algorithm)
    first = lab.run("run", f"{seconds}s")
    assert all(live.stage == "done" for live in first.searches)
    assert all(live.record.outcomes()[0].winners for live in first.searches)
    again = lab.run("run", f"{seconds}s")
    assert again.asked == [], "its time is over"
    assert known(again) == known(first)
    assert (again.winners, again.logical) == (first.winners, first.logical)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_the_time_of_a_run_is_shared(algorithm: Any, tmp_path: Path) -> None:
    counts = [len(k) for k in known(Lab(tmp_path, algorithm, prompts=3).run("run", "15s"))]
    assert sum(counts) == 15 and max(counts) - min(counts) <= 1, counts


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_the_ledger_has_only_what_was_answered(algorithm: Any, tmp_path: Path) -> None:
    outcome = Lab(tmp_path, algorithm).run("run", "9s")
    assert 0 < sum(len(k) for k in known(outcome)) <= 9
    for live, keys in zip(outcome.searches, known(outcome), strict=True):
        assert live.ledger.decodes == len(keys) and live.ledger.nfe == 6 * len(keys)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_more_time_goes_on(algorithm: Any, tmp_path: Path) -> None:
    lab = Lab(tmp_path, algorithm)
    short = lab.run("run", "8s")
    longer = lab.run("run", "20s")
    for before, after in zip(known(short), known(longer), strict=True):
        assert set(before) <= set(after), "nothing that was known is forgotten"
    # Twelve more seconds are twelve more answers; what was there is not computed again.
    assert len(set(longer.asked)) >= 12
    answered = sum(len(k) for k in known(longer)) - sum(len(k) for k in known(short))
    assert answered == 12
    values = [
        [live.problem.objective.value(live.record.outcomes()[0].winners[0][0])
         for live in outcome.searches]
        for outcome in (short, longer)
    ]  # fmt: skip
    assert all(b >= a for a, b in zip(*values, strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_condition_has_its_own_time(algorithm: Any, tmp_path: Path) -> None:
    lab = Lab(tmp_path, algorithm, prompts=3)
    first = lab.run("run", "7s/condition")
    assert [len(k) for k in known(first)] == [7, 7, 7]
    again = lab.run("run", "7s/condition")
    assert (again.winners, again.logical) == (first.winners, first.logical)
    assert known(again) == known(first) and again.counted == 0
    more = lab.run("run", "15s/condition")
    assert [len(k) for k in known(more)] == [15, 15, 15], "eight more seconds each"


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
@pytest.mark.parametrize("seconds", [1, 5, 12])
def test_a_stop_by_the_clock_resumes_to_the_whole(
    algorithm: Any, seconds: int, tmp_path: Path
) -> None:
    """`--seconds` beside a counted budget: the best so far, and the rest another time."""
    lab = Lab(tmp_path, algorithm)
    whole = lab.run("whole", "13candidates")
    cut = lab.run("run", "13candidates", seconds=seconds)
    assert all(live.record.outcomes()[0].winners for live in cut.searches)
    assert sum(len(k) for k in known(cut)) < sum(len(k) for k in known(whole))
    rest = lab.run("run", "13candidates")
    assert (rest.winners, rest.logical) == (whole.winners, whole.logical)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_killed_under_a_clock(algorithm: Any, tmp_path: Path) -> None:
    """What a process had spent before it was killed counts."""
    lab = Lab(tmp_path, algorithm)
    clock = Clock()

    class Dying(Ticking):
        def wait(self) -> Any:
            if self.given == 6:
                raise KeyboardInterrupt
            return super().wait()

    with pytest.raises(KeyboardInterrupt):
        parts = lab.bench.parts(budget="10s")
        lab.bench.run("run", parts, wrap=lambda e: Dying(e, clock), clock=clock)
    rest = lab.run("run", "10s")
    assert sum(len(k) for k in known(rest)) <= 10
    assert rest.winners == lab.run("run", "10s").winners


def test_a_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of day goes where it likes, the other clock on by leaps, and begins anywhere."""
    lab = Lab(tmp_path, ZeroOrder())
    whole = lab.run("whole", "13candidates")
    dice, plain = random.Random(0), time.monotonic

    class Leaping:
        def __init__(self) -> None:
            self.ahead = dice.uniform(0, 1e9)

        def __call__(self) -> float:
            self.ahead += dice.choice([0.0, 0.0, 3600.0])
            return plain() + self.ahead

    monkeypatch.setattr("time.time", lambda: dice.uniform(-1e9, 1e10))
    parts = lab.bench.parts(budget="13candidates")
    for killed in (True, True, False):
        clock = Leaping()
        monkeypatch.setattr("time.monotonic", clock)
        if killed:
            lab.bench.killed("run", 7, loaded=parts, clock=clock)
        else:
            rest = lab.bench.run("run", parts, clock=clock)
    assert (rest.winners, rest.logical) == (whole.winners, whole.logical)


def test_a_leap_beyond_the_budget_ends_a_search_well(tmp_path: Path) -> None:
    lab = Lab(tmp_path, RandomSearch())
    clock = Clock()

    class Leap(Ticking):
        def wait(self) -> Any:
            clock.now += 1e9 * (self.given == 5)
            return super().wait()

    parts = lab.bench.parts(budget="1000s")
    first = lab.bench.run("run", parts, wrap=lambda e: Leap(e, clock), clock=clock)
    assert all(live.record.outcomes()[0].winners for live in first.searches)
    again = lab.run("run", "1000s")
    assert again.asked == [] and (again.winners, again.logical) == (first.winners, first.logical)
