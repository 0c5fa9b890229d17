"""A search beside the bare network on the same rows, and beside the loop that others run.

``search_over_bare``: wall time of a zero-order search (recipes, journal, pictures and all) over
the time of the bare denoiser, decoder and verifiers on the same rows at the same batch size.
``speedup_over_naive``: of the common loop (one prompt at a time, one candidate a call, the text
encoded each time, the pivot evaluated again each round) over the search, for the same number of
rounds. Medians over repeats in which they take turns, so that a machine whose speed drifts slows
all of them; its quartiles say how much the first figure shakes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from noisesearch.candidates.budget import Budget
from noisesearch.candidates.noise import Materialiser, gaussian, neighbour
from noisesearch.candidates.trajectory import Grid
from noisesearch.runs.results import Results
from noisesearch.runs.run import Run
from noisesearch.sampling.denoiser import fill
from noisesearch.sampling.images import quantise
from noisesearch.setup.loaded import Loaded
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from noisesearch.verifiers.protocol import Views

PROMPTS = (
    "a red circle", "two blue squares", "a green triangle above a yellow ring",
    "three purple circles", "a blue ring to the left of a red square",
    "a yellow cross and a green circle", "a red square below a blue circle",
    "two yellow triangles",
)  # fmt: skip
NEIGHBOURS = 4
NAIVE = 3  # turns of the loop that others run, which takes long and differs by factors
# Deleted at the end: soon after it has deleted files, a file system is slow to make others.
RUNS = tempfile.TemporaryDirectory()


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def load(rounds: int) -> Loaded:
    """A zero-order search of the given rounds whose pivot is scored once: 1 + 4·rounds."""
    request = Request(
        PROMPTS,
        algorithm="zero-order",
        parameters={"neighbours": NEIGHBOURS, "rounds": rounds},
        budget=Budget(1 + NEIGHBOURS * rounds, "candidates"),
        rows=32,
    )
    return request.resolve().loaded


def begun(loaded: Loaded) -> Run:
    """A run in a folder of its own."""
    return Run.create(Path(tempfile.mkdtemp(dir=RUNS.name)) / "run", Searches.of(loaded))


def search(loaded: Loaded) -> Results:
    """A whole run."""
    run = begun(loaded)
    try:
        return run.execute()
    finally:
        run.close()


@torch.inference_mode()
def evaluate(loaded: Loaded, noise: torch.Tensor, conditions: list, encoded: dict) -> None:
    """One batch through the bare network, decoder and verifiers."""
    solver, steps, rows = loaded.solver, loaded.spec.steps, len(noise)
    schedule = loaded.model.space().times(Grid(steps))
    times = torch.tensor(schedule, dtype=torch.float64, device=noise.device)
    state = solver.init(noise)
    for k in range(steps):
        state = solver.step(
            lambda x, t: loaded.denoiser(x, t, encoded), loaded.denoiser.process, state,
            times[k].expand(rows), times[k + 1].expand(rows), None,
        )  # fmt: skip
    images = quantise(loaded.denoiser.decode(state[0]))
    for verifier in loaded.verifiers:
        verifier(Views(images, conditions))


@torch.inference_mode()
def bare(loaded: Loaded, rounds: int) -> None:
    """As many full batches as the search's candidates need, in its batch size."""
    rows = loaded.spec.rows
    batches = -(-len(PROMPTS) * (1 + NEIGHBOURS * rounds) // rows)
    conditions = [loaded.conditions[i % len(PROMPTS)] for i in range(rows)]
    encoded = loaded.denoiser.encode(conditions)
    noises = Materialiser(loaded.denoiser.shape)
    start = [torch.tensor(noises(gaussian(i))) for i in range(rows)]
    for _ in range(batches):
        evaluate(loaded, fill(start, rows), conditions, encoded)


@torch.inference_mode()
def naive(loaded: Loaded, rounds: int) -> None:
    """One prompt at a time, one candidate a call, text encoded each time, the pivot again."""
    noises = Materialiser(loaded.denoiser.shape)
    for i, condition in enumerate(loaded.conditions):
        pivot = gaussian(i)
        for k in range(rounds):
            for j in range(NEIGHBOURS + 1):
                noise = neighbour(pivot, 100 * k + j, 0.95) if j else pivot
                encoded = loaded.denoiser.encode([condition])
                x = torch.tensor(noises(noise))[None]
                evaluate(loaded, x, [condition], encoded)


def start_up() -> dict[str, float]:
    """Median seconds of the commands that must answer at once."""
    program = [sys.executable, "-m", "noisesearch", "--help"]
    light = [sys.executable, "-c", "import noisesearch"]

    def once(command: list[str]) -> float:
        return timed(
            lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL) and None
        )

    return {
        name: statistics.median(once(command) for _ in range(3))
        for name, command in (("help_seconds", program), ("import_seconds", light))
    }


def beside(rounds: int, naive_rounds: int, repeats: int) -> dict[str, Any]:
    """The figures of search, bare network and common loop in turns."""
    loaded = load(rounds)
    bare(loaded, 1)  # warm up
    bares, searches, naives = [timed(lambda: bare(loaded, rounds))], [], []
    for repeat in range(repeats):
        print(f"search over bare: {repeat + 1} of {repeats}", file=sys.stderr, flush=True)
        searches.append(timed(lambda: search(loaded)))
        bares.append(timed(lambda: bare(loaded, rounds)))
        if repeat < NAIVE:
            naives.append(timed(lambda: naive(loaded, naive_rounds)) * rounds / naive_rounds)
    # Against what the bare network took before it and after it.
    ratios = [2 * s / sum(pair) for s, pair in zip(searches, pairwise(bares), strict=True)]
    return {
        "search_over_bare": statistics.median(ratios),
        "search_over_bare_quartiles": statistics.quantiles(ratios)[::2],
        "speedup_over_naive": statistics.median(
            n / s for n, s in zip(naives, searches, strict=False)
        ),
        "bare_seconds": statistics.median(bares),
        "search_seconds": statistics.median(searches),
        "naive_seconds": statistics.median(naives),
        "candidates": len(PROMPTS) * (1 + NEIGHBOURS * rounds),
        "rows": loaded.spec.rows,
        "dtype": loaded.spec.dtype,
        "repeats": repeats,
    }


def usual(quick: bool) -> dict[str, Any]:
    """At the size that figures are kept of, or ``quick``: fewer repeats, a shorter naive loop."""
    return beside(*((8, 1, 5) if quick else (8, 2, 15)))


def rounded(figures: Any) -> Any:
    """To four places, at any depth."""
    if isinstance(figures, dict):
        return {name: rounded(value) for name, value in figures.items()}
    return round(figures, 4) if isinstance(figures, float) else figures
