"""Runs killed at random changes of their folders, and resumed each time.

    python benchmarks/kills.py [--quick] [--json] [--record DIR] [--kills 200] [--seed 0]

Each run is killed ten times by ``kill -9``: before a file of its folder is opened, renamed or
deleted, or at any byte of a write, at changes drawn from the seed; then it goes on to its end, and
the writing of its report is killed in the same way. ``lost``: journalled replies that were gone
afterwards; ``again``: those that a later process computed again; ``differing``: runs whose winners
or logical ledgers are not those of one that nothing befell; ``struck``: what the kills met.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from noisesearch.testing.faults import Ordeal
from recording import record

KILLS = 10  # of a run
COMMON = ("a red circle", "two blue squares", "--steps", "2", "--guidance", "1", "--rows", "4")
# With a blob from the start, one at every round, unfinished trajectories, winners that are kept.
REQUESTS = {
    "zero-order": ("--verifier", "aesthetic", "--budget", "20candidates", "--start-latents",
                   "start.npy", "--top", "2"),
    "first-order": ("--verifier", "aesthetic", "--budget", "100"),
    "paths": ("--verifier", "ensemble", "--budget", "100", "--steps", "6"),
    "random": ("--verifier", "aesthetic", "--budget", "20candidates", "--final-steps", "4",
               "--keep", "winners"),
}  # fmt: skip
MEASURED = ("image", "physical", "seconds")


def logical(content: Any) -> Any:
    """Results without what was measured, and without the folder."""
    if isinstance(content, dict):
        return {k: logical(v) for k, v in content.items() if k not in MEASURED}
    return [logical(v) for v in content] if isinstance(content, list) else content


def campaign(cwd: Path, kills: int, seed: int) -> dict[str, Any]:
    """Runs of each algorithm in turn, until there were so many kills."""
    dice = random.Random(seed)
    np.save(cwd / "start.npy", np.random.default_rng(0).normal(size=(3, 32, 32)).astype("f4"))
    wholes: dict[str, Any] = {}
    struck: Counter[str] = Counter()
    lost = again = differing = runs = extra = 0
    while struck.total() < kills:
        algorithm = list(REQUESTS)[runs % len(REQUESTS)]
        request = (*COMMON, "--algorithm", algorithm, "--seed", "5", *REQUESTS[algorithm])
        if algorithm not in wholes:
            wholes[algorithm] = logical(Ordeal(cwd, request, name=algorithm).finish()["searches"])
        run = Ordeal(cwd, request, name=f"run-{runs}")
        run.kills(dice, KILLS - 1)
        run.finish()
        run.kills(dice, 1, "report", run.name, most=3)
        found = run.finish()["searches"]
        differing += logical(found) != wholes[algorithm]
        extra += sum(s["ledger"]["physical"]["nfe"] - s["ledger"]["nfe"] for s in found)
        struck += run.tally.struck
        lost, again, runs = lost + run.tally.lost, again + run.tally.again, runs + 1
        so_far = f"{struck.total()} kills, {runs} runs: {lost} lost, {again} again"
        print(f"{so_far}, {differing} differ", file=sys.stderr, flush=True)
    return {"kills": struck.total(), "runs": runs, "lost": lost, "again": again,
            "differing": differing, "nfe_made_again": extra,
            "struck": dict(struck.most_common())}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 kills")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--record", type=Path, help="a folder for kills.json")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as cwd:
        figures = campaign(Path(cwd), 20 if given.quick else given.kills, given.seed)
    figures["seconds"] = round(time.perf_counter() - started, 1)
    if given.record is not None:
        record(given.record, "kills", figures)
    print(json.dumps(figures, indent=None if given.json else 1))
    if figures["lost"] or figures["again"] or figures["differing"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
