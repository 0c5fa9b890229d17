"""Prompts from a file that may be larger than memory: text, CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, unknown

ENDINGS = (".txt", ".csv", ".jsonl", ".parquet")
PROMPT = "prompt"  # the column that is read unless another is named
GROUP = 1024  # rows of a Parquet file that are in memory at once


class PromptRow(NamedTuple):
    """``number``: its line in the file, of Parquet its row; from 1."""

    number: int
    prompt: str


@dataclass(frozen=True)
class PromptFile:
    """A file of prompts, read anew by every loop over it and never held as a whole.

    ``.txt`` has one a line (empty lines and those that begin with ``#`` are left out), ``.csv`` a
    header, ``.jsonl`` an object a line; in these and in ``.parquet`` prompts are in ``column``.
    """

    path: Path
    column: str = PROMPT

    def __iter__(self) -> Iterator[PromptRow]:
        """All rows; ConfigError for the first that holds no prompt, by its number."""
        read = {".txt": self._text, ".csv": self._csv, ".jsonl": self._jsonl,
                ".parquet": self._parquet}[self.path.suffix]  # fmt: skip
        try:
            for number, value in read():
                if not isinstance(value, str) or not value.strip():
                    found = "is empty" if value is None or value == "" else f"is {value!r:.40}"
                    raise self.broken(number, f"its {self.column} {found}, but must be a text")
                if any("\ud800" <= letter <= "\udfff" for letter in value):
                    # Halves of letters, of which no file can be written.
                    raise self.broken(number, f"its {self.column} {value!r:.40} is no unicode")
                yield PromptRow(number, value.strip())
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
            raise ConfigError(
                f"prompts file {self.path} cannot be read ({reason[0].lower()}{reason[1:]}); give "
                f"a file that ends with {', '.join(ENDINGS)}"
            ) from error

    def shards(self, size: int, limit: int | None = None) -> Iterator[list[PromptRow]]:
        """The rows, or the first ``limit``, in lists of ``size``; the last may be shorter."""
        rows = islice(self, limit)
        while shard := list(islice(rows, size)):
            yield shard

    def at(self, number: int) -> str:
        """How a row is called."""
        kind = "row" if self.path.suffix == ".parquet" else "line"
        return f"{kind} {number} of {self.path}"

    def broken(self, number: int, why: str) -> ConfigError:
        return ConfigError(f"{self.at(number)}: {why}; mend or remove it")

    def _text(self) -> Iterator[tuple[int, Any]]:
        with self.path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if (text := line.strip()) and not text.startswith("#"):
                    yield number, text

    def _csv(self) -> Iterator[tuple[int, Any]]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            try:
                self._check(reader.fieldnames or ())
                for row in reader:
                    yield reader.line_num, row[self.column]
            except csv.Error as error:
                # The reader has counted what it could read.
                raise self.broken(reader.line_num + 1, f"it is no CSV ({error})") from error

    def _jsonl(self) -> Iterator[tuple[int, Any]]:
        with self.path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    found = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise self.broken(number, f"it is no JSON ({error})") from error
                if not isinstance(found, dict):
                    raise self.broken(number, f'it is no object such as {{"{PROMPT}": "…"}}')
                if self.column not in found:
                    raise self.broken(number, f"it has no {self.column!r}")
                yield number, found[self.column]

    def _parquet(self) -> Iterator[tuple[int, Any]]:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise ConfigError(
                "Parquet needs pyarrow, which is not installed; pip install 'noisesearch[data]', "
                "or give the prompts as .jsonl, .csv or .txt"
            ) from error
        try:
            with self.path.open("rb") as raw, pq.ParquetFile(raw) as file:
                names = file.schema_arrow.names
                self._check(names)
                kind = file.schema_arrow.types[names.index(self.column)]
                if not _holds_texts(kind):
                    raise ConfigError(
                        f"column {self.column!r} of {self.path} holds {kind!s:.40}, but "
                        "prompts are texts; name the one with the prompts: --column NAME"
                    )
                number = 0
                for batch in file.iter_batches(GROUP, columns=[self.column]):
                    for value in batch.column(0).to_pylist():
                        number += 1
                        yield number, value
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the system's, about the file itself
            raise ConfigError(
                f"prompts file {self.path} is no Parquet ({str(error).splitlines()[0]}); write it "
                "again"
            ) from error

    def _check(self, columns: Any) -> None:
        if self.column not in columns:
            error = unknown(f"column of {self.path}", self.column, columns)
            raise ConfigError(f"{error}; name the one with the prompts: --column NAME")


def _holds_texts(kind: Any) -> bool:
    """True of a column of strings, however they are kept, and of one of nothing, whose rows are
    refused by number."""
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    texts = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    return any(of(kind) for of in texts)
