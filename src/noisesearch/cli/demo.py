"""The demonstration behind `make demo`: eight prompts, one search, a table and pictures."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from ..candidates.budget import Budget
from ..files.pictures import read
from ..names.columns import aligned, number
from ..runs.progress import Progress
from ..runs.results import Candidate, Results
from ..runs.run import Run
from ..setup.request import Request
from ..worlds.shapes.checker import check

PROMPTS = (
    "a red circle",
    "two blue squares",
    "three purple circles",
    "a green triangle above a yellow ring",
    "a blue ring to the left of a red square",
    "a yellow cross and a green circle",
    "two orange diamonds below a teal square",
    "a ring to the right of two green crosses",
)
CANDIDATES = 32


def main(folder: Path) -> None:
    """Search on the shapes world and say how right the pictures are, before and after."""
    if (folder / "spec.json").exists():
        shutil.rmtree(folder)  # the demonstration's own folder of the last time
    started = time.monotonic()
    request = Request(PROMPTS, budget=Budget(CANDIDATES, "candidates"), algorithm="zero-order")
    searches = request.resolve().searches
    spec = searches.loaded.spec
    print(f"model {spec.model}, verifiers {', '.join(spec.verifiers)}, "
          f"algorithm {spec.algorithm}, {CANDIDATES} candidates of {spec.steps} NFE "
          "a prompt", file=sys.stderr)  # fmt: skip
    run = Run.create(folder, searches)
    try:
        with Progress(run) as progress:
            results = run.execute(progress)
    finally:
        run.close()
    print(table(results))
    print(f"\n{time.monotonic() - started:.0f} s in all. Look at {folder / 'grid.png'} "
          f"(every prompt's baseline and winner) and {folder / 'samples'}")  # fmt: skip


def table(results: Results) -> str:
    """A line a prompt, and what the checker says of baseline and winner."""
    head = ("prompt", "baseline", "winner", "right before", "right after", "NFE", "seconds")
    rows = [head]
    for r in results:
        before, after = right(r.baseline, str(r.condition)), right(r.winner, str(r.condition))
        seconds = f"{r.ledger['seconds']:.0f}"
        rows.append((str(r.condition), number(r.baseline.score), number(r.winner.score),
                     before, after, str(r.ledger["nfe"]), seconds))  # fmt: skip
    return aligned(rows)


def right(candidate: Candidate, prompt: str) -> str:
    """Whether the checker reads the whole prompt off the picture."""
    assert candidate.path is not None
    return "yes" if check(read(candidate.path), prompt).full else "no"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
