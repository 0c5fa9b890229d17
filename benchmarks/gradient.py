"""What a gradient through the whole ODE costs: memory and time over the number of steps.

    python benchmarks/gradient.py [--quick] [--json]

On the shapes world: ``kept_mib`` is the most that autograd held for a backward pass at any
moment, which must not grow with the steps; ``states_mib`` the noises on the way, one a step and
all that is kept from step to step; ``over_forward`` the time of sample, recompute and backward
over that of the sample alone (the paper counts 3). Times are medians over repeats, each with a
sample of its own, so that a machine whose speed drifts slows both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from torch import Tensor

from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Grid
from noisesearch.sampling.solvers import solver
from noisesearch.setup.request import Request
from noisesearch.worker.gradient import Flow, objective, pull_back

ROWS = 8


class Held:
    """Counts the bytes that are kept for backward passes, and the most there ever were."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def pack(self, tensor: Tensor) -> object:
        return _Kept(self, tensor)

    def unpack(self, kept: _Kept) -> Tensor:
        return kept.tensor


class _Kept:
    def __init__(self, held: Held, tensor: Tensor) -> None:
        self.held, self.tensor = held, tensor
        self.bytes = tensor.numel() * tensor.element_size()
        held.now += self.bytes
        held.most = max(held.most, held.now)

    def __del__(self) -> None:
        self.held.now -= self.bytes


def measure(steps: int, repeats: int) -> dict[str, float]:
    """One row of the table."""
    loaded = (
        Request(["two red circles"], steps=steps, rows=ROWS, budget="1candidates").resolve().loaded
    )
    times = torch.tensor(loaded.model.space().times(Grid(steps)), dtype=torch.float64)
    conditions = loaded.conditions * ROWS
    with torch.no_grad():
        encoded = loaded.denoiser.encode(conditions)
    flow = Flow(loaded.denoiser, solver("euler"), times, encoded, lambda level: None)
    numbers = Materialiser(loaded.denoiser.shape)
    noise = torch.stack([torch.tensor(numbers(gaussian(i))) for i in range(ROWS)])
    weights = {part: 1 / scale for part, scale in loaded.scales.items()}

    def value(x0: Tensor) -> Tensor:
        return objective(loaded.denoiser, loaded.verifiers, weights, x0, conditions)

    forward, whole, held = [], [], Held()
    for _ in range(repeats + 1):
        started = time.perf_counter()
        states = flow.states(noise)
        forward.append(time.perf_counter() - started)
        with torch.autograd.graph.saved_tensors_hooks(held.pack, held.unpack):
            pull_back(flow, states, value, noise)
        whole.append(time.perf_counter() - started)
    del forward[0], whole[0]  # the first sets things up
    return {
        "steps": steps,
        "kept_mib": round(held.most / 2**20, 2),
        "states_mib": round(sum(x.nbytes for state in states for x in state) / 2**20, 2),
        "seconds": round(statistics.median(whole), 3),
        "over_forward": round(
            statistics.median(w / f for w, f in zip(whole, forward, strict=True)), 2
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three numbers of steps")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    asked = parser.parse_args()
    counts = (4, 12, 24) if asked.quick else (2, 4, 8, 12, 24, 48)
    table = [measure(steps, 5) for steps in counts]
    figures = {
        "memory_ratio": round(table[-1]["kept_mib"] / table[0]["kept_mib"], 3),
        "over_forward": table[-1]["over_forward"],
        "rows": ROWS,
        "curve": table,
    }
    print(json.dumps(figures) if asked.json else json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
