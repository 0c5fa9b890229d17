"""Reads the prompts that ``--prompts`` names: a text file, or a benchmark's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError
from .compbench import prompts as compbench
from .prompts import drawbench, vbench
from .prompts.prompt_set import Prompt, PromptSet
from .prompts.sources import lines_of

# How the prompts of each benchmark are read from a place that the user names.
BENCHMARKS: dict[str, Callable[[str], tuple[Prompt, ...]]] = {
    "drawbench": drawbench.prompts,
    "compbench": compbench.prompts,
    "vbench": vbench.prompts,
}


def read(given: str) -> PromptSet:
    """The prompts of a file with one a line, or of a benchmark; ConfigError otherwise.

    A benchmark is written ``drawbench:FILE``, ``compbench:FOLDER/spatial_val`` or ``vbench``, and
    one category of it with ``#`` behind: ``vbench#color``. Lines of a plain file that begin with
    ``#`` are left out.
    """
    whole, mark, category = given.partition("#")
    name, _, place = whole.partition(":")
    file = Path(given).expanduser()
    if name not in BENCHMARKS or file.is_file():
        return PromptSet(given, _plain(file))
    found = PromptSet(whole, BENCHMARKS[name](place))
    return found.only(category) if mark else found


def _plain(path: Path) -> tuple[Prompt, ...]:
    found = tuple(Prompt(line) for line in lines_of(path) if not line.startswith("#"))
    if not found:
        raise ConfigError(f"prompts file {path} has no prompt; write one a line")
    return found
