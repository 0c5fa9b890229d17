"""What a step of a run's solver costs, as far as the run folder tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..names.forms import numbered
from ..names.registry import TABLES
from .spec import RunSpec

# Evaluations in a step at most: a ledger keeps a bit for each, and a folder may say anything.
MOST = 64


def step_price(spec: RunSpec, content: Mapping[str, Any]) -> int:
    """Return the evaluations in a step of a run's solver; no code that the folder names is run.

    ``content``: winners.json. Of somebody's solver the price is what the baselines were counted,
    which are whole samples at the final steps; those of a set are counted together.
    """
    if numbered(spec.solver)[0] in TABLES["solver"]:
        from ..sampling.solvers import solver

        return solver(spec.solver).price()
    counted: Mapping[str, int] = {
        search["baseline"]["trajectory"]: search["ledger"]["baseline"]["nfe"]
        for search in content["searches"]
    }
    baselines: Iterable[str] = (content.get("population") or {}).get("without_search", counted)
    steps = max(1, len(set(baselines)) * spec.final_steps)
    return min(MOST, max(1, round(sum(counted.values()) / steps)))
