"""Objectives: an order for one decision, a value that is the same in every pool."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from noisesearch.candidates.ask import Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.errors import ConfigError
from noisesearch.objectives.single import (
    Constrained,
    MeanRank,
    Objective,
    Pareto,
    Weighted,
    best,
    mid_ranks,
    ranking,
)
from noisesearch.objectives.text import parse

SOME = Trajectory.begin(Condition(), gaussian(1), 2).denoise()
SCALES = {"a": 1.0, "b": 10.0, "c": 0.1}


def reply(**parts: float | None) -> Reply:
    """None is a missing part."""
    return Reply.of(SOME, {n: "gone" if v is None else v for n, v in parts.items()})


def pool(*rows: Mapping[str, float | None]) -> list[Reply]:
    return [reply(**r) for r in rows]


def test_mid_ranks() -> None:
    """By hand. Catches ranks from 0, and ties that are broken by their place in the pool."""
    assert mid_ranks(np.array([3.0, 1.0, 2.0])).tolist() == [3, 1, 2]
    assert mid_ranks(np.array([1.0, 5.0, 5.0, 0.0])).tolist() == [2, 3.5, 3.5, 1]
    assert mid_ranks(np.array([7.0] * 4)).tolist() == [2.5] * 4


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_mid_ranks_are_those_of_scipy(values: list[int]) -> None:
    """Catches a group of ties that gets its first or its last rank in place of their mean."""
    assert mid_ranks(np.array(values, float)).tolist() == rankdata(values).tolist()


def test_mean_rank_is_the_papers() -> None:
    """By hand: ranks a (1, 2, 3), b (2.5, 2.5, 1), c (1, 3, 2) are means 1.5, 2.5, 2.

    Catches a mean of the scores in place of their ranks, best first for worst first, and ties
    that are not shared.
    """
    objective = MeanRank(SCALES)
    replies = pool({"a": 0, "b": 5, "c": 1}, {"a": 1, "b": 5, "c": 3}, {"a": 2, "b": 4, "c": 2})
    # As shares of the pool: (rank − ½)/3, so that pools of other sizes are told apart.
    wanted = (np.array([1.5, 2.5, 2.0]) - 0.5) / 3
    assert np.allclose(objective.order(replies), wanted)
    assert best(objective, replies) == 1 and ranking(objective, replies) == [1, 2, 0]


def test_ties_keep_their_order() -> None:
    objective = MeanRank(SCALES)
    replies = pool(*[{"a": 1, "b": 1, "c": 1}] * 3)
    assert ranking(objective, replies) == [0, 1, 2] and best(objective, replies) == 0


@pytest.mark.parametrize("objective", [MeanRank(SCALES), Weighted({"a": 1.0, "b": 2.0, "c": 1.0})])
def test_missing_parts(objective: Objective) -> None:
    """Left out of the mean where at least half are there; else last."""
    one_gone, two_gone = reply(a=1, b=1, c=None), reply(a=9, b=None, c=None)
    whole, poor = reply(a=0, b=0, c=0), reply(a=-9, b=-9, c=-9)
    replies = [two_gone, poor, one_gone, whole]
    order = objective.order(replies)
    assert order[0] == -math.inf and np.isfinite(order[1:]).all()
    assert ranking(objective, replies) == [2, 3, 1, 0]
    assert objective.value(two_gone) == -math.inf and math.isfinite(objective.value(one_gone))


def test_exactly_half_is_enough() -> None:
    two = MeanRank({"a": 1.0, "b": 1.0})
    assert math.isfinite(two.value(reply(a=1, b=None)))
    assert two.order(pool({"a": 1, "b": None}, {"a": 0, "b": 0})).tolist() == [0.75, 0.375]
    assert two.value(reply(a=None, b=None)) == -math.inf


def test_all_failed_is_survived() -> None:
    for objective in (MeanRank(SCALES), Weighted({"a": 1.0})):
        replies = pool({"a": None, "b": None, "c": None}, {"a": math.nan, "b": None, "c": None})
        assert ranking(objective, replies) == [0, 1] and best(objective, replies) == 0


def test_values() -> None:
    assert MeanRank(SCALES).value(reply(a=2, b=20, c=0.3)) == pytest.approx((2 + 2 + 3) / 3)
    assert MeanRank(SCALES).value(reply(a=2, b=20, c=None)) == pytest.approx(2)
    assert Weighted({"a": 1.0, "b": 0.5}).value(reply(a=2, b=20)) == 12
    # What is there is scaled up to the whole weight, so candidates stay comparable.
    assert Weighted({"a": 1.0, "b": 3.0}).value(reply(a=2, b=None)) == 8


finite = st.floats(-100, 100)
rows = st.fixed_dictionaries({n: st.one_of(finite, st.none()) for n in SCALES})


@given(st.lists(rows, min_size=1, max_size=6))
def test_value_is_the_same_in_every_pool(found: list[dict[str, float | None]]) -> None:
    """And an order looks at nothing but the pool: it turns with it."""
    replies = pool(*found)
    for objective in (MeanRank(SCALES), Weighted({"a": 1.0, "c": 2.0})):
        alone = [objective.value(r) for r in pool(*found)]
        objective.order(replies)
        assert [objective.value(r) for r in replies] == alone
        turned = objective.order(replies[::-1])[::-1]
        assert np.array_equal(turned, objective.order(replies))


def test_a_part_is_there_or_missing() -> None:
    made = Reply.of(SOME, {"a": 1, "b": math.nan, "c": -math.inf, "d": "no text"})
    assert made.parts == {"a": 1.0}
    assert made.missing == {"b": "the verifier gave nan", "c": "the verifier gave -inf",
                            "d": "no text"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", MeanRank(SCALES)),
        ("mean-rank(a, b)", MeanRank({"a": 1.0, "b": 10.0})),
        ("mean-rank(a)", Weighted({"a": 1.0})),
        (" part( b ) ", Weighted({"b": 1.0})),
        ("weighted(a=1, c=-0.5)", Weighted({"a": 1.0, "c": -0.5})),
        ("weighted(a)", Weighted({"a": 1.0})),
    ],
)
def test_parse(text: str, wanted: Objective) -> None:
    assert parse(text, SCALES) == wanted


def test_a_single_part_is_its_own_order() -> None:
    assert parse("", {"a": 2.0}) == Weighted({"a": 1.0})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("best", "cannot be read"),
        ("part(a", "cannot be read"),
        ("part()", "cannot be read"),
        ("part(a, b)", "cannot be read"),
        ("part(a=2)", "cannot be read"),
        ("mean-rank(a=2, b)", "cannot be read"),
        ("mean-rank(a, a)", "twice"),
        ("weighted(a=1, a=2)", "twice"),
        ("median(a)", "cannot be read"),
        ("part(aa)", "did you mean 'a'"),
        ("weighted(a=x)", "not a number"),
        ("weighted(a=nan)", "finite"),
        ("weighted(a=inf)", "finite"),
        ("weighted(a=0, b=1)", "zero"),
    ],
)
def test_parse_errors(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        parse(text, SCALES)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lexicographic(a, b)", [3, 1, 2, 0]),
        ("lexicographic(a~2, b)", [2, 3, 1, 0]),  # 2, 3 and 3 are one: b decides
        ("constrain(b >= 4, then=a)", [3, 2, 1, 0]),
        ("constrain(b >= 4, b <= 5, then=a)", [3, 1, 0, 2]),  # 0 and 2 are both 4 away
        ("constrain(a >= 9, then=b)", [1, 3, 2, 0]),  # nobody: the nearest first
        ("constrain(a >= 2, then=weighted(a=-1, b=0.1))", [2, 3, 1, 0]),
        ("pareto(a, b)", [2, 3, 1, 0]),
    ],
)
def test_orders_by_hand(text: str, wanted: list[int]) -> None:
    replies = pool({"a": 0, "b": 0}, {"a": 3, "b": 3}, {"a": 2, "b": 9}, {"a": 3, "b": 5})
    assert ranking(parse(text, {"a": 1.0, "b": 3.0}), replies) == wanted


def test_a_bound_that_nobody_keeps_gives_the_nearest() -> None:
    objective = parse("constrain(a >= 9, b <= 1, then=c)", {"a": 2.0, "b": 1.0, "c": 1.0})
    assert isinstance(objective, Constrained)
    replies = pool({"a": 5, "b": 1, "c": 9}, {"a": 9, "b": 2, "c": 0}, {"a": 1, "b": 9, "c": 9})
    assert best(objective, replies) == 1  # one deviation away, the first is two
    assert [str(bound) for bound in objective.unmet(replies[1])] == ["b <= 1"]
    kept = reply(a=9, b=0, c=-99)
    assert objective.value(kept) == -99 > max(objective.value(r) for r in replies)
    assert not objective.unmet(kept)


def test_front_holds_all_that_nobody_beats() -> None:
    """Catches a front that drops ties, or keeps a candidate equal in one part and worse in one."""
    objective = parse("pareto(a, b)", {"a": 1.0, "b": 1.0})
    assert isinstance(objective, Pareto)
    replies = pool(
        {"a": 0, "b": 9}, {"a": 9, "b": 0}, {"a": 5, "b": 5}, {"a": 5, "b": 4}, {"a": 5, "b": 5},
        {"a": None, "b": 99}, {"a": 4, "b": 4},
    )  # fmt: skip
    assert objective.fronts(replies) == [0, 0, 0, 1, 0, -1, 2]
    assert objective.front(replies) == [2, 4, 0, 1]  # all equal but the sum decides
    order = objective.order(replies)
    assert order[5] == -math.inf and order[3] > order[6]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9))
def test_no_one_on_a_front_is_beaten(rows: list[tuple[int, int]]) -> None:
    objective = parse("pareto(a, b)", {"a": 1.0, "b": 1.0})
    assert isinstance(objective, Pareto)
    front = objective.front(pool(*({"a": a, "b": b} for a, b in rows)))
    for i, (a, b) in enumerate(rows):
        beaten = any((c >= a and d >= b) and (c, d) != (a, b) for c, d in rows)
        assert (i in front) == (not beaten)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("constrain(a >= 6)", "then="),
        ("constrain(then=a)", "at least one bound"),
        ("constrain(a > 6, then=b)", "no bound"),
        ("constrain(z >= 6, then=b)", "'z'"),
        ("constrain(a >= x, then=b)", "not a number"),
        ("constrain(a >= 6, then=median(b))", "cannot be read"),
        ("pareto(a)", "two parts"),
        ("lexicographic(a~-1, b)", "negative"),
        ("weighted(a=1, b=-1)", "sum to nothing"),
        ("weighted()", "names no part"),
    ],
)
def test_forms_that_are_refused(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        parse(text, SCALES)


@pytest.mark.parametrize("text", ["", "part(a)"])
def test_without_a_part(text: str) -> None:
    """As of a run folder that somebody changed."""
    with pytest.raises(ConfigError, match="no part of a verifier"):
        parse(text, {})
