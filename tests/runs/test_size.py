"""What a run of very many candidates holds in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from noisesearch import RandomSearch, ZeroOrder
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.runs.results import results_of
from noisesearch.testing import Bench
from noisesearch.testing.bench import MadeUp

BYTES = 2600  # of a candidate at most, as docs/memory.md has it
FEW = 250


def number(_: Trajectory, i: int) -> Mapping[str, float]:
    return {"brightness": 0.3 + (i * 0.618034) % 1, "evenness": 0.7 - (i * 0.7548777) % 1}


def peak(bench: Bench, count: int) -> int:
    """Bytes that a run of so many candidates held at most, with its results at the end."""
    parts = bench.parts(budget=f"{count}candidates")
    gc.collect()
    tracemalloc.start()
    try:
        outcome = bench.run(str(count), parts, wrap=lambda _: MadeUp(number))
        results: list[Any] = []
        for live in outcome.searches:
            results += results_of(live, bench.folder, 0.0, lambda c: {}, lambda c: {})
        assert len(results[0].candidates) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("algorithm", [RandomSearch(), ZeroOrder()], ids=lambda a: a.name)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_candidate_costs_little_memory(algorithm: Any, tmp_path: Path) -> None:
    """Recipe, scores and places in the books; made, and read again from the journal.

    Four times as many against so many: what a run holds whatever its size falls out, and tables
    that grow by twos and fours are equally full.
    """
    bench = Bench(tmp_path, algorithm, prompts=["one"])
    peak(bench, 1)  # whatever is imported on the way
    for _ in ("made", "read again"):
        few, many = (peak(bench, count) for count in (FEW, 4 * FEW))
        assert (many - few) / (3 * FEW) < BYTES
