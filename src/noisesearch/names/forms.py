"""Things chosen by name, with settings, as text: ``clipscore(weights=/data/clip)``.

A value with commas, brackets or double quotes in it stands in double quotes, as JSON writes it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from .registry import TABLES
from .registry import with_absolute_path as whole

PROCESS = "process:"  # what a verifier in a process of its own begins with
NUMBER = re.compile(r"[+-]?[0-9.][0-9.e+-]*")  # no name begins so
DIGITS = 20  # of 2**64: of numbers from outside none has more


def numeral(text: str) -> int | None:
    """The whole number from 0 that a text is; None for any other text, and for more digits than
    anything here counts, which Python would not even read."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None


def written(text: str) -> tuple[str, dict[str, str]]:
    """(name, settings) of ``name`` or ``name(setting=value, …)``; ConfigError otherwise.

    A value may stand in double quotes. ``process:COMMAND`` is ``process(command=COMMAND)``.
    """
    if text.strip().startswith(PROCESS):
        return PROCESS[:-1], {"command": text.strip().removeprefix(PROCESS).strip()}
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return text.strip(), {}
    if not rest.endswith(")"):
        raise ConfigError(f"verifier {text!r} has a bracket that is not closed")
    found: dict[str, str] = {}
    for part in separated(rest[:-1]):
        key, mark, value = part.partition("=")
        if not mark:
            raise ConfigError(
                f"verifier {text!r} has the setting {part!r}, which must be written NAME=VALUE"
            )
        found[key.strip()] = _unquoted(value.strip())
    return name.strip(), found


def numbered(solver: str) -> tuple[str, str | None]:
    """Return (name, number) of a solver such as ``ddim:0.5``; None where no number is written.

    What follows the colon of the package's own names is always meant as a number, so that one
    that is none is refused as such; of other names it may be the name in a file or a module.
    """
    family, colon, rest = solver.partition(":")
    if family in TABLES["solver"]:
        return family, rest if colon else None
    family, colon, rest = solver.rpartition(":")
    return (family, rest) if colon and NUMBER.fullmatch(rest) else (solver, None)


def located_solver(solver: str) -> str:
    """Return a solver's name with the whole path of its file, where it is of one."""
    family, number = numbered(solver)
    located = whole(family) if ":" in family else family
    return located if number is None else f"{located}:{number}"


def short_name(text: str) -> str:
    """Return the name in the text of a model, a verifier or an algorithm: no settings, no folder
    and no module; the text itself where nothing else is in it."""
    try:
        name = written(text)[0]
    except ConfigError:  # the folder of a model may have brackets in its name
        name = text
    return name.rstrip("/").rpartition("/")[2].rpartition(":")[2] or text


def form(name: str, settings: Mapping[str, str]) -> str:
    """The text that :func:`written` reads as this name with these settings."""
    if not settings:
        return name
    return f"{name}({', '.join(f'{key}={_quoted(value)}' for key, value in settings.items())})"


def separated(text: str) -> list[str]:
    """The pieces between commas; those inside brackets or double quotes do not part."""
    parts, depth, quoted, escaped = [""], 0, False, False
    for letter in text:
        if letter == '"' and not escaped:
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
        escaped = quoted and letter == "\\" and not escaped
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts if p.strip()]


def with_absolute_paths(text: str) -> str:
    """The same with whole paths, so that a run is resumed from any folder."""
    name, given = written(text)
    if not given:
        return whole(name)
    settings = {key: _place(value) for key, value in given.items()}
    if name == PROCESS[:-1] and "command" in given:
        settings["command"] = _located_command(given["command"])
    return form(whole(name), settings)


def _place(value: str) -> str:
    """The whole path where the value is one; else, however long it is, the value."""
    path = os.path.expanduser(value)
    return str(Path(path).resolve()) if os.path.exists(path) else value


def _quoted(value: str) -> str:
    plain = value and value == value.strip() and not set(value) & set(',()"')
    return value if plain else json.dumps(value, ensure_ascii=False)


def _unquoted(value: str) -> str:
    try:
        return str(json.loads(value)) if value.startswith('"') else value
    except ValueError:  # a value that has quotes in it, and is not in quotes
        return value


def _located_command(command: str) -> str:
    """The command with the whole paths of its program, unless PATH knows it, and of its files."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command  # refused with a sentence where it is started
    for i, word in enumerate(words):
        path = Path(word).expanduser()
        if path.is_file() and (i > 0 or "/" in word):
            words[i] = str(path.absolute())  # an environment's python is a link that has to stay
    return shlex.join(words)
