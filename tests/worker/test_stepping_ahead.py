"""A step whose evaluation is there needs no network, and takes no row of a batch."""

from __future__ import annotations

from pathlib import Path

from noisesearch.algorithms.step_search import Beam
from noisesearch.candidates.executor import Executor
from noisesearch.testing import Bench
from noisesearch.testing.bench import Released
from noisesearch.worker.engine import Worker


def test_rows_are_for_evaluations(tmp_path: Path) -> None:
    """It would catch a way on that takes a slot twice: to leave its beginning, and to be seen."""
    bench = Bench(tmp_path, Beam(keep=2, candidates=4), settings={"budget": "12candidates"})
    kept: list[Worker] = []

    def seen(executor: Executor) -> Executor:
        assert isinstance(executor, Worker)
        kept.append(executor)
        return Released(executor)

    outcome = bench.run("beam", wrap=seen)
    (worker,) = kept
    assert worker.rows == 4 and outcome.counted / (worker.rows * worker.ticks) > 0.9
