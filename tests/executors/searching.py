"""One small search for each algorithm of the package, and what must not depend on where it ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noisesearch.executors.choice import ExecutorChoice
from noisesearch.runs.results import Results
from noisesearch.runs.run import Run
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from noisesearch.testing.bench import without_seconds

MIXTURE = "noisesearch.testing.mixture_model:MixtureModel"
PROMPTS = ("one", "two")

# What differs from the budget of nine candidates with default parameters.
ALGORITHMS: dict[str, dict[str, Any]] = {
    "auto": {},
    "random": {},
    "zero-order": {},
    "first-order": {"parameters": {"step": 1.0}},
    "paths": {"budget": "130nfe"},
    "screening": {"parameters": {"pool": 8}},
    "population": {"parameters": {"size": 4, "candidates": 3}, "budget": "12candidates"},
    "halving": {},
    "draft": {"parameters": {"draft": "steps:3"}},
    "spectral": {},
    "evolution": {},
    "cma": {},
    "steering": {"parameters": {"levels": (0.4, 0.7)}, "budget": "4candidates"},
    "epsilon-greedy": {"budget": "3candidates"},
    "beam": {"parameters": {"keep": 2, "every": 2}, "budget": "3candidates"},
    "rollover": {"budget": "4candidates"},
    "backtracking": {"parameters": {"back": 2, "candidates": 1}, "budget": "3candidates"},
}


def opened(folder: Path, algorithm: str, **settings: Any) -> Run:
    """A new run of an algorithm in a folder."""
    common = {"model": MIXTURE, "budget": "9candidates", "rows": 4, "dtype": "float32",
              "device": "cpu", "seed": 3}  # fmt: skip
    asked = {**common, **ALGORITHMS[algorithm], **settings}
    loaded = Request(PROMPTS, algorithm=algorithm, **asked).resolve().loaded
    return Run.create(folder, Searches.of(loaded))


def searched(
    folder: Path, algorithm: str, where: ExecutorChoice = ExecutorChoice(), **settings: Any
) -> Results:
    run = opened(folder, algorithm, **settings)
    try:
        return run.execute(where=where)
    finally:
        run.close()


def same(one: Results, other: Results) -> None:
    """Winners, scores, logical ledgers and all pictures are equal to the last bit."""
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert [c.trajectory for c in a.winners] == [c.trajectory for c in b.winners]
        assert [dict(c.parts) for c in a.winners] == [dict(c.parts) for c in b.winners]
        assert dict(a.baseline.parts) == dict(b.baseline.parts)
        assert logical(a.ledger) == logical(b.ledger)
    assert samples(one.run) == samples(other.run) != {}


def logical(ledger: Any) -> dict[str, Any]:
    """Without what ran and how long it took."""
    counted = without_seconds(ledger)
    return {unit: count for unit, count in counted.items() if unit not in ("physical", "seconds")}


def samples(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "samples").iterdir()}
