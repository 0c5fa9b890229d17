"""How near a search comes to what the device can do: FLUX.1-dev's and SiT-XL/2's transformers.

    python benchmarks/throughput.py [--quick] [--json] [--device cpu] [--record DIR]

Weights are random, in bfloat16 where the device multiplies it. On a GPU the networks have their
published sizes, elsewhere they are scaled down, and ``scaled`` says how. Without text encoders,
autoencoder and costly verifiers the transformer is all there is beside the engine:

* bare: the transformer called on one batch again and again, at the best batch size;
* search: Random Search in a run folder, with noises, steps, pictures, files and journal;
* naive: the loop that others run: one candidate a call, its text encoded each time, every picture
  decoded and scored alone;
* peak: the quickest of large matrix products in the same precision.

``search_over_bare``: candidates a second of the search over those of the bare transformer (goal:
at least 0.95). ``peak_share``: FLOPs of the search's evaluations a second over the peak (goal: at
least 0.5). ``speedup_over_naive``: of the search. The four take turns in every repeat, ratios are
taken within a repeat and the figures are medians; of the two networks the lower one counts.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from bare import evaluate, search
from noisesearch.candidates.budget import Budget
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.sampling.solvers import solver
from noisesearch.setup.hardware import place, precision, threads
from noisesearch.setup.loaded import Loaded
from noisesearch.setup.request import Request
from noisesearch.setup.rows import STEP
from random_networks import SCALES, RandomModel, flux, sit
from recording import record

T = TypeVar("T")
NETWORKS = {"flux": flux, "sit": sit}
PROMPTS = ("a red circle", "two blue squares")
GAIN = 1.02  # less than this from doubling the rows, twice, and no larger batch is tried
# Dense bfloat16 TFLOP/s that the makers give (NVIDIA's data sheets), by words of a card's name.
PUBLISHED = {("H200",): 989, ("H100", "PCIe"): 756, ("H100",): 989, ("A100",): 312,
             ("L40S",): 362, ("L4",): 121, ("4090",): 165, ("3090",): 71}  # fmt: skip


@dataclass(frozen=True)
class Effort:
    """``largest``: rows that the bare transformer is tried with, from 1 on by doublings.
    ``seconds``: that a search takes about, and ``at_least``: that any other rate is measured
    over. ``sides``: of the matrices."""

    largest: int
    seconds: float
    sides: tuple[int, ...]
    repeats: int
    at_least: float = 0.5


# 32 rows are the most that a run takes by itself.
EFFORTS = {"cpu": Effort(32, 4.0, (1024, 2048), 5),
           "cuda": Effort(256, 60.0, (4096, 8192, 16384), 3)}  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """Seconds of work on a device, which may go on after a call has come back; and its result."""

    device: str

    def __call__(self, work: Callable[[], T]) -> tuple[float, T]:
        self.settled()
        started = time.perf_counter()
        result = work()
        self.settled()
        return time.perf_counter() - started, result

    def settled(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)

    def rate(self, work: Callable[[], object], at_least: float) -> float:
        """Calls a second, over about so many seconds at least; the first call sets things up."""
        work()
        once, _ = self(work)
        calls = max(2, math.ceil(at_least / once))

        def again() -> None:
            for _ in range(calls):
                work()

        return calls / self(again)[0]


def brightness(images: torch.Tensor, conditions: object) -> torch.Tensor:
    """A verifier that costs nothing to speak of."""
    return images.mean((1, 2, 3))


@torch.inference_mode()
def bare(model: RandomModel, rows: int, clock: Clock, at_least: float) -> float:
    """Evaluations a second of the network alone on batches of ``rows``."""
    return rows * clock.rate(model.bare(rows), at_least)


def bare_rates(model: RandomModel, clock: Clock, effort: Effort) -> dict[int, float]:
    """Evaluations a second by batch size, as far as memory goes and as it still pays."""
    found: dict[int, float] = {}
    rows, idle = 1, 0
    while rows <= effort.largest and idle < 2:
        best = max(found.values(), default=0.0)
        try:
            found[rows] = bare(model, rows, clock, effort.at_least)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        idle = 0 if found[rows] > GAIN * best else idle + 1
        say(f"{model.name}: {found[rows]:.4g} evaluations a second of the bare network at {rows}")
        rows *= 2
    return found


def load(model: RandomModel, rows: int, candidates: int, steps: int | None = None) -> Loaded:
    """A random search of so many candidates in all."""
    request = Request(
        PROMPTS, model=model, verifier=brightness, algorithm="random", rows=rows, steps=steps,
        budget=Budget(candidates // len(PROMPTS), "candidates"),
    )  # fmt: skip
    return request.resolve().loaded


def searched(loaded: Loaded) -> int:
    """Run a search; the evaluations that physically ran."""
    return int(sum(result.ledger["physical"]["nfe"] for result in search(loaded)))


@torch.inference_mode()
def naive(loaded: Loaded, candidates: int) -> None:
    """The usual loop: everything one by one."""
    noises = Materialiser(loaded.denoiser.shape)
    for i in range(candidates):
        condition = loaded.conditions[i % len(loaded.conditions)]
        noise = torch.tensor(noises(gaussian(i)))[None].to(loaded.spec.device)
        evaluate(loaded, noise, [condition], loaded.denoiser.encode([condition]))


def peak(clock: Clock, dtype: torch.dtype, effort: Effort) -> float:
    """FLOPs a second of the quickest product of square matrices."""
    rates = []
    for side in effort.sides:
        a, b = (torch.randn(side, side, device=clock.device).to(dtype) for _ in "ab")
        rates.append(2 * side**3 * clock.rate(partial(torch.matmul, a, b), effort.at_least))
    return max(rates)


def published(card: str) -> float | None:
    """The maker's FLOPs a second of a card, by its name; None of one that is not in the table."""
    words = card.replace("-", " ").split()
    found = (rate for names, rate in PUBLISHED.items() if set(names) <= set(words))
    known = next(found, None)
    return None if known is None else 1e12 * known


