"""What a run of very many candidates holds in memory, with a model that costs nothing.

    python benchmarks/memory.py [--quick] [--json] [--record DIR]

``made`` and ``read_again``: by the number of candidates, bytes a candidate of the largest resident
set over that of a run of one candidate, when the run is made and when it is resumed from its
journal. Each run is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from noisesearch import RandomSearch
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.runs.results import results_of
from noisesearch.testing import Bench
from noisesearch.testing.bench import MadeUp
from recording import record

COUNTS = (1_000, 10_000, 100_000)


def number(_: Trajectory, i: int) -> dict[str, float]:
    return {"brightness": i * 0.618 % 1, "evenness": i * 0.755 % 1}


def run(folder: Path, count: int) -> None:
    """One run, or its resume; prints its largest resident set."""
    bench = Bench(folder, RandomSearch(), prompts=["one"])
    parts = bench.parts(budget=f"{count}candidates")
    made = bench.run(str(count), parts, wrap=lambda _: MadeUp(number))
    (live,) = made.searches
    (result,) = results_of(live, folder, 0.0, lambda c: {}, lambda c: {})
    assert len(result.candidates) == count
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def measured(folder: Path, count: int) -> int:
    """Bytes of a run in a process of its own."""
    command = [sys.executable, __file__, "--run", str(folder), str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 candidates at most")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--record", type=Path, help="a folder for memory.json")
    parser.add_argument("--run", nargs=2, metavar=("DIR", "COUNT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(Path(given.run[0]), int(given.run[1]))
        return
    figures: dict[str, dict[str, int]] = {"made": {}, "read_again": {}}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        alone = measured(folder, 1)
        for count in COUNTS[:-1] if given.quick else COUNTS:
            for when in figures:
                figures[when][str(count)] = round((measured(folder, count) - alone) / count)
    if given.record is not None:
        record(given.record, "memory", figures)
    print(json.dumps(figures, indent=None if given.json else 1))


if __name__ == "__main__":
    main()
