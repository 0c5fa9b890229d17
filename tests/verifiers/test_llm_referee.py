"""Candidates compared two by two: larger is better, in a round and over the rounds of a search."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llm_grading import graded, number, numbered

from noisesearch.candidates.condition import Condition
from noisesearch.verifiers.llm.ratings import PRIOR, bradley_terry, knock_out
from noisesearch.verifiers.slow_verifier import SlowReply
from support.grader_server import GraderServer

pytest.importorskip("httpx")

MODES = ("pairs", "tournament")


def ratings(verdicts: Sequence[SlowReply]) -> list[Any]:
    return [verdict.parts["llm-grader"] for verdict in verdicts]


@pytest.mark.parametrize("mode", MODES)
def test_numbers_hold_over_rounds(mode: str) -> None:
    """Whoever is better than all before it has a larger number than all before it, and nobody
    else has one; so the search ends with the best."""
    draw = np.random.default_rng(0)
    with GraderServer(number) as server:
        for sizes in ((4, 4, 4), (1, 1, 1, 1, 1, 1), (1, 2, 5, 3)):
            referee = graded(server, mode=mode)
            marks = draw.permutation(100)[: sum(sizes)] * 10
            best, highest, at = -1, -np.inf, 0
            for size in sizes:
                some = marks[at : at + size]
                at += size
                told = ratings(referee.look([numbered(int(i)) for i in some]))
                first = int(np.argmax(told))
                if some.max() > best:
                    assert first == some.argmax() and told[first] > highest
                    best, highest = some.max(), told[first]
                else:
                    assert max(told) < highest
            referee.close()


def test_pairs_put_a_round_in_order() -> None:
    with GraderServer(number) as server:
        referee = graded(server, mode="pairs", per_call=3)
        verdicts = referee.look([numbered(i) for i in (300, 900, 100, 500)])
        referee.close()
    assert list(np.argsort(ratings(verdicts))) == [2, 0, 3, 1]
    assert sum(ratings(verdicts)) == pytest.approx(0)
    assert sum(v.spent.get("calls", 0) for v in verdicts) == server.calls == 4, "12 by threes"


@pytest.mark.parametrize("mode", MODES)
def test_who_is_shown_first_has_no_advantage(mode: str) -> None:
    """A grader that always takes the first picture finds all equal."""
    turns = itertools.cycle([100.0, 0.0])
    with GraderServer(lambda *_: next(turns)) as server:
        referee = graded(server, mode=mode, lanes=1)
        for candidates in ((1, 2), (3,)):
            told = ratings(referee.look([numbered(i) for i in candidates]))
            if mode == "pairs" or candidates == (3,):
                assert told == pytest.approx([0.0] * len(candidates), abs=1e-9)
        referee.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_resumed_run_goes_on_from_its_incumbent(mode: str, tmp_path: Path) -> None:
    with GraderServer(number) as server:
        before = graded(server, mode=mode)
        before.begin(tmp_path, {})
        first = ratings(before.look([numbered(i) for i in (200, 600)]))
        before.close()
        after = graded(server, mode=mode)
        after.begin(tmp_path, {"calls": 2})
        again = ratings(after.look([numbered(i) for i in (600, 400, 900)]))
        after.close()
        other = ratings(after.look([numbered(1, Condition(text="a dog"))]))
        after.close()
    assert again[0] == max(first), "the incumbent itself"
    assert again[1] < again[0] < again[2]
    assert other == [0.0], "another search begins at nought"


@pytest.mark.parametrize("mode", MODES)
def test_comparisons_that_fail_are_missing(mode: str, tmp_path: Path) -> None:
    with GraderServer(number, faults=1.0, kinds=["nan"]) as server:
        referee = graded(server, mode=mode, retries=0)
        referee.begin(tmp_path, {})
        verdicts = referee.look([numbered(1), numbered(2)])
        server.faults = 0.0
        told = ratings(referee.look([numbered(500), numbered(300)]))
        server.faults = 1.0
        (later,) = ratings(referee.look([numbered(900)]))
        referee.close()
    assert all("'first', 'second' or 'neither'" in str(reason) for reason in ratings(verdicts))
    assert sum(v.spent["failures"] for v in verdicts if v.spent) == 2
    assert told[0] > told[1], "nothing was kept of the round that failed"
    assert isinstance(later, str)


def test_under_faults_no_number_is_another_candidates() -> None:
    """With four tries of each comparison the best is found in nearly every round."""
    draw, right = np.random.default_rng(1), 0
    with GraderServer(number, faults=0.3, kinds=["500", "truncated", "short", "foreign"],
                      seed=2) as server:  # fmt: skip
        for i in range(20):
            referee = graded(server, mode="pairs", retries=3)
            marks = draw.permutation(100)[:4] * 10
            condition = Condition(text=f"picture {i}")
            told = ratings(referee.look([numbered(int(m), condition) for m in marks]))
            referee.close()
            there = [(rating, mark) for rating, mark in zip(told, marks, strict=True)
                     if not isinstance(rating, str)]  # fmt: skip
            right += max(there)[1] == max(mark for _, mark in there)
    assert right == 20


def test_a_class_without_words_cannot_be_compared() -> None:
    with GraderServer() as server:
        referee = graded(server, mode="pairs")
        looks = [numbered(i, Condition(label=3)) for i in (1, 2)]
        assert all("no words" in str(told) for told in ratings(referee.look(looks)))


def test_the_same_picture_is_one_player() -> None:
    with GraderServer(number) as server:
        referee = graded(server, mode="pairs")
        told = ratings(referee.look([numbered(1), numbered(500), numbered(1)]))
        referee.close()
    assert told[0] == told[2] < told[1] and server.calls == 2


def test_ratings_are_the_likeliest() -> None:
    """The slope of the posterior is nought at them."""
    draw = np.random.default_rng(4)
    games = [(i, j, float(draw.choice([0, 0.5, 1]))) for i in range(6) for j in range(i)]
    found = bradley_terry(games, 6)
    slope = -found / PRIOR**2
    for i, j, share in games:
        chance = 1 / (1 + np.exp(found[j] - found[i]))
        slope[i] += share - chance
        slope[j] -= share - chance
    assert np.abs(slope).max() < 1e-9 and found.std() > 0.1


def test_who_wins_all_games_is_not_infinitely_good() -> None:
    found = bradley_terry([(i, j, 1.0) for i in range(30) for j in range(i + 1, 30)], 30)
    assert np.isfinite(found).all() and (np.diff(found) < 0).all()
    assert bradley_terry([], 1).tolist() == [0.0]


def test_a_knock_out() -> None:
    """Five players: the fifth rests until the final; a draw goes to the first."""
    shares = {(0, 1): 0.5, (2, 3): 0.0, (0, 3): 0.25, (3, 4): 1.0}
    champion, short = knock_out(range(5), lambda pairs: [shares[p] for p in pairs])
    assert champion == 3 and short == {1: 3, 2: 3, 0: 2, 4: 1}


def test_a_knock_out_goes_on_without_those_who_could_not_be_compared() -> None:
    shares = {(0, 1): None, (2, 3): 1.0}
    champion, short = knock_out(range(4), lambda pairs: [shares[p] for p in pairs])
    assert champion == 2 and short == {3: 1}
    assert knock_out(range(2), lambda pairs: [None]) == (None, {})
    assert knock_out([], lambda pairs: []) == (None, {})
