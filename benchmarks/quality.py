"""What search is worth: the shapes benchmark with and without it, judged by the checker.

    python benchmarks/quality.py [--quick] [--json] [--prompts 300] [--out DIR] [--record DIR]

Arms, on the same prompts and the same first noises: no search; Random Search over 64 candidates
with the ensemble; Zero-Order Search at equal NFE; and, from the same 64 candidates, the pick of
the taste verifier alone (hacking). ``checker_delta``: points that Random Search adds to the share
of prompts that the checker finds wholly right. Every difference has a paired bootstrap interval.
Runs are kept under ``--out`` and gone on with when they were stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noisesearch.candidates.budget import Budget
from noisesearch.experiments.compare import ran
from noisesearch.files.pictures import read
from noisesearch.objectives.single import MeanRank, Weighted, best
from noisesearch.objectives.statistics import paired
from noisesearch.runs.progress import Progress
from noisesearch.runs.results import Candidate, Results
from noisesearch.setup.request import Request
from noisesearch.worlds.shapes.benchmark import BenchmarkPrompt, load
from noisesearch.worlds.shapes.checker import check
from recording import record

CANDIDATES = 64


def chosen(count: int) -> list[BenchmarkPrompt]:
    """Every n-th prompt, so that each category keeps its share."""
    prompts = load()
    return list(prompts[:: max(1, len(prompts) // count)][:count])


class Judge:
    """The checker's word on a candidate's picture, read once."""

    def __init__(self) -> None:
        self._known: dict[Path, bool] = {}

    def __call__(self, candidate: Candidate, prompt: str) -> bool:
        assert candidate.path is not None
        if candidate.path not in self._known:
            self._known[candidate.path] = check(read(candidate.path), prompt).full
        return self._known[candidate.path]


def interval(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Mean of b − a in points with its paired bootstrap 95 % interval over prompts."""
    found = paired(100.0 * a.astype(float), 100.0 * b.astype(float))
    return {name: round(value, 2) for name, value in found.json().items()}


def pick(candidates: Sequence[Candidate], objective: Any) -> Candidate:
    """What an objective would have chosen from a pool."""
    return candidates[best(objective, candidates)]  # type: ignore[arg-type]


def figures(
    prompts: Sequence[BenchmarkPrompt], random: Results, zero: Results, scales: dict[str, float]
) -> dict[str, Any]:
    judge = Judge()
    ensemble = MeanRank({p: scales[p] for p in ("clipscore", "aesthetic", "imagereward")})
    arms: dict[str, Callable[[int], Candidate]] = {
        "no search": lambda i: random[i].baseline,
        "random, ensemble": lambda i: pick(random[i].candidates, ensemble),
        "zero-order, ensemble": lambda i: zero[i].winner,
        "random, aesthetic alone": lambda i: pick(
            random[i].candidates, Weighted({"aesthetic": 1.0})
        ),
        "random, clipscore alone": lambda i: pick(
            random[i].candidates, Weighted({"clipscore": 1.0})
        ),
        "random, imagereward alone": lambda i: pick(
            random[i].candidates, Weighted({"imagereward": 1.0})
        ),
    }
    right: dict[str, np.ndarray] = {}
    table: dict[str, Any] = {}
    for name, arm in arms.items():
        picks = [arm(i) for i in range(len(prompts))]
        right[name] = np.array([judge(c, p.prompt) for c, p in zip(picks, prompts, strict=True)])
        table[name] = {
            "checker": round(100 * float(right[name].mean()), 2),
            **{part: round(float(np.mean([c.parts[part] for c in picks])), 4) for part in scales},
            **{p: round(100 * float(right[name][[q.category == p for q in prompts]].mean()), 1)
               for p in sorted({q.category for q in prompts})},
        }  # fmt: skip
    base = right["no search"]
    deltas = {name: interval(base, right[name]) for name in arms if name != "no search"}
    deltas["zero-order over random"] = interval(
        right["random, ensemble"], right["zero-order, ensemble"]
    )
    return {"checker_delta": deltas["random, ensemble"]["delta"], "arms": table, "deltas": deltas}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="30 prompts, 16 candidates")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--out", type=Path, default=Path("runs/quality"))
    parser.add_argument(
        "--record", type=Path, help="folder for the figures, with date and command"
    )
    asked = parser.parse_args()
    count, candidates = (30, 16) if asked.quick else (asked.prompts, asked.candidates)
    prompts = chosen(count)
    texts = [p.prompt for p in prompts]
    started = time.monotonic()
    arms = {}
    for algorithm in ("random", "zero-order"):
        print(
            f"{algorithm}: {count} prompts, {candidates} candidates", file=sys.stderr, flush=True
        )
        folder = asked.out / f"{algorithm}-{count}-{candidates}"
        budget = Budget(candidates, "candidates")
        loaded = Request(texts, algorithm=algorithm, budget=budget).resolve().loaded
        arms[algorithm] = ran(folder, loaded, Progress)
    spec = json.loads((folder / "spec.json").read_text())
    found = {
        **figures(prompts, arms["random"], arms["zero-order"], spec["scales"]),
        "prompts": count,
        "candidates": candidates,
        "nfe_per_prompt": arms["random"][0].ledger["nfe"],
        "seconds": round(time.monotonic() - started),
        "steps": spec["steps"],
        "guidance": spec["guidance"],
    }
    if asked.record:
        record(asked.record, f"quality-{count}", found)
    if asked.json:
        print(json.dumps(found))
    else:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
