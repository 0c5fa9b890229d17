"""Drafts as text: named ways to a cheaper sample of the same noise.

``steps:8+cache:0.1`` is eight steps through a first-block cache. The canonical text is the
*draft* of a trajectory, and part of its key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import ConfigError, unknown
from . import registry
from .forms import numeral

EXAMPLES = {"steps": "steps:8", "model": "model:shapes-small", "lora": "lora:lcm.safetensors",
            "guidance": "guidance:1", "size": "size:512x512", "skip": "skip:3,5",
            "cache": "cache:0.1"}  # fmt: skip
SIZE = re.compile(r"[0-9]{1,6}x[0-9]{1,6}")
# A plus sign in a path is one unless a part of a draft follows.
BETWEEN = re.compile(rf"\+(?=(?:{'|'.join(EXAMPLES)}):)")


@dataclass(frozen=True)
class Draft:
    """What is cheaper; None and empty are as in the full sample.

    ``steps`` of the grid; ``model``, another network on the same noise; ``lora``, a file of
    adapters; ``guidance``, its scale; ``size`` WIDTHxHEIGHT, from the noise summed over the places
    that it puts together; ``skip``, layers left out, counted from 0; ``cache``, the threshold of
    the first-block cache.
    """

    steps: int | None = None
    model: str = ""
    lora: str = ""
    guidance: float | None = None
    size: str = ""
    skip: tuple[int, ...] = ()
    cache: float | None = None

    def __str__(self) -> str:
        """The canonical text."""
        said = []
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and value not in ("", ()):
                text = ",".join(map(str, value)) if isinstance(value, tuple) else _plain(value)
                said.append(f"{each.name}:{text}")
        return "+".join(said)


def parse(text: str, named: Mapping[str, str] | None = None) -> Draft:
    """A draft from its text, or from the name that a model has for it (``named``)."""
    if not isinstance(text, str):
        raise ConfigError(f"draft is {text!r}, but must be text such as steps:8")
    named = named or {}
    text = named.get(text, text).strip()
    found: dict[str, Any] = {}
    for part in BETWEEN.split(text):
        kind, mark, value = part.partition(":")
        if kind not in READERS or not mark:
            raise unknown("draft", text, [*named, *EXAMPLES.values()])
        if kind in found:
            raise ConfigError(f"draft {text!r} says {kind} twice; say it once")
        try:
            found[kind] = READERS[kind](value)
        except ValueError as error:
            raise ConfigError(
                f"draft {text!r}: {kind} is {value!r}, but must be {error}, such as "
                f"{EXAMPLES[kind]}"
            ) from error
    return Draft(**found)


def usual(steps: int, cached: bool) -> dict[str, str]:
    """Names that a model of so many steps has for drafts where its maker gives none; ``cached``
    where its network can have a first-block cache."""
    names = {"half": f"steps:{-(-steps // 2)}", "quarter": f"steps:{-(-steps // 4)}"}
    return {**names, "cached": "cache:0.1"} if cached else names


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _steps(value: str) -> int:
    number = numeral(value)
    if not number:
        raise ValueError("a number of steps of at least 1")
    return number


def _model(value: str) -> str:
    if not value:
        raise ValueError("a model's name or folder")
    # The whole path, so that a run is resumed from any folder.
    return registry.with_absolute_path(str(Path(value).expanduser()))


def _file(value: str) -> str:
    if not value:
        raise ValueError("a file")
    return str(Path(value).expanduser().resolve())


def _number(least: float, what: str) -> Callable[[str], float]:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= least):
            raise ValueError(what)
        return number

    return read


def _size(value: str) -> str:
    if not SIZE.fullmatch(value):
        raise ValueError("WIDTHxHEIGHT")
    return value


def _skip(value: str) -> tuple[int, ...]:
    given = [numeral(each) for each in value.split(",")]
    layers = {number for number in given if number is not None}
    if None in given:
        raise ValueError("numbers of layers, from 0, separated by commas")
    return tuple(sorted(layers))


READERS: dict[str, Callable[[str], Any]] = {
    "steps": _steps,
    "model": _model,
    "lora": _file,
    "guidance": _number(-math.inf, "a number"),
    "size": _size,
    "skip": _skip,
    "cache": _number(0.0, "a threshold of at least 0"),
}