def fitting_rows(model: RandomModel, rates: dict[int, float]) -> int:
    """The best batch size that a run can have and that fits, once run, so that all is set up;
    SystemExit where the smallest does not fit."""
    for rows in sorted(rates, key=lambda rows: -rates[rows]):
        if rows % STEP:
            continue
        try:
            searched(load(model, rows, rows, steps=1))
            return rows
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
    raise SystemExit(
        f"{model.name} at {model.size[0]}x{model.size[1]} does not fit onto the device at "
        f"{STEP} rows, the fewest of a run; try --scale small"
    )


def measure(model: RandomModel, clock: Clock, effort: Effort) -> dict[str, Any]:
    """All figures of one network."""
    dtype = getattr(torch, model.placed[1])
    price = model.steps * solver(model.solver).price()
    flops = model.denoiser.flops * model.denoiser.forwards  # of one evaluation
    rates = bare_rates(model, clock, effort)
    best, rows = max(rates, key=lambda rows: rates[rows]), fitting_rows(model, rates)
    candidates = rows * max(2, round(effort.seconds * rates[best] / price / rows))
    few = max(1, candidates // 8)
    loaded = load(model, rows, candidates)
    if clock.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(clock.device)
    rounds = []
    for repeat in range(effort.repeats):
        say(f"{model.name}: repeat {repeat + 1} of {effort.repeats}, {candidates} candidates")
        alone = bare(model, best, clock, candidates * price / rates[best])
        took, nfe = clock(lambda: searched(loaded))
        slow, _ = clock(lambda: naive(loaded, few))
        rounds.append({
            "bare": alone / price, "search": nfe / price / took, "naive": few / slow,
            "peak": peak(clock, dtype, effort),
        })  # fmt: skip

    def middle(of: Callable[[dict[str, float]], float]) -> float:
        return rounded(statistics.median(of(each) for each in rounds))

    found = {
        "scaled": model.scaled,
        "search_over_bare": middle(lambda r: r["search"] / r["bare"]),
        "peak_share": middle(lambda r: r["search"] * price * flops / r["peak"]),
        "bare_peak_share": middle(lambda r: r["bare"] * price * flops / r["peak"]),
        "speedup_over_naive": middle(lambda r: r["search"] / r["naive"]),
        "candidates_per_second": {n: middle(lambda r, n=n: r[n])
                                  for n in ("bare", "search", "naive")},
        "bare_rows": best,
        "rows": rows,
        "evaluations_per_second": {str(n): rounded(rate) for n, rate in rates.items()},
        "candidates": candidates,
        "physical_nfe": nfe,
        "nfe_per_candidate": price,
        "flops_per_nfe": flops,
        "peak_tflops": middle(lambda r: r["peak"] / 1e12),
    }  # fmt: skip
    if clock.device.startswith("cuda"):
        found["memory_gib"] = rounded(torch.cuda.max_memory_allocated(clock.device) / 2**30)
        if known := published(torch.cuda.get_device_name(clock.device)):
            found["published_peak_share"] = middle(lambda r: r["search"] * price * flops / known)
    return found


def run(device: str, scale: str, effort: Effort) -> dict[str, Any]:
    """The figures of both networks, and the lower ones of the two; one is loaded at a time."""
    clock, dtype = Clock(device), getattr(torch, precision("auto", device))
    networks = {}
    for make in NETWORKS.values():
        model = make(scale, device, dtype)
        networks[model.name] = measure(model, clock, effort)
        del model
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
    least = {name: min(of[name] for of in networks.values())
             for name in ("search_over_bare", "peak_share", "speedup_over_naive")}  # fmt: skip
    cuda = device.startswith("cuda")
    return {
        **least,
        "networks": networks,
        "scale": scale,
        "dtype": str(dtype).removeprefix("torch."),
        "repeats": effort.repeats,
        "device": torch.cuda.get_device_name(device) if cuda else device,
        "threads": threads(),
        "versions": {"python": platform.python_version()} | {
            n: importlib.metadata.version(n) for n in ("noisesearch", "torch", "diffusers")
        },
    }  # fmt: skip


def rounded(value: float) -> float:
    """To four digits."""
    return float(f"{value:.4g}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one repeat")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--device", default="auto", help="cpu, cuda or cuda:N")
    parser.add_argument("--scale", choices=SCALES, help="default: full on a GPU, else small")
    parser.add_argument(
        "--record", type=Path, help="folder for the figures, with date and command"
    )
    asked = parser.parse_args()
    device = place(asked.device)
    gpu = device.startswith("cuda")
    effort = EFFORTS["cuda" if gpu else "cpu"]
    if asked.quick:
        effort = replace(effort, repeats=1)
    found = run(device, asked.scale or ("full" if gpu else "small"), effort)
    if asked.record:
        record(asked.record, f"throughput-{'gpu' if gpu else 'cpu'}", found)
    print(json.dumps(found) if asked.json else json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
