"""Compute to reach a score: every algorithm against Random Search with 64 candidates.

    python benchmarks/efficiency.py [--quick] [--json] [--stage 1|2|ablation] [--out DIR]
                                    [--record DIR]

The target is the mean value of Random Search's winners among 64 full candidates, by the ensemble
and, separately, by the preference verifier alone. For every algorithm, under growing budgets: what
its winners are worth and what their searches cost, in NFEs of the full model (``nfe``: FLOPs over
those of one of its evaluations), FLOPs, forwards, verifier looks and seconds; then how much of
Random Search's own it needs to reach the target, and what the exact checker, which no algorithm
sees, says there. What an algorithm returns is measured: no baseline takes its place.

Stage 1: every algorithm, one preset each, on the small model. Stage 2: Random, Zero-Order, auto
and what else is named, on the default model. Stage ablation: what auto is made of, one ingredient
at a time. ``--quick`` is a small sample of stage 2: Random and auto alone. Runs are kept under
``--out``, where the stages share them, and gone on with when they were stopped; one run of an
algorithm that asks alike under every budget serves all of them.

Seconds of the table are of whole runs, and mean little where a run was stopped or the machine
shared. ``seconds_ratio`` is therefore timed anew: Random Search with 64 candidates and auto at the
budget that reached the target, in turns, on the same prompts, three times; the ratio of medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from noisesearch.candidates.budget import Budget
from noisesearch.experiments.compare import ran
from noisesearch.experiments.plot import svg
from noisesearch.experiments.spec import Plot
from noisesearch.objectives.single import Objective
from noisesearch.runs.progress import Progress
from noisesearch.runs.results import Result
from noisesearch.setup.loaded import Loaded
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from quality import Judge, chosen, pick
from reach import COSTS, Curve, Point, ratios, rows
from recording import record

ALIKE = ("random", "zero-order")  # their first candidates are all that a smaller budget asks for
FULL_BUDGET = 64  # candidates of the Random Search that sets the target
TIMED_PROMPTS, TIMED_ROUNDS = 8, 3


@dataclass(frozen=True)
class Preset:
    """An algorithm with its parameters, and the budgets in candidates' worth it is given."""

    algorithm: str
    budgets: Sequence[int]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    solver: str | None = None

    @property
    def name(self) -> str:
        return self.label or self.algorithm


SPARSE, DENSE = (4, 16, 64), (4, 6, 8, 12, 16, 24, 32)
STAGE1 = [
    Preset("random", SPARSE), Preset("zero-order", SPARSE), Preset("paths", SPARSE[1:]),
    Preset("first-order", SPARSE), Preset("halving", SPARSE), Preset("draft", SPARSE),
    Preset("steering", SPARSE), Preset("spectral", SPARSE), Preset("evolution", SPARSE),
    Preset("epsilon-greedy", SPARSE), Preset("rollover", SPARSE), Preset("beam", SPARSE),
    Preset("backtracking", SPARSE), Preset("screening", SPARSE), Preset("auto", SPARSE),
]  # fmt: skip
STAGE2 = [
    Preset("random", (4, 8, 16, 32, 64)),
    Preset("zero-order", (4, 8, 16, 32, 64)),
    Preset("auto", DENSE),
]
LOOKS = (8, 16, 32)
ABLATION = [
    Preset("random", (4, 8, 16, 32, 64)), Preset("auto", (4, 6, 8, 12, 16, 24, 32)),
    Preset("random", (4, 8, 16, 32, 64), label="random, noise injected", solver="ddim-ancestral"),
    Preset("beam", LOOKS, {"keep": 1}, "one state"),
    Preset("beam", LOOKS, {"keep": 2, "every": 2}, "a look every other step"),
    Preset("steering", LOOKS),
    *(
        Preset("draft", LOOKS, {"draft": draft, "share": 0.2, "probes": 0.0, "rounds": 1}, label)
        for label, draft in (
            ("one step and two", "fast>fast2"), ("one step", "fast"), ("two steps", "fast2"),
            ("a quarter of the steps", "quarter"), ("half of the steps", "half"),
        )
    ),
    Preset("halving", LOOKS), Preset("screening", LOOKS),
]  # fmt: skip
QUICK = [Preset("random", (4, 8, 16, 32, 64)), Preset("auto", (6, 8, 10, 12, 14, 16, 20))]
# Model, prompts, seeds and what is compared.
STAGES = {
    "1": ("shapes-small", 32, 2, STAGE1),
    "2": ("shapes", 64, 3, STAGE2),
    "ablation": ("shapes", 64, 1, ABLATION),
}


