"""All algorithms of the paper at the same counted NFE, by score and by what is really there.

    python benchmarks/algorithms.py [--quick] [--json] [--prompts 48] [--out DIR] [--record DIR]

Every algorithm as it is by default, on prompts of the shapes benchmark and from the same first
noises, searched by the ensemble. The budgets are 17 and 65 candidates of 12 NFE, which Zero-Order
Search (a pivot and four neighbours a round) spends to the last; Search over Paths and First-Order
Search spend what fits whole rounds, and what that is stands in the figures. A gradient's
evaluations count three times. For each algorithm: the mean score and the share of prompts that the
checker finds wholly right, with paired bootstrap intervals over no search and over Random Search.
Runs are kept under ``--out`` and gone on with when they were stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from noisesearch.experiments.compare import compare
from quality import chosen
from recording import record

ALGORITHMS = ("random", "zero-order", "paths", "first-order", "population")
BUDGETS = ("204nfe", "780nfe")


def rounded(found: Any) -> Any:
    """Numbers to four places, however deep."""
    if isinstance(found, dict):
        return {name: rounded(value) for name, value in found.items()}
    return round(found, 4) if isinstance(found, float) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="16 prompts, the smaller budget")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--out", type=Path, default=Path("runs/algorithms"))
    parser.add_argument("--record", type=Path, help="folder for the figures, with the date")
    asked = parser.parse_args()
    count, budgets = (16, BUDGETS[:1]) if asked.quick else (asked.prompts, BUDGETS)
    found = compare(
        ALGORITHMS,
        [p.prompt for p in chosen(count)],
        budgets,
        asked.out / str(count),
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    figures = {"prompts": count, "arms": [rounded(row) for row in found.json()]}
    if asked.record:
        record(asked.record, "algorithms", figures)
    print(json.dumps(figures, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
