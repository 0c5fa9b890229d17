"""A finished run with a larger budget, and algorithms that cannot tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch import ConfigError, RandomSearch, ZeroOrder
from noisesearch.testing import Bench, MixtureModel
from noisesearch.testing.bench import without_seconds

ALGORITHMS = [
    RandomSearch(),
    ZeroOrder(),
    ZeroOrder(neighbours=3),
    ZeroOrder(pivot="move"),
    ZeroOrder(pivot="restart", neighbours=2),
]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=repr)
@pytest.mark.parametrize("final", [6, 9])
def test_only_the_new_part_is_computed(algorithm: Any, final: int, tmp_path: Path) -> None:
    bench = Bench(tmp_path, algorithm, settings={"final_steps": final})
    # 7 candidates end in the middle of a round.
    small, large = (str(6 * n + (final if final != 6 else 0)) for n in (7, 18))
    before = bench.run("run", bench.parts(budget=small))
    fresh = bench.run("fresh", bench.parts(budget=large))
    extended = bench.run("run", bench.parts(budget=large))
    assert (extended.winners, extended.logical) == (fresh.winners, fresh.logical)
    assert extended.parts == fresh.parts
    assert not set(extended.asked) & set(before.asked)
    assert set(extended.asked) == set(fresh.asked) - set(before.asked)
    searched = {r.trajectory.key for live in extended.searches for r in live.record.replies}
    assert {r.trajectory.key for live in before.searches for r in live.record.replies} <= searched


def settings(folder: Path, algorithm: Any, budget: str) -> dict[str, Any]:
    return {"model": MixtureModel(), "algorithm": algorithm, "budget": budget, "out": folder,
            "rows": 4}  # fmt: skip


def test_by_the_folder(tmp_path: Path) -> None:
    small = ns.search(["x", "y"], **settings(tmp_path / "run", "zero-order", "9candidates"))
    fresh = ns.search(["x", "y"], **settings(tmp_path / "fresh", "zero-order", "17candidates"))
    more = ns.resume(tmp_path / "run", budget="17candidates", model=MixtureModel())
    for old, new, whole in zip(small, more, fresh, strict=True):
        assert new.winner.trajectory == whole.winner.trajectory
        assert without_seconds(new.ledger)["nfe"] == whole.ledger["nfe"] == 17 * 6
        assert new.winner.score >= old.winner.score
        assert len(new.candidates) == 17
        assert new.ledger["physical"]["nfe"] == whole.ledger["physical"]["nfe"]
    assert json.loads((tmp_path / "run" / "spec.json").read_text())["budget"] == (
        "17candidates/condition"
    )
    with pytest.raises(ConfigError, match="below the 17candidates"):
        ns.resume(tmp_path / "run", budget="9candidates", model=MixtureModel())
    again = ns.resume(tmp_path / "run", model=MixtureModel())
    assert [r.winner for r in again] == [r.winner for r in more]


def planned(problem: ns.Problem) -> Any:
    """A plain generator function that divides its budget, so another budget asks otherwise."""
    count = int(problem.budget // problem.price(problem.sample(problem.noise(0))))
    seeds = [problem.seed("of", count, i) for i in range(count - 1)]
    first = yield [ns.score(problem.sample(problem.noise(0)))]
    rest = yield [ns.score(problem.sample(ns.gaussian(s))) for s in seeds]
    replies = [*first, *rest]
    order = problem.objective.order(replies)
    return [replies[i].trajectory for i in sorted(range(len(replies)), key=lambda i: -order[i])]


def test_a_plain_function_asks_for_yes(tmp_path: Path) -> None:
    ns.search("x", **settings(tmp_path / "run", planned, "5candidates"))
    journal = (tmp_path / "run" / "journal.jsonl").read_bytes()
    given = {"model": MixtureModel(), "algorithm": planned}
    with pytest.raises(
        ConfigError, match=r"'planned' asks differently.* 1 of its first 10 .*--yes"
    ):
        ns.resume(tmp_path / "run", budget="10candidates", **given)
    assert json.loads((tmp_path / "run" / "spec.json").read_text())["budget"].startswith("5cand")
    assert (tmp_path / "run" / "journal.jsonl").read_bytes().startswith(journal)
    (more,) = ns.resume(tmp_path / "run", budget="10candidates", yes=True, **given)
    fresh = ns.search("x", **settings(tmp_path / "fresh", planned, "10candidates"))
    assert more.winner.trajectory == fresh.winner.trajectory
    assert more.ledger["nfe"] == fresh.ledger["nfe"] == 60


def test_a_plan_is_kept_only_where_it_is_soon_made(tmp_path: Path) -> None:
    """Catches a rehearsal of a million evaluations before a run that the clock ends."""
    ns.search("a red circle", budget="4candidates", steps=2, out=tmp_path / "small")
    assert (tmp_path / "small" / "plan.json").exists()
    ns.search("a red circle", budget=10**6, steps=2, seconds=0.01, out=tmp_path / "large")
    assert not (tmp_path / "large" / "plan.json").exists()
