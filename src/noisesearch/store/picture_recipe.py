"""The recipe that a picture's file carries: how it was made, read again and made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..candidates.trajectory import FULL, Denoise, Graph, Trajectory, nodes
from ..errors import ConfigError, first_of
from ..files import pictures
from ..files.json_text import parsed
from ..names.options import sentence
from .formats import current_names, current_spec
from .run_store import RunStore, read_spec
from .spec import RunSpec

SHEETS = ("best.png", "grid.png")  # of several pictures, unless a run has one condition
TRAJECTORY, RECIPE = "trajectory", "recipe"  # fields of the file
# Readers of PNG refuse a text of more than a mebibyte, and a picture should not be mostly recipe:
# the recipe of a longer one (some 1,500 rounds) is in its run's journal alone.
MOST = 2**18  # characters
# What was searched for and scored is no part of how a picture is made.
BESIDE = {
    "conditions", "verifiers", "watch", "guard", "guarded", "objective", "scales", "start",
}  # fmt: skip


def fields_of(trajectory: Trajectory, spec: RunSpec) -> dict[str, str]:
    """What a picture's file says: the key, and the settings and nodes that it is made of."""
    found, length = [], 0
    for node in nodes(trajectory, set()):
        found.append({"node": node.key, **node.line()})
        length += len(str(found[-1]))
        if length > MOST:
            return {TRAJECTORY: trajectory.key}
    settings = spec.model_dump(exclude=BESIDE, exclude_defaults=True)
    settings |= {"format": spec.format, "version": spec.version, "fingerprints": _made(spec)}
    recipe = json.dumps({"settings": settings, "nodes": found}, separators=(",", ":"))
    return {TRAJECTORY: trajectory.key, RECIPE: recipe}


def _made(spec: RunSpec) -> dict[str, str]:
    """The fingerprints of what makes pictures; what scores them does not change them."""
    prints = spec.fingerprints.items()
    return {name: of for name, of in prints if name.startswith(("model ", "draft "))}


@dataclass(frozen=True)
class Pictured:
    """A picture's file and the recipe in it.

    ``folder``: the run that it lies in, if it does; there the journal knows its scores too.
    """

    path: Path
    trajectory: Trajectory
    spec: RunSpec
    folder: Path | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Pictured:
        """ConfigError where the file is no picture of ours."""
        try:
            said = pictures.texts(path)
        except ConfigError as error:
            raise ConfigError(f"{error}; give a run folder or one of its pictures") from error
        if TRAJECTORY not in said:
            raise _without(path)
        key, folder = said[TRAJECTORY], _run_of(path)
        known = RunStore(folder, write=False) if folder is not None else None
        if RECIPE in said:
            graph, settings = _parsed(said[RECIPE], path)
        elif known is not None:
            graph, settings = known.graph(), read_spec(known.folder)
        else:
            raise ConfigError(
                f"{path} names its trajectory ({key}) but not its recipe, which is in the journal "
                "of its run; give the file in the run's samples/"
            )
        trajectory = graph.trajectory(key)
        reply = None if known is None else known.seen(trajectory, ())
        spec = _validated(settings, trajectory, path)
        return cls(path, trajectory, spec, folder, {} if reply is None else reply.parts)

    @property
    def noises(self) -> list[str]:
        """The operations that made its start noise, first to last."""
        return [n.op for n in nodes(self.trajectory, set()) if not isinstance(n, Trajectory)]

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """Its recipe, node by node."""
        return [{"node": n.key, **n.line()} for n in nodes(self.trajectory, set())]

    def json(self) -> dict[str, Any]:
        return {
            "image": str(self.path),
            "trajectory": self.trajectory.key,
            "condition": self.trajectory.condition.json(),
            "run": None if self.folder is None else str(self.folder),
            "parts": dict(self.parts),
            "settings": self.spec.model_dump(exclude=BESIDE),
            "recipe": self.lines,
        }

    def about(self) -> dict[str, str]:
        """What it is, a line each, for people."""
        t, spec = self.trajectory, self.spec
        said = {
            "condition": str(t.condition), "negative": t.condition.negative or "",
            "model": " ".join(filter(None, (spec.model, spec.size))),
            "sampled": f"{t.steps} steps of {spec.solver}, guidance {spec.guidance:g}, "
                       f"{spec.dtype} on {spec.device}",
            "draft": "" if t.draft == FULL else t.draft,
            "noise": _counted(self.noises), "moves": _moves(t), "trajectory": t.key,
            "found by": f"{spec.algorithm}, seed {spec.seed}, budget {spec.budget}, noisesearch "
                        f"{spec.version}",
            "scores": ", ".join(f"{name} {value:.3f}" for name, value in self.parts.items()),
        }  # fmt: skip
        return {name: text for name, text in said.items() if text}


def _run_of(path: Path) -> Path | None:
    """The run folder that a picture lies in, or in the samples of."""
    folders = (path.parent, path.parent.parent)
    return next((folder for folder in folders if (folder / "spec.json").is_file()), None)


def _without(path: Path) -> ConfigError:
    """What to do with a picture that carries no recipe."""
    folder = _run_of(path)
    winners = [] if folder is None else sorted(_winners(folder))
    if path.name in SHEETS and winners:
        return ConfigError(
            f"{path} shows several pictures, each of which has a recipe of its own; give one: "
            f"{first_of(winners)}"
        )
    return ConfigError(
        f"{path} carries no recipe: it is no sample of noisesearch, or was saved again by a "
        "program that leaves such texts out; give the file from a run's samples/"
    )


def _winners(folder: Path) -> list[str]:
    """The files of a run's winners, as far as they are known."""
    try:
        searches = parsed((folder / "winners.json").read_text())["searches"]
    except (OSError, ValueError, KeyError):
        return []
    return [str(folder / "samples" / f"{s['winner']['trajectory']}.png") for s in searches]


def _parsed(text: str, path: Path) -> tuple[Graph, dict[str, Any]]:
    graph = Graph()
    try:
        recipe = parsed(text)
        for line in recipe["nodes"]:
            graph.add(line.pop("node"), current_names(line))
        return graph, current_spec(recipe["settings"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the recipe in {path} cannot be read ({error}); take the file from the run again"
        ) from error


def _validated(settings: dict[str, Any], trajectory: Trajectory, path: Path) -> RunSpec:
    """The settings with this condition alone and nobody to score it, of whatever version."""
    alone = {"conditions": [trajectory.condition.json()], "verifiers": []}
    made = {name: of for name, of in settings.items() if name not in BESIDE}
    try:
        return RunSpec.model_validate({**made, **alone})
    except ValidationError as error:
        version = settings.get("version")
        raise ConfigError(
            f"the settings in {path} cannot be read ({sentence(error)}); it was made by "
            f"noisesearch {version}: pip install noisesearch=={version}"
        ) from error


def _counted(operations: list[str]) -> str:
    """Such as ``gaussian, neighbour ×3``."""
    runs: list[list[str]] = []
    for name in operations:
        if runs and runs[-1][0] == name:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(run[0] + (f" ×{len(run)}" if len(run) > 1 else "") for run in runs)


def _moves(trajectory: Trajectory) -> str:
    """Such as ``denoise to level 9, renoise to 0.89, denoise to level 10``."""
    return ", ".join(
        f"denoise to level {m.to}" if isinstance(m, Denoise) else f"renoise to {m.grid.start:g}"
        for m in trajectory.moves
    )