@dataclass(frozen=True)
class Laboratory:
    """Prompts, seeds, model and verifiers that all algorithms have in common."""

    model: str
    verifier: str
    prompts: Sequence[str]
    seeds: Sequence[int]
    out: Path
    judge: Judge = field(default_factory=Judge)

    def curve(self, preset: Preset) -> Curve:
        """An algorithm under all its budgets."""
        points = {budget: self._points(preset, budget) for budget in self._run_at(preset)}
        found = []
        for budget in preset.budgets:
            at = points[budget] if budget in points else points[max(points)]
            found.append(_joined([each(budget) for each in at], budget))
        return Curve(preset.name, found, preset.parameters)

    def _run_at(self, preset: Preset) -> Sequence[int]:
        """All budgets, or the largest alone where it answers for the smaller ones."""
        alike = preset.algorithm in ALIKE
        return [max(preset.budgets)] if alike else list(preset.budgets)

    def request(self, preset: Preset, budget: int, seed: int) -> Request:
        return Request(
            list(self.prompts), model=self.model, verifier=self.verifier, seed=seed,
            algorithm=preset.algorithm, parameters=dict(preset.parameters), solver=preset.solver,
            budget=Budget(budget, "candidates"),
        )  # fmt: skip

    def _points(self, preset: Preset, budget: int) -> list[Callable[[int], Point]]:
        """For each seed what says how a budget, this or a smaller one, came out."""
        return [self._points_of(preset, budget, seed) for seed in self.seeds]

    def _points_of(self, preset: Preset, budget: int, seed: int) -> Callable[[int], Point]:
        loaded = self.request(preset, budget, seed).resolve().loaded
        words = self.verifier.replace(",", "+")
        folder = self.out / f"{self.model}-{words}-{len(self.prompts)}"
        folder /= f"{preset.name}-{budget}-seed{seed}"
        print(f"{folder}: {len(self.prompts)} prompts", file=sys.stderr, flush=True)
        results = list(ran(folder, loaded, Progress))
        objective = Searches(loaded, Budget(budget, "candidates")).first().problem.objective

        def point(asked: int) -> Point:
            return self._point(results, loaded, objective, asked, asked / budget)

        return point

    def _point(
        self, results: list[Result], loaded: Loaded, objective: Objective, count: int, share: float
    ) -> Point:
        """Of runs, or of the first ``count`` candidates of theirs where that is a ``share``."""
        taken = [r.candidates[:count] if share < 1 else r.candidates for r in results]
        picked = [pick(some, objective) for some in taken]
        right = [self.judge(c, str(r.condition)) for c, r in zip(picked, results, strict=True)]
        whole = loaded.denoiser.forwards * loaded.denoiser.flops
        cost = {
            "nfe": [r.ledger["flops"] / whole for r in results],
            "flops": [r.ledger["flops"] for r in results],
            "forwards": [r.ledger["forwards"] for r in results],
            "looks": [sum(v["samples"] for v in r.ledger["verifiers"].values()) for r in results],
            "seconds": [r.ledger["seconds"] / len(results) for r in results],
        }
        return Point(
            count,
            np.array([c.score for c in picked]),
            np.array(right, float),
            {unit: share * np.array(of, float) for unit, of in cost.items()},
        )

    def timed(self, presets: Mapping[str, tuple[Preset, int]]) -> dict[str, float]:
        """Median seconds a prompt of fresh runs, made in turns."""
        prompts = list(self.prompts)[:TIMED_PROMPTS]
        found: dict[str, list[float]] = {name: [] for name in presets}
        for turn in range(TIMED_ROUNDS):
            for name, (preset, budget) in presets.items():
                request = self.request(preset, budget, 1000 + turn)
                request.prompts = prompts
                loaded = request.resolve().loaded
                with tempfile.TemporaryDirectory() as folder:
                    began = time.monotonic()
                    ran(Path(folder) / "run", loaded)
                    found[name].append((time.monotonic() - began) / len(prompts))
        return {name: statistics.median(seconds) for name, seconds in found.items()}


