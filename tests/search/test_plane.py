"""The plane, the trace, and the ten lines of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import noisesearch as ns
from noisesearch.testing import mixture

ALGORITHMS = [
    ns.RandomSearch(), ns.ZeroOrder(), ns.SearchOverPaths(), ns.FirstOrder(step=0.3),
    ns.FirstOrder(step=0.3, starts=3),
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_every_algorithm_runs_in_the_plane(algorithm: Any, tmp_path: Path) -> None:
    plane = mixture()
    winners = plane.run(algorithm)
    assert winners and all(w.finished for w in winners)
    assert 0 < plane.problem.run.ledger.counted <= 240
    plane.picture(winners[:3], tmp_path / "plane.png")
    with Image.open(tmp_path / "plane.png") as picture:
        assert picture.size == (960, 480)


def test_trace_says_what_was_asked_paid_and_told() -> None:
    lines: list[str] = []
    plane = mixture(budget=100)
    winners = ns.trace(ns.ZeroOrder(neighbours=3), plane, lines.append)
    assert lines[0] == "yield 0: 4 asks, 32 NFE, 68 NFE left"
    assert (
        "role=pivot round=0" in lines[1]
        and f"near={plane.replies[0].parts['near']:.4f}" in (lines[1])
    )
    asked = [line for line in lines if line.startswith("  ")]
    assert sum(int(line.split()[0]) for line in asked) == plane.problem.run.ledger.nfe
    assert lines[-1].startswith("winner") and winners[0].key[:12] in "".join(lines)


def test_a_search_that_the_budget_cuts_still_has_a_winner() -> None:
    def greedy(problem: Any) -> Any:
        replies = yield [ns.score(problem.sample(problem.noise(i))) for i in range(99)]
        raise AssertionError(f"cut, so never told {replies}")

    plane = mixture(budget=50)
    (winner,) = plane.run(greedy)
    best = max(plane.replies, key=lambda r: r.parts["near"])
    assert len(plane.replies) == 6 and winner == best.trajectory
