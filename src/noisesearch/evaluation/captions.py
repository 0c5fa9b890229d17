"""What images of a folder should show, as people keep it: in files beside them, in the images, in
their names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..candidates.condition import Condition
from ..errors import ConfigError
from ..files.json_text import parsed
from ..files.pictures import opened
from ..store.spec import usable
from .check_verifier import condition_of

TABLES = ("metadata.jsonl", "metadata.csv")
FILE, PROMPT = ("file_name", "file", "image"), ("prompt", "text", "caption")
FIELDS = ("prompt", "Prompt", "Description", "Title")
_NUMBERED = re.compile(r"(?P<prompt>.*\s.*)_\d+")


def captions(folder: Path, paths: Sequence[Path]) -> list[Condition | None]:
    """The condition of each image; None where nothing says it.

    Looked for in turn: ``metadata.jsonl`` or ``metadata.csv`` in the image's folder or one above
    it, with a file's name and its prompt in a line, as data sets have them; or with a prompt
    alone, which is then that of all images below, as GenEval has it. The text fields of a PNG:
    our recipe, ``prompt``, and ``parameters``, as web interfaces write them. The file's name,
    where it is ``a red circle_000001.png``, as T2I-CompBench has it.
    """
    tables: dict[Path, dict[str, str]] = {}

    def table(at: Path) -> dict[str, str]:
        if at not in tables:
            tables[at] = _table(at)
        return tables[at]

    def beside(path: Path) -> str | None:
        for at in path.parents:
            known = table(at)
            named = known.get(path.relative_to(at).as_posix(), known.get(""))
            if named is not None or at == folder:
                return named
        return None

    return [condition_of(beside(path)) or _within(path) or _named(path) for path in paths]


def _table(folder: Path) -> dict[str, str]:
    """Prompts by file of a folder's table; under an empty name that of all files."""
    for name in TABLES:
        path = folder / name
        if path.is_file():
            try:
                text = path.read_text(encoding="utf-8-sig")
                rows = (
                    _lines(text) if path.suffix == ".jsonl" else csv.DictReader(text.split("\n"))
                )
                return dict(_pairs(path, rows))
            except (OSError, ValueError, csv.Error) as error:
                raise ConfigError(
                    f"{path} cannot be read ({error}); each line must have a file_name and a "
                    "prompt"
                ) from error
    return {}


def _lines(text: str) -> Iterator[Any]:
    return (parsed(line) for line in text.splitlines() if line.strip())


def _pairs(path: Path, rows: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(rows, 1):
        known: Mapping[str, Any] = row if isinstance(row, Mapping) else {}
        prompt = next((known[key] for key in PROMPT if isinstance(known.get(key), str)), None)
        if prompt is None:
            raise ConfigError(
                f"{path} has no prompt in record {number}; each needs a file_name and a prompt"
            )
        yield next((str(known[key]) for key in FILE if known.get(key)), ""), prompt


def _within(path: Path) -> Condition | None:
    """What the image's own text fields say."""
    try:
        with opened(path) as image:
            said = {str(name): text for name, text in image.info.items() if isinstance(text, str)}
    except ConfigError:
        return None  # no picture, which is said of all such together
    recipe = _json(said.get("noisesearch:recipe"))
    nodes = recipe.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if (condition := _recorded(node)) is not None:
            return condition
    for name in FIELDS:
        # Under the same name ComfyUI keeps a graph.
        if said.get(name, "").strip() and not _json(said[name]):
            return condition_of(said[name].strip())
    settings = re.split(r"^(?:Negative prompt|Steps): ", said.get("parameters", ""), flags=re.M)
    return condition_of(settings[0].strip() or None)


def _recorded(node: Any) -> Condition | None:
    """That of a recipe's node; None where it has none, or none that can be used."""
    content = node.get("condition") if isinstance(node, dict) else None
    try:
        return Condition(**usable(content)) if isinstance(content, dict) else None
    except ValueError:
        return None


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = parsed(text or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _named(path: Path) -> Condition | None:
    match = _NUMBERED.fullmatch(path.stem)
    return None if match is None else condition_of(match["prompt"])
