"""Per-step search and its presets: who goes on, what it costs, where it goes back to."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.algorithms.step_search import (
    Backtracking,
    Beam,
    EpsilonGreedy,
    Rollover,
    StepSearch,
)
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.trajectory import Denoise, Trajectory
from noisesearch.objectives.single import Weighted
from noisesearch.setup.request import Request
from noisesearch.setup.selection import algorithm_of
from noisesearch.testing import MixtureModel
from noisesearch.testing.plane import drive

STEPS = 6
Number = Callable[[Trajectory, int], float]


def a_problem(limit: float = math.inf, steps: int = STEPS, stages: int = 1) -> Problem:
    space = replace(MixtureModel().space(), stochastic=True)
    return Problem(Condition(), space, Weighted({"x": 1.0}), steps,
                   RunFacts("step", 0, Ledger(Rates(stages)), limit))  # fmt: skip


def searched(
    algorithm: StepSearch, problem: Problem, number: Number
) -> tuple[list[list[Trajectory]], list[Trajectory]]:
    """(yields, winners), where each ask is answered by ``number(trajectory, index of the ask)``.

    Nothing that is asked may exceed the budget: the driver would cut it off.
    """
    yields: list[list[Trajectory]] = []
    index = itertools.count()

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        yields.append([ask.trajectory for ask in asks])
        assert problem.budget >= 0
        return [Reply.of(t, {"x": float(number(t, next(index)))}) for t in yields[-1]]

    def told(turn: int, fit: list[Ask], prices: list[float], replies: list[Reply]) -> None:
        whole.append(len(fit))

    whole: list[int] = []
    winners = drive(algorithm, problem, answer, told)
    assert winners, "something was found"
    return yields, winners


def chance(seed: int) -> Number:
    source = random.Random(seed)
    return lambda trajectory, index: source.gauss(0, 1)


def levels(yields: Sequence[Sequence[Trajectory]]) -> list[int]:
    return [asks[0].level for asks in yields]


def test_one_way_is_plain_sampling() -> None:
    """Beam search of one state and one way is the baseline, at the price of one candidate.

    Catches legs with other seeds than the sample's, and a look that is paid for by itself.
    """
    problem = a_problem(STEPS)
    yields, winners = searched(Beam(keep=1, candidates=1), problem, chance(0))
    assert winners == [problem.sample(problem.noise(0))]
    assert problem.run.ledger.nfe == STEPS
    assert levels(yields) == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("algorithm", ["epsilon-greedy", "beam", "rollover", "backtracking"])
def test_no_two_candidates_are_the_same_picture(algorithm: str, tmp_path: Path) -> None:
    """The last step injects nothing, so ways that part there end in one picture. Catches looks at
    the same picture again and again, and several best ones that are one."""
    result = ns.search(
        ["one"], model=MixtureModel(), algorithm=algorithm, budget="24candidates", keep="all",
        out=tmp_path / "run",
    )[0]  # fmt: skip
    pictures = {np.asarray(candidate.image).tobytes() for candidate in result.candidates}
    assert len(pictures) == len(result.candidates) > 0


def test_a_way_that_ends_above_clean_data_parts_to_the_last() -> None:
    """On a schedule whose last level is not clean the last step injects noise as the others do."""
    space = replace(a_problem().space, times=lambda grid: [1.0, 0.1])
    problem = replace(a_problem(limit=1, steps=1), space=space)
    yields, winners = searched(Beam(keep=1, candidates=8), problem, lambda t, i: float(i == 5))
    assert [len(asks) for asks in yields] == [1, 8]
    assert len(set(yields[1])) == 8 and winners[0] == yields[1][4]
    assert {t.noise for t in yields[1]} == {problem.noise(0)}
    assert problem.run.ledger.nfe == 1


def test_the_best_of_all_states_go_on() -> None:
    """Both of the best come from the second state. Catches a best way for each state, and states
    taken for their ways' parents by the wrong index."""
    problem = a_problem(2 + 2 * 3 * (STEPS - 1))
    yields, _ = searched(
        Beam(keep=2, candidates=3), problem, lambda t, i: {3: 5.0, 5: 4.0}.get(i, -i)
    )
    first, second = yields[1], yields[2]
    assert [t.noise for t in first] == [problem.noise(0), problem.noise(1)] * 3
    going = [first[1], first[3]]  # asks 3 and 5, after the two starts
    assert {t.noise for t in second} == {problem.noise(1)}
    parents = [state for t in second for state in going if passes(t, state)]
    assert sorted(parents.count(state) for state in going) == [3, 3]


