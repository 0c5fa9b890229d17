"""Make the winners of a run again from their recipes, and compare."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ..candidates.ask import Ask, Score
from ..errors import StoreError
from ..files import pictures
from ..setup import workers
from ..setup.python_objects import PythonObjects
from ..store.run_store import RunStore
from ..store.winners import stored_results
from .opening import load_run


def verify(folder: Path, given: PythonObjects | None = None) -> dict[str, Any]:
    """Re-create every winner from its recipe alone; the largest differences.

    ``pixels`` in 8-bit levels, ``parts`` in the verifiers' own units.
    """
    from ..verifiers.slow_verifier import SlowVerifier

    content = stored_results(folder)
    loaded = load_run(folder, given)
    store = RunStore(folder, write=False)
    graph = store.graph()
    made: dict[str, pictures.Picture] = {}
    worker = workers.of(loaded, lambda t, picture: made.update({t.key: picture}), store.arrays.get)
    # Neither a person nor a paid service is asked again about what it has said.
    here = tuple(p for v in loaded.verifiers if not isinstance(v, SlowVerifier) for p in v.parts)
    winners = {w["trajectory"]: w for s in content["searches"] for w in s["winners"]}
    for key in winners:
        worker.submit(Ask(graph.trajectory(key), Score(here)))
    pixels = numbers = 0.0
    started = time.monotonic()
    while answers := worker.wait():
        for _, reply in answers:
            winner = winners[reply.trajectory.key]
            path = store.sample_path(reply.trajectory.key)
            old = pictures.read(path).astype(int)
            if old.shape != made[reply.trajectory.key].shape:
                raise StoreError(
                    f"{path} has another size than the run's pictures; restore it from a copy"
                )
            pixels = max(pixels, float(np.abs(old - made[reply.trajectory.key]).max()))
            # Parts that a rerank added are those of verifiers that the run does not have.
            for part in winner["parts"].keys() & set(here):
                new = reply.parts.get(part, float("inf"))
                numbers = max(numbers, abs(winner["parts"][part] - new))
    return {"winners": len(winners), "pixels": pixels, "parts": numbers,
            "seconds": round(time.monotonic() - started, 2)}  # fmt: skip
