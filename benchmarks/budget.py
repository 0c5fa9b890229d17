"""What each doubling of the budget is worth: the best of the first 1, 2, 4, … candidates.

    python benchmarks/budget.py [--quick] [--json] [--prompts 50] [--out DIR] [--record DIR]

One run of Random Search and one of Zero-Order Search over 64 candidates a prompt of the shapes
benchmark serve every smaller budget, since neither asks otherwise under another one. For each
number of candidates: the share of prompts that the checker finds wholly right and the mean score,
with paired bootstrap intervals over no search, over half as many and of one algorithm over the
other. Runs are kept under ``--out`` and gone on with when they were stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noisesearch.candidates.budget import Budget
from noisesearch.experiments.compare import ran
from noisesearch.objectives.single import MeanRank
from noisesearch.objectives.statistics import paired
from noisesearch.runs.progress import Progress
from noisesearch.runs.results import Candidate, Result, Results
from noisesearch.setup.prices import Prices
from noisesearch.setup.request import Request
from noisesearch.worlds.shapes.benchmark import BenchmarkPrompt
from quality import CANDIDATES, Judge, chosen, interval, pick
from recording import record


def best_of(result: Result, count: int, objective: MeanRank) -> Candidate:
    """By the run's objective, of as many as were asked first; of none the baseline."""
    return pick(result.candidates[:count], objective) if count else result.baseline


Columns = dict[int, dict[str, np.ndarray]]  # by candidates: right and score [prompts]


def columns(results: Results, prompts: Sequence[BenchmarkPrompt], objective: MeanRank) -> Columns:
    """For no search (0) and for each power of two."""
    judge = Judge()
    found: Columns = {}
    for count in [0, *(2**k for k in range(len(results[0].candidates).bit_length()))]:
        picks = [best_of(result, count, objective) for result in results]
        right = [judge(c, p.prompt) for c, p in zip(picks, prompts, strict=True)]
        found[count] = {"right": np.array(right), "score": np.array([c.score for c in picks])}
    return found


def curve(mine: Columns, rival: Columns) -> list[dict[str, Any]]:
    """A row for each number of candidates, also over no search, half as many, and a rival."""
    rows = []
    for count, now in mine.items():
        row = {"candidates": count, "checker": round(100 * float(now["right"].mean()), 2),
               "score": round(float(now["score"].mean()), 4)}  # fmt: skip
        others = {"over_no_search": mine[0]} if count else {}
        if count > 1:
            others["over_half"] = mine[count // 2]
        if mine is not rival:
            others["over_random"] = rival[count]
        over = {name: difference(of, now) for name, of in others.items()}
        rows.append({**row, **over})
    return rows


def difference(of: dict[str, np.ndarray], now: dict[str, np.ndarray]) -> dict[str, Any]:
    score = paired(of["score"], now["score"]).json()
    return {"checker": interval(of["right"], now["right"]),
            "score": {name: round(value, 4) for name, value in score.items()}}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="20 prompts, 16 candidates")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("runs/budget"))
    parser.add_argument("--record", type=Path, help="folder for the figures, with the date")
    asked = parser.parse_args()
    count, candidates = (20, 16) if asked.quick else (asked.prompts, CANDIDATES)
    prompts = chosen(count)
    found: dict[str, Any] = {"prompts": count}
    told: dict[str, Columns] = {}
    for algorithm in ("random", "zero-order"):
        print(f"{algorithm}: {count} prompts, {candidates} candidates", file=sys.stderr)
        request = Request([p.prompt for p in prompts], algorithm=algorithm,
                          budget=Budget(candidates, "candidates"))  # fmt: skip
        loaded = request.resolve().loaded
        results = ran(asked.out / f"{algorithm}-{count}-{candidates}", loaded, Progress)
        found["nfe_per_candidate"] = Prices(loaded).candidate
        told[algorithm] = columns(results, prompts, MeanRank(loaded.scales))
        found[algorithm] = curve(told[algorithm], told["random"])
    if asked.record:
        record(asked.record, "budget", found)
    print(json.dumps(found, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