def passes(trajectory: Trajectory, state: Trajectory) -> bool:
    """True where a trajectory comes from a state one stop above."""
    return state in trajectory.lineage() or (
        trajectory.prefix == state.prefix and trajectory.edge == state.edge
    )


SHAPES = [
    Beam(), Beam(keep=1), Beam(keep=3, every=2), Beam(keep=2, starts=5, candidates=2),
    EpsilonGreedy(), EpsilonGreedy(together=2, every=4), EpsilonGreedy(keep=2),
    Rollover(), Rollover(together=1), Rollover(candidates=3, every=4), Rollover(keep=2, starts=7),
    Beam(first=0.4), Backtracking(), Backtracking(first=0, candidates=1, back=2),
    Backtracking(threshold=0.5),
    Backtracking(keep=2, every=2, back=2), Backtracking(advance="on-improvement"),
]  # fmt: skip


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("algorithm", SHAPES, ids=repr)
def test_no_budget_is_exceeded_and_none_is_left(algorithm: StepSearch, stages: int) -> None:
    """Whatever the replies are: all that is asked fits, and what is left would make no descent.

    Catches a rollover that spends what it carried twice, a way back that leaves too little to
    come to the end, prices that miss a look, and an allowance that is lost where a step ended
    early.
    """
    for seed, limit in itertools.product(range(4), (31, 64, 150)):
        problem = a_problem(limit, stages=stages)
        if algorithm._price(problem, algorithm.candidates or 1) > limit:
            continue
        _, winners = searched(algorithm, problem, chance(seed))
        assert all(winner.finished for winner in winners)
        assert problem.run.ledger.nfe <= limit
        if algorithm.threshold is None:
            assert problem.budget < algorithm._price(problem, algorithm.candidates or 1)


def test_a_descent_costs_what_its_price_says() -> None:
    """Catches a first evaluation that each way pays anew, and a look at a sample."""
    for keep, width, starts, every, stages in itertools.product(
        (1, 3), (1, 4), (None, 5), (1, 4), (1, 2)
    ):
        algorithm = Beam(keep=keep, candidates=width, starts=starts, every=every)
        limit = algorithm._price(a_problem(stages=stages), width)
        problem = a_problem(limit, stages=stages)
        searched(algorithm, problem, chance(1))
        unmade = keep * (width - 1) if every == 1 else 0  # ways over the last step
        assert problem.run.ledger.nfe == limit - unmade * (stages - 1)


def test_what_a_step_leaves_the_next_has_besides() -> None:
    """Steps that end at once leave their ways; a step without an improvement uses them all.

    Catches an allowance that is reset at each step, and a bar that stays where the best before
    was, so that a step after a worse one never ends early.
    """
    problem = a_problem(2 + 6 * (STEPS - 1))
    # Better than before at the stops 1, 2, 5 and 6, worse at 3 and 4, but 5 is below 2.
    heights = [0.0, 1.0, 2.0, -5.0, -9.0, -1.0, 3.0]
    algorithm = Rollover(candidates=6, together=2, starts=1)
    yields, _ = searched(algorithm, problem, lambda t, i: heights[t.level])
    counts = [sum(len(y) for y in yields if y[0].level == level) for level in range(STEPS + 1)]
    # 6 − 2 are left, then 10 − 2; the third has 6 + 8, the fourth its own 6; the last has no
    # second way.
    assert counts == [1, 2, 2, 14, 6, 2, 1]


def test_the_best_sample_wins_whenever_it_was_seen() -> None:
    """Catches the last prediction returned in place of the best sample, as published."""
    problem = a_problem(200)
    samples: list[Trajectory] = []

    def number(trajectory: Trajectory, index: int) -> float:
        samples.extend([trajectory] if trajectory.finished else [])
        return 100.0 if samples[:1] == [trajectory] else random.Random(index).random()

    _, winners = searched(Rollover(candidates=4), problem, number)
    assert winners[0] == samples[0] and len(samples) > 4


