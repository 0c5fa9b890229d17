"""The paper's experiments (arXiv 2501.09732): each a spec in ``specs/``, at two scales."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from ..errors import unknown
from ..names import protocols, registry
from .spec import Experiment, experiment, read

Scale = Literal["embedded", "paper"]
SCALES: tuple[Scale, ...] = ("embedded", "paper")
JOINED = ("defaults", "assets", "about", "measure", "plot")  # tables that add to one another
SPECS = Path(str(files(__package__) / "specs"))
# What a trial has at most: enough that every algorithm runs, and no figure means anything.
TRIAL = {"limit": 2, "seeds": 1, "steps": 4, "final_steps": 6, "candidates": 16,
         "length": 2}  # fmt: skip


def ids() -> list[str]:
    """Return the ids of the paper's experiments, figures first, in the paper's order."""
    return [*registry.TABLES["experiment"]]


def tables(name: str) -> dict[str, Any]:
    """Return the tables of an experiment that is chosen by name, at all scales.

    A name stands for the path of a TOML file, for tables, or for a function that gives either.
    """
    target = registry.load("experiment", name)
    if protocols.makes(target):
        target = target()
    content = read(Path(target)) if isinstance(target, str | Path) else target
    protocols.check("experiment", name, content)
    return dict(content)


def listed() -> list[dict[str, Any]]:
    """Return objects with name, summary and question, third parties' experiments included."""
    found = ((name, tables(name)) for name in registry.names("experiment"))
    return [{"name": name, "summary": of["summary"], "question": of.get("question", "")}
            for name, of in found]  # fmt: skip


def reproduction(
    name: str,
    scale: str,
    assets: Mapping[str, str] | None = None,
    trial: bool = False,
    sizes: Mapping[str, int] | None = None,
) -> Experiment:
    """Return an experiment by name, such as one of the paper's, at a scale.

    With ``trial`` it is cut down to a few minutes, to see that everything is in place. ``sizes``:
    another ``limit`` of prompts, other ``seeds``.
    """
    found = tables(name)
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    spec = at_scale(found, scale)
    content = {**spec, "id": name, "scale": scale, **(sizes or {})}
    return experiment(smaller(content) if trial else content, assets)


def at_scale(content: Mapping[str, Any], scale: str) -> dict[str, Any]:
    """The tables of one scale: the setting that is named in ``extends``, over it the experiment's
    own, and of each what it has for this scale alone; claims add up."""
    base = content.get("extends")
    layers = [content] if base is None else [read(SPECS / "settings" / f"{base}.toml"), content]
    found: dict[str, Any] = {}
    for layer in layers:
        shared = {k: v for k, v in layer.items() if k not in (*SCALES, "extends")}
        for table in (shared, layer.get(scale, {})):
            for key, value in table.items():
                if key in JOINED:
                    found[key] = {**found.get(key, {}), **value}
                elif key == "claims":
                    found[key] = [*found.get(key, []), *value]
                else:
                    found[key] = value
    return found


def smaller(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same experiment in little: every arm, few prompts, steps and candidates; nothing is
    claimed of it. Of a sweep what is equal then is left out."""
    trial = {key: value for key, value in content.items() if key != "claims"}
    trial |= {"limit": TRIAL["limit"], "seeds": TRIAL["seeds"]}
    trial["defaults"] = _capped(content.get("defaults", {}))
    trial["arms"] = [_capped(arm) for arm in content["arms"]]
    return trial


def _capped(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _cap(key, value) for key, value in table.items()}


def _cap(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return list(dict.fromkeys(_cap(key, one) for one in value))
    if isinstance(value, Mapping):
        return _capped(value)
    return min(value, TRIAL[key]) if key in TRIAL and isinstance(value, int) else value
