"""The format of run folders, and the names that fields had in earlier formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = 2
# By format: the names of fields then, and their names now, in specs and in nodes of recipes.
EARLIER: Mapping[int, Mapping[str, str]] = {1: {"quality": "draft"}}
NAMES = {then: now for names in EARLIER.values() for then, now in names.items()}
# The same of an experiment's arms, which have no format number.
EARLIER_ARMS: Mapping[str, str] = {"batch": "rows"}


def current_spec(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a spec under the names of the current format.

    A format that is not known is left as it is, and refused where the spec is validated.
    """
    written = content.get("format")
    names = EARLIER.get(written) if isinstance(written, int) else None
    if names is None:
        return dict(content)
    return {**{names.get(name, name): value for name, value in content.items()}, "format": FORMAT}


def current_names(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return fields of a recipe's node, or of other settings, under the names of today.

    They have no format number: a resumed journal has nodes of several formats.
    """
    if NAMES.keys().isdisjoint(fields):
        return fields
    return {NAMES.get(name, name): value for name, value in fields.items()}


def current_arms(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of an experiment, or of its folder, under the names of today."""
    found = dict(content)
    if isinstance(content.get("defaults"), Mapping):
        found["defaults"] = _renamed(content["defaults"])
    if isinstance(content.get("arms"), list):
        found["arms"] = [_renamed(a) if isinstance(a, Mapping) else a for a in content["arms"]]
    return found


def _renamed(arm: Mapping[str, Any]) -> dict[str, Any]:
    return {EARLIER_ARMS.get(name, name): value for name, value in arm.items()}