def test_the_pivot_stays_among_those_compared() -> None:
    """The first way is the best, and all its neighbours are worse: the search goes on from it.

    Catches a pivot that the best of the neighbours replaces though it is worse, as published.
    """
    problem = a_problem(1 + 12 * (STEPS - 1))
    algorithm = EpsilonGreedy(candidates=12, epsilon=0.0)
    yields, winners = searched(algorithm, problem, lambda t, i: float(not_turned(t)))
    assert [len(y) for y in yields[1:4]] == [4, 4, 4]
    assert winners[0] == problem.sample(problem.noise(0))


def not_turned(trajectory: Trajectory) -> bool:
    """True of the way that a noise is on by itself."""
    return len(trajectory.moves) <= 1 and not any(
        move.turns for move in trajectory.moves if isinstance(move, Denoise)
    )


def last(trajectory: Trajectory) -> Denoise:
    move = trajectory.move
    assert isinstance(move, Denoise)
    return move


def test_neighbours_are_of_the_best_so_far() -> None:
    """Later is better: each round turns the last of the round before once more.

    Catches neighbours of the first way, or of another state's.
    """
    problem = a_problem(1 + 8 * (STEPS - 1))
    algorithm = EpsilonGreedy(candidates=8, epsilon=0.0, cosine=0.9, together=2)
    yields, _ = searched(algorithm, problem, lambda t, i: i)
    rounds = [y for y in yields if y[0].level == 1]
    assert [len(last(t).turns) for y in rounds for t in y] == [0, 0, 1, 1, 2, 2, 3, 3]
    for before, after in itertools.pairwise(rounds):
        pivot = last(before[-1])
        for way in after:
            assert last(way).seed == pivot.seed and last(way).turns[:-1] == pivot.turns
            assert last(way).turns[-1][1] == 0.9
    turns = [last(t).turns[-1] for y in rounds[1:] for t in y]
    assert len(set(turns)) == len(turns), "each is turned otherwise"


@pytest.mark.parametrize("epsilon", [0.0, 0.4, 1.0])
def test_the_share_of_fresh_ways(epsilon: float) -> None:
    """ε of all ways after the first round, within four standard errors of so many coins."""
    problem = a_problem(1 + 104 * (STEPS - 1))
    algorithm = EpsilonGreedy(candidates=104, epsilon=epsilon)
    yields, _ = searched(algorithm, problem, chance(3))
    ways = [t for y in yields for t in y if t.level > 0]
    later = [t for level in range(1, STEPS) for t in
             [t for t in ways if t.level == level][4:]]  # fmt: skip
    assert len(later) == 500
    share = sum(not last(t).turns for t in later) / 500
    assert abs(share - epsilon) <= 4 * math.sqrt(epsilon * (1 - epsilon) / 500)


def test_what_is_below_the_threshold_goes_back() -> None:
    """The first look at stop 3 is bad: the search takes another way from two stops above, and
    ends with the first sample that is good enough.

    Catches a way back that goes on from the bad state, one that repeats the way it came, and a
    search that goes on when it is done.
    """
    problem = a_problem(1000)
    seen: list[int] = []

    def number(trajectory: Trajectory, index: int) -> float:
        seen.append(trajectory.level)
        return 0.0 if trajectory.level == 3 and seen.count(3) == 1 else 1.0

    algorithm = Backtracking(first=0, candidates=1, back=2, threshold=0.5)
    yields, winners = searched(algorithm, problem, number)
    assert levels(yields) == [0, 1, 2, 3, 2, 3, 4, 5, 6]
    assert passes(yields[4][0], yields[1][0]) and yields[4] != yields[2]
    assert len(winners) == 1 and problem.run.ledger.nfe < 2 * STEPS


def test_a_way_back_past_the_start_begins_anew() -> None:
    """Catches a descent that never gets away from a bad first noise."""
    problem = a_problem(1000)
    algorithm = Backtracking(first=0, candidates=1, back=3, threshold=0.5)
    first = problem.noise(0)
    yields, winners = searched(
        algorithm, problem, lambda t, i: 0.0 if t.noise == first and t.level else 1.0
    )
    assert levels(yields)[:4] == [0, 1, 0, 1]
    assert winners[0].noise == problem.noise(1)


