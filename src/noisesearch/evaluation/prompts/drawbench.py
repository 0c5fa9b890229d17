"""DrawBench: 200 prompts in 11 categories (arXiv 2205.11487)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...files.json_text import parsed
from .prompt_set import Prompt
from .sources import PromptSource, one_of, text_of

TABLES = ("*.csv", "*.tsv", "*.jsonl", "*.json")
SOURCE = PromptSource(
    "DrawBench",
    "drawbench:FILE",
    "get the table with the columns Prompts and Category that is linked from the page of Imagen "
    "(https://imagen.research.google), as CSV, TSV or JSON lines",
    TABLES,
)
TEXTS, CATEGORIES = ("prompt", "prompts", "text", "caption"), ("category", "categories")


def prompts(given: str) -> tuple[Prompt, ...]:
    """Those of a table with a prompt and a category in each row; ConfigError says what is lacking.

    The columns are found by their names in any case: the copies that are about differ in them.
    """
    path = SOURCE.place(given)
    path = one_of(path, TABLES, SOURCE) if path.is_dir() else path
    found = []
    for number, row in enumerate(_rows(path, text_of(path)), start=1):
        cells = {str(name).strip().lower(): cell for name, cell in row.items() if name}
        texts = [cells[name] for name in TEXTS if name in cells]
        if not texts:
            raise SOURCE.refusal(
                f"{path} has no column with prompts ({', '.join(cells) or 'it has no columns'})"
            )
        text = " ".join(str(texts[0] or "").split())
        if not text:
            raise ConfigError(f"{path} has no prompt in row {number}; give a whole table")
        category = next((str(cells[name]).strip() for name in CATEGORIES if cells.get(name)), "")
        found.append(Prompt(text, (category,) if category else ()))
    if not found:
        raise SOURCE.refusal(f"{path} holds no prompts")
    return tuple(found)


def _rows(path: Path, text: str) -> list[Mapping[Any, Any]]:
    """Of a table, of a list, or of one object a line."""
    try:
        if path.suffix == ".json":
            found = parsed(text)
        elif path.suffix == ".jsonl":
            found = [parsed(line) for line in text.split("\n") if line.strip()]
        else:
            mark = "\t" if path.suffix == ".tsv" else ","
            found = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=mark))
    except (ValueError, csv.Error) as error:
        raise SOURCE.refusal(f"{path} cannot be read as a table ({error})") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise SOURCE.refusal(f"{path} is no list of objects with a prompt in each")
    return found
