"""Fault schedules on a simulated cluster: the same winners and the same ledger, whatever falls."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from storms import Weathered

from noisesearch import FirstOrder, RandomSearch, ZeroOrder
from noisesearch.algorithms.paths import SearchOverPaths
from noisesearch.files.journal import Journal
from noisesearch.testing import Bench
from noisesearch.testing.bench import without_seconds
from noisesearch.testing.faults import repeated

ALGORITHMS = (RandomSearch(), ZeroOrder(), SearchOverPaths(), FirstOrder())
PROMPTS = ["one", "two", "three", "four"]
SMALL, LARGE = 75, 500  # candidates of each prompt


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Every loss is told in the log; there are thousands."""
    caplog.set_level(logging.ERROR)


def came_to(run: Weathered) -> Any:
    """Winners as they are, and the ledgers but for what a clock measured."""
    return [
        ([(w.trajectory.key, w.parts) for w, _ in outcome.winners], without_seconds(of.json()))
        for live in run.searches
        for outcome, (of, _) in zip(live.record.outcomes(), live.record.ledgers(), strict=True)
    ]


def schedules(folder: Path, seeds: Iterable[int], each: int) -> Counter[str]:
    """Runs under the faults of each seed, compared with one that has none; what they met."""
    parts: dict[tuple[str, int], Any] = {}
    calm: dict[tuple[str, int], Any] = {}
    met: Counter[str] = Counter()
    for seed in seeds:
        algorithm = ALGORITHMS[seed % len(ALGORITHMS)]
        of = algorithm.name, LARGE if seed % each == 0 else SMALL
        if of not in parts:
            bench = Bench(folder, algorithm, prompts=PROMPTS)
            parts[of] = bench.parts(budget=f"{of[1]}candidates")
            calm[of] = came_to(Weathered(folder / f"calm {of}", parts[of], -1, 0))
        run = Weathered(folder / str(seed), parts[of], seed, kills=seed % 4)
        assert came_to(run) == calm[of], (seed, run.met)
        journal = run.folder / "journal.jsonl"
        assert repeated(journal) == 0, seed
        assert len(list(Journal(journal, write=False).read())) > of[1]
        met += run.met
    return met


def test_a_few_schedules(tmp_path: Path) -> None:
    met = schedules(tmp_path, range(1, 25), 1000)
    for what in ("a worker killed", "a node killed", "a straggler", "a broken report",
                 "the driver killed"):  # fmt: skip
        assert met[what] > 0, "the seeds have some of everything"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 1000, 50))
def test_a_thousand_schedules(first: int, tmp_path: Path) -> None:
    """One in ten is of 2,000 candidates."""
    assert schedules(tmp_path, range(first, first + 50), 10).total() > 50
