"""What searching drafts is worth at equal price, on the shapes world.

    python benchmarks/drafts.py [--quick] [--json]

Random Search with one and the same budget, over full samples and over drafts whose winner is
finished in full: how many noises it looks at, the mean score of the winners, the share of prompts
that the checker finds wholly right, and the paired difference in score to the search over full
samples with its bootstrap 95 % interval. What each draft's ranking is worth says
``noisesearch calibrate shapes``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

import noisesearch as ns
from noisesearch.files.pictures import read
from noisesearch.objectives.statistics import paired
from noisesearch.worlds.shapes.benchmark import load
from noisesearch.worlds.shapes.checker import check

DRAFTS = (None, "steps:6", "steps:4", "steps:3")
FULL = "full samples"


def searched(prompts: list[str], draft: str | None, nfe: int) -> dict[str, Any]:
    """Scores [prompts] and what it took."""
    started = time.monotonic()
    results = ns.search(prompts, algorithm="random", draft=draft, budget=nfe)
    right = [check(read(r.winner.path), str(r.condition)).full for r in results if r.winner.path]
    return {
        "scores": np.array([r.winner.score for r in results]),
        "noises": float(np.mean([len(r.candidates) for r in results])),
        "counted": float(np.mean([r.ledger["counted"] for r in results])),
        "right": 100 * float(np.mean(right)),
        "seconds": time.monotonic() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="12 prompts")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--nfe", type=int, default=192)
    asked = parser.parse_args()
    count = 12 if asked.quick else asked.prompts
    every = [each.prompt for each in load()]
    prompts = every[:: len(every) // count][:count]
    rows: dict[str, Any] = {}
    full = None
    for draft in DRAFTS:
        print(f"{draft or FULL}: {count} prompts, {asked.nfe} NFE each", file=sys.stderr)
        found = searched(prompts, draft, asked.nfe)
        scores = found.pop("scores")
        full = scores if full is None else full
        rows[draft or FULL] = {
            "score": round(float(scores.mean()), 4),
            "over_full": {k: round(v, 4) for k, v in paired(full, scores).json().items()},
            **{name: round(value, 2) for name, value in found.items()},
        }
    content = {"prompts": count, "nfe": asked.nfe, "rows": rows}
    if asked.json:
        print(json.dumps(content, indent=1))
        return
    for name, row in rows.items():
        over = row["over_full"]
        print(f"{name:14} {row['noises']:5.1f} noises  score {row['score']:.3f}  over full "
              f"samples {over['delta']:+.3f} [{over['low']:+.3f}, {over['high']:+.3f}]  "
              f"right {row['right']:.0f} %")  # fmt: skip


if __name__ == "__main__":
    main()
