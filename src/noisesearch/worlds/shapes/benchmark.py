"""The fixed prompts on which methods are compared, and how they were drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .prompts import describe
from .scene import (
    AND,
    COLOURS,
    HELD_OUT,
    RELATIONS,
    SHAPES,
    Spec,
    ThingGroup,
    is_reserved,
    sample_spec,
    spec_to_json,
)

__all__ = ["CATEGORIES", "BenchmarkPrompt", "build", "is_reserved", "load", "write"]

PATH = Path(__file__).with_name("benchmark.json")
SEED = 20240229
PER_CATEGORY = 50
SINGLES = 5  # prompts for one lone thing, which are too few to take many from training


@dataclass(frozen=True)
class BenchmarkPrompt:
    """One prompt of the benchmark and the ability it tests."""

    category: str
    prompt: str


@cache
def load() -> tuple[BenchmarkPrompt, ...]:
    """The benchmark's 300 prompts, 50 in each of the six categories, in a fixed order."""
    entries = json.loads(PATH.read_text("utf-8"))["prompts"]
    return tuple(BenchmarkPrompt(entry["category"], entry["prompt"]) for entry in entries)


def build(seed: int = SEED) -> dict[str, Any]:
    """The benchmark's file as drawn from the seed: all Specs differ, and only the category
    "held-out" asks for held-out combinations (and each of its prompts does)."""
    rng = np.random.default_rng(seed)
    seen: set[Spec] = set()
    prompts = []
    for category, draw in CATEGORIES.items():
        for index in range(PER_CATEGORY):
            spec = _fresh(draw, index, rng, seen, held_out=category == "held-out")
            seen.add(spec)
            prompts.append(
                {"category": category, "prompt": describe(spec, rng), "spec": spec_to_json(spec)}
            )
    return {"seed": seed, "prompts": prompts}


def write() -> None:
    """Write the benchmark's file anew, one prompt a line."""
    built = build()
    lines = ",\n".join(json.dumps(entry) for entry in built["prompts"])
    PATH.write_text(f'{{"seed": {built["seed"]}, "prompts": [\n{lines}\n]}}\n', "utf-8")


def _fresh(
    draw: Draw, index: int, rng: np.random.Generator, seen: set[Spec], held_out: bool
) -> Spec:
    while True:
        spec = draw(rng, index)
        if spec not in seen and spec.held_out == held_out:
            return spec


Draw = Callable[[np.random.Generator, int], Spec]


def _two(rng: np.random.Generator, options: tuple[str, ...]) -> tuple[str, str]:
    first, second = rng.permutation(len(options))[:2]
    return options[first], options[second]


def _one(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _colour(rng: np.random.Generator, index: int) -> Spec:
    """One thing, or two things that differ only in colour."""
    (first, second), shape = _two(rng, COLOURS), _one(rng, SHAPES)
    if index < SINGLES:
        return Spec((ThingGroup(1, first, shape),))
    return Spec((ThingGroup(1, first, shape), ThingGroup(1, second, shape)), AND)


def _shape(rng: np.random.Generator, index: int) -> Spec:
    """One thing, or two things that differ only in shape."""
    (first, second), colour = _two(rng, SHAPES), _one(rng, COLOURS)
    if index < SINGLES:
        return Spec((ThingGroup(1, colour, first),))
    return Spec((ThingGroup(1, colour, first), ThingGroup(1, colour, second)), AND)


def _pair(rng: np.random.Generator, counts: tuple[int, int], relation: str) -> Spec:
    """Two groups that differ in both colour and shape; one in five groups has no colour."""
    colours, shapes = _two(rng, COLOURS), _two(rng, SHAPES)
    groups = [
        ThingGroup(count, None if rng.random() < 0.2 else colour, shape)
        for count, colour, shape in zip(counts, colours, shapes, strict=True)
    ]
    return Spec(tuple(groups), relation)


def _spatial(rng: np.random.Generator, index: int) -> Spec:
    """Two lone things in a relation."""
    return _pair(rng, (1, 1), RELATIONS[index % len(RELATIONS)])


_COUNTS = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1))


def _numeracy(rng: np.random.Generator, index: int) -> Spec:
    """Two or three of the same, or two groups of three or four things in all."""
    if index < 3 * SINGLES:
        return Spec((ThingGroup(2 + index % 2, _one(rng, COLOURS), _one(rng, SHAPES)),))
    return _pair(rng, _COUNTS[index % len(_COUNTS)], AND)


def _complex(rng: np.random.Generator, index: int) -> Spec:
    """Two groups of three or four things in all, in a relation."""
    return _pair(rng, _COUNTS[index % len(_COUNTS)], RELATIONS[index % len(RELATIONS)])


def _held_out(rng: np.random.Generator, index: int) -> Spec:
    """Each held-out combination alone and then several of it; after that, any Spec with one."""
    combos = sorted(HELD_OUT)
    if index < 2 * len(combos):
        count = 1 if index < len(combos) else 2 + index % 2
        return Spec((ThingGroup(count, *combos[index % len(combos)]),))
    return sample_spec(rng, split="heldout")


CATEGORIES: dict[str, Draw] = {
    "colour": _colour,
    "shape": _shape,
    "spatial": _spatial,
    "numeracy": _numeracy,
    "complex": _complex,
    "held-out": _held_out,
}
