"""How to get a picture again: the command that makes it, the recipe that it follows from."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from ..algorithms.capabilities import drafts
from ..candidates.condition import Condition
from ..candidates.trajectory import FULL, Denoise, Renoise, Trajectory, nodes
from ..names import registry
from ..setup.selection import algorithm_of
from ..store.spec import RunSpec


def command(spec: RunSpec, out: str = "again") -> str | None:
    """The `generate` line of a run; None where the command line cannot say it: Python objects,
    first noises of the user's own, images that a pipeline was given, drafts beside each other."""
    given = any("image" in c for c in spec.conditions)
    beside = set(spec.drafts) - {spec.draft, *_own_drafts(spec)}
    if any(spec.objects.values()) or spec.start is not None or given or beside:
        return None
    words = ["noisesearch", "generate", *_conditions(spec), *_options(spec), "--out", out]
    return " ".join(shlex.quote(word) for word in words)


def _own_drafts(spec: RunSpec) -> Sequence[str]:
    """Those that the algorithm's settings name, and that its run loads without being told."""
    if spec.algorithm not in registry.TABLES["algorithm"]:
        return ()
    algorithm = algorithm_of(spec.algorithm, spec.parameters)
    return drafts(algorithm)


def _conditions(spec: RunSpec) -> Iterator[str]:
    conditions = [Condition(**c) for c in spec.conditions]
    named = [c for c in conditions if c.text is not None or c.label is not None]
    yield from map(str, named)
    if len(named) < len(conditions):
        yield "--unconditional"


def _options(spec: RunSpec) -> Iterator[str]:
    defaults = RunSpec.model_fields
    yield from ("--model", spec.model, "--verifier", ",".join(spec.verifiers))
    for option, names in (("--watch", spec.watch), ("--guard", spec.guard)):
        if names:
            yield from (option, ",".join(names))
    if spec.objective:
        yield from ("--objective", spec.objective)
    yield from ("--algorithm", spec.algorithm)
    for name, value in spec.parameters.items():
        if value is not None:
            yield from ("--set", f"{name}={_written(value)}")
    yield from ("--budget", str(spec.budget), "--seed", str(spec.seed))
    drafted = spec.draft != FULL
    steps = spec.final_steps if drafted else spec.steps
    yield from ("--steps", str(steps), "--guidance", f"{spec.guidance!r}", "--solver", spec.solver)
    if drafted:
        yield from ("--draft", spec.draft)
    elif spec.final_steps != spec.steps:
        yield from ("--final-steps", str(spec.final_steps))
    if spec.size:
        yield from ("--size", spec.size)
    negative = spec.conditions[0].get("negative")
    if negative is not None:
        yield from ("--negative", negative)
    for name, value in spec.call.items():
        yield from ("--call", f"{name}={_written(value)}")
    yield from ("--device", spec.device, "--dtype", spec.dtype, "--rows", str(spec.rows))
    for option, value, usual in (
        ("--memory", spec.memory, defaults["memory"].default),
        ("--top", spec.top, defaults["top"].default),
        ("--max-missing", spec.max_missing, defaults["max_missing"].default),
    ):
        if value != usual:
            yield from (option, str(value))
    for flag, wanted in (("--compile", spec.compile), ("--tiling", spec.tiling)):
        if wanted:
            yield flag


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def recipe(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Its nodes as the journal has them, children first: all that the sample follows from."""
    return [{"node": node.key, **node.line()} for node in nodes(trajectory, set())]


def in_words(trajectory: Trajectory) -> str:
    """One line: the start noise and the moves."""
    noise = trajectory.noise
    numbers = " ".join(f"{n:g}" if isinstance(n, float) else str(n) for n in noise.numbers)
    start = f"{noise.op} {numbers}"
    if noise.children:
        start += f" of {', '.join(child.key[:8] for child in noise.children)}"
    moves = list(map(_move, trajectory.moves))
    draft = "" if trajectory.draft == FULL else f" · draft {trajectory.draft}"
    return " → ".join([start, *moves]) + draft


def _move(move: Denoise | Renoise) -> str:
    if isinstance(move, Denoise):
        seeded = "" if move.seed is None else f" seed {move.seed}"
        turned = "".join(f" turned by seed {seed} to {cosine:g}" for seed, cosine in move.turns)
        return f"{move.to} steps{seeded}{turned}"
    return f"up to {move.grid.start:g} seed {move.seed}"