def test_without_money_to_go_back_it_goes_on_from_the_best_there_was() -> None:
    """From stop 3 on everything is below the threshold, and the earlier the less so: each stop is
    left from the first state that it had.

    Catches a search that ends with what was seen last, or with nothing.
    """
    problem = a_problem(24)
    algorithm = Backtracking(first=0, candidates=1, back=2, threshold=100.0)
    yields, winners = searched(
        algorithm, problem, lambda t, i: 200.0 if t.level < 3 else -float(i)
    )
    assert 20 < problem.run.ledger.nfe <= 24 and winners
    at = [[t for y in yields for t in y if t.level == level] for level in range(STEPS + 1)]
    assert len(at[3]) > 3, "it went back"
    for above, below in itertools.pairwise(at[3:]):
        assert passes(below[-1], above[0])


def test_without_a_threshold_it_goes_on_from_the_best_path() -> None:
    """From each sample two stops back along the path to the best, giving up what is worse.

    The first sample is the best, so all later ways come from its own state at stop 4; what shows
    less at stop 5 than it did is given up there, two stops above, at stop 3.
    """
    problem = a_problem(12)
    algorithm = Backtracking(first=0, candidates=1, back=2)
    yields, winners = searched(algorithm, problem, lambda t, i: -float(i))
    assert levels(yields)[:9] == [0, 1, 2, 3, 4, 5, 6, 5, 4]
    assert passes(yields[7][0], yields[4][0])
    assert passes(yields[8][0], yields[3][0])
    assert winners[0] == problem.sample(problem.noise(0))


def test_descents_begin_at_noises_of_their_own() -> None:
    problem = a_problem(3 * (2 + 2 * (STEPS - 1)))
    yields, winners = searched(Beam(keep=2, candidates=1), problem, chance(4))
    starts = [t for y in yields for t in y if t.level == 0]
    assert [t.noise for t in starts] == [problem.noise(i) for i in range(6)]
    assert len(set(winners)) == 6


def test_failed_looks_are_survived() -> None:
    """Scores missing everywhere but in one sample. Catches a bar of −∞ that nothing is above and
    a maximum of nothing."""
    for preset in (Beam, EpsilonGreedy, Rollover, Backtracking):
        algorithm, problem = preset(candidates=2), a_problem(120)
        ends: list[Trajectory] = []

        def number(trajectory: Trajectory, index: int, ends: list[Trajectory] = ends) -> float:
            ends.extend([trajectory] if trajectory.finished else [])
            return 1.0 if len(ends) == 3 and ends[2] == trajectory else math.nan

        _, winners = searched(algorithm, problem, number)
        assert winners[0] == ends[2]


@pytest.mark.parametrize("name", ["beam", "epsilon-greedy", "rollover", "backtracking"])
@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"keep": 0}, "keep.*got 0"),
        ({"candidates": 0}, "candidates.*got 0"),
        ({"starts": 0}, "starts.*got 0"),
        ({"together": 0}, "together.*got 0"),
        ({"every": 0}, "every.*got 0"),
        ({"back": 1}, "back.*got 1"),
        ({"epsilon": 1.5}, "epsilon.*got 1.5"),
        ({"cosine": 1.0}, "cosine.*got 1.0"),
        ({"advance": "never"}, "advance.*'never'"),
    ],
)
def test_searches_that_cannot_be(name: str, settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ns.ConfigError, match=what):
        algorithm_of(name, settings)


@pytest.mark.parametrize(
    ("algorithm", "exact"),
    [(Beam(), True), (EpsilonGreedy(), True), (Rollover(), False), (Backtracking(), False)],
    ids=lambda v: getattr(v, "name", v),
)
def test_only_what_scores_do_not_change_is_planned_exactly(
    algorithm: StepSearch, exact: bool
) -> None:
    """Catches a plan that calls itself exact because four made-up searches cost the same."""
    request = Request(["one"], model=MixtureModel(), algorithm=algorithm, budget="6candidates")
    assert request.resolve().searches.plan().exact == exact


def test_a_budget_too_small_for_the_states() -> None:
    with pytest.raises(ns.ConfigError, match=r"beam with keep=4.*needs at least 24"):
        searched(Beam(), a_problem(23), chance(0))