def _joined(points: Sequence[Point], budget: int) -> Point:
    """The images of several seeds one after the other."""
    return Point(
        budget,
        np.concatenate([p.value for p in points]),
        np.concatenate([p.right for p in points]),
        {unit: np.concatenate([p.cost[unit] for p in points]) for unit in COSTS},
    )


def measured(lab: Laboratory, presets: Sequence[Preset]) -> dict[str, Any]:
    """All curves, and what each needs to reach the target."""
    curves = [lab.curve(preset) for preset in presets]
    random = next(curve for curve in curves if curve.name == "random")
    reference = random.points[-1]
    table = rows(curves)
    best = {}
    for candidates in sorted({row["candidates"] for row in table}):
        rivals = [row for row in table if row["candidates"] == candidates]
        best[f"{candidates:g}"] = max(rivals, key=lambda row: row["value"]["value"])["line"]
    return {
        "model": lab.model, "verifier": lab.verifier, "prompts": len(lab.prompts),
        "seeds": len(lab.seeds), "target": round(float(reference.value.mean()), 4),
        "reach": {curve.name: ratios(curve, reference) for curve in curves},
        "presets": {curve.name: dict(curve.preset) for curve in curves},
        "best_by_budget": best, "points": table,
    }  # fmt: skip


def headline(lab: Laboratory, found: dict[str, Any], presets: Sequence[Preset]) -> dict[str, Any]:
    """auto at the smallest budget measured that reached the target, its seconds timed anew."""
    reach = found["reach"]["auto"]
    if reach["reached"] is None:
        return {"nfe_ratio": None, "seconds_ratio": None, "checker_delta": None}
    by = {preset.name: preset for preset in presets}
    at = next(row for row in found["points"]
              if row["line"] == "auto" and row["candidates"] == reach["reached"])  # fmt: skip
    of = next(row for row in found["points"]
              if row["line"] == "random" and row["candidates"] == FULL_BUDGET)  # fmt: skip
    seconds = lab.timed({"random": (by["random"], FULL_BUDGET),
                         "auto": (by["auto"], int(reach["reached"]))})  # fmt: skip
    return {
        "nfe_ratio": round(at["nfe"] / of["nfe"], 4),
        "seconds_ratio": round(seconds["auto"] / seconds["random"], 4),
        "checker_delta": reach["checker_delta"]["value"],
        "auto_candidates": reach["reached"],
        "seconds_a_prompt": {name: round(s, 3) for name, s in seconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="20 prompts, Random and auto alone")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--stage", choices=[*STAGES], default="2")
    parser.add_argument("--prompts", type=int, help="default: 32 in stage 1, otherwise 64")
    parser.add_argument("--seeds", type=int, help="default: 2 in stage 1, 3 in stage 2, else 1")
    parser.add_argument("--also", action="append", default=[], metavar="ALGORITHM")
    parser.add_argument("--verifier", default="ensemble", help="or imagereward, the preference")
    parser.add_argument("--out", type=Path, default=Path("runs/efficiency"))
    parser.add_argument("--record", type=Path, help="folder for figures and plots")
    asked = parser.parse_args()
    name = "quick" if asked.quick else asked.stage
    model, prompts, seeds, presets = STAGES.get(name, ("shapes", 20, 1, QUICK))
    presets = [*presets, *(Preset(also, (4, 8, 16, 32, 64)) for also in asked.also)]
    texts = [each.prompt for each in chosen(asked.prompts or prompts)]
    lab = Laboratory(model, asked.verifier, texts, range(asked.seeds or seeds), asked.out)
    began = time.monotonic()
    found = measured(lab, presets)
    found |= headline(lab, found, presets) if "auto" in found["reach"] else {}
    found["hours"] = round((time.monotonic() - began) / 3600, 2)
    if asked.record:
        name = f"efficiency-{f'stage{name}' if name.isdigit() else name}-{asked.verifier}"
        record(asked.record, name, found)
        for cost in ("nfe", "seconds"):
            drawn = Plot(y=("value", "right"))
            drawn = drawn.model_copy(update={"x": cost})
            (asked.record / f"{name}-{cost}.svg").write_text(svg(found["points"], drawn))
    print(json.dumps(found, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
