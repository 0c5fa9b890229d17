"""Files of prompts that are searched shard by shard: rows, or one sentence about the first that
holds none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile import DEEP, TEXTS, Change, Damage, changes, damages, fuzz, values
from hypothesis import strategies as st
from test_readers import refused_or_read

from noisesearch.shards.prompt_files import PromptFile

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
EXAMPLES = [30, pytest.param(1000, marks=pytest.mark.slow)]
WHOLE: Mapping[str, bytes] = {
    ".txt": "a red circle\n# no\nzwei Kreise ◯\n".encode(),
    ".csv": b'prompt,group\na red circle,x\n"two, blue",y\n',
    ".jsonl": b'{"prompt": "a red circle", "n": 1}\n\n{"prompt": "b"}\n',
}
columns = st.sampled_from(["prompt", "a.b", "", "x" * 5000, "\ud800", "prompt.element"])


def every_row(file: Path, column: str = "prompt") -> None:
    """Reads all of it; what is read can be written again."""

    def read() -> None:
        for row in PromptFile(file, column):
            assert row.prompt.strip().encode(), row

    refused_or_read(read)


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("ending", WHOLE)
def test_damaged_texts(ending: str, examples: int, tmp_path: Path) -> None:
    file = tmp_path / f"p{ending}"

    def check(damage: Damage, column: str) -> None:
        file.write_bytes(damage.done(WHOLE[ending]))
        every_row(file)
        every_row(file, column)

    fuzz(check, examples, damage=damages, column=columns)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_lines_of_any_json(examples: int, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    for line in ("[" * DEEP, *(json.dumps({"prompt": text}) for text in TEXTS)):
        file.write_text(line)
        every_row(file)

    def check(change: Change) -> None:
        made = change.made({"prompt": "a red circle", "other": [1, {"prompt": "b"}]})
        file.write_text(f"{json.dumps(made)}\n{json.dumps({'prompt': change.value})}\n")
        every_row(file)

    fuzz(check, examples, change=changes)


def parquet(file: Path, table: Any) -> bytes:
    pq.write_table(table, file, row_group_size=2)
    return file.read_bytes()


# Columns of every kind of type, all named as the prompts' is.
TYPED: tuple[Any, ...] = (
    pa.array(["a", "b", None]),
    pa.array(["a", "b", ""], pa.large_string()),
    pa.array(["a", "b", "a"]).dictionary_encode(),
    pa.array([b"a", b"\xff", None], pa.binary()),
    pa.array([1, 2, None]),
    pa.array([0.5, float("nan"), None]),
    pa.array([True, None, False]),
    pa.array([None, None, None]),
    pa.array([10**9, None, 0], pa.timestamp("ns")),
    pa.array([2**60, None, -(2**62)], pa.timestamp("us")),
    pa.array([1, None, 2], pa.date32()),
    pa.array([["a"], [], None]),
    pa.array([{"element": "a"}, None, {"element": None}]),
    pa.array([[("a", "b")], None, []], pa.map_(pa.string(), pa.string())),
    pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")
    ),
    pa.array(["x" * 5_000_000]),
)


@pytest.mark.parametrize("number", range(len(TYPED)))
def test_columns_of_any_type(number: int, tmp_path: Path) -> None:
    file = tmp_path / "p.parquet"
    column = TYPED[number]
    for table in (
        pa.table({"prompt": column}),
        pa.table({"a.b": column, "other": column}),
        pa.Table.from_arrays([column, column], names=["prompt", "prompt"]),
        pa.table({"": column}),
        pa.table({"prompt": column}).slice(0, 0),
        pa.table({}),
    ):
        parquet(file, table)
        for name in ("prompt", "a.b", "", "a", "prompt.element", "other"):
            every_row(file, name)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_parquet(examples: int, tmp_path: Path) -> None:
    file = tmp_path / "p.parquet"
    whole = parquet(file, pa.table({"n": [1, 2, 3], "prompt": ["a red circle", "b", "c"]}))

    def check(damage: Damage) -> None:
        file.write_bytes(damage.done(whole))
        every_row(file)

    fuzz(check, examples, damage=damages)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_rows_of_any_value(examples: int, tmp_path: Path) -> None:
    file = tmp_path / "p.parquet"

    def check(rows: list[Any]) -> None:
        try:
            parquet(file, pa.table({"prompt": rows}))
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            return  # no column has all of these
        every_row(file)

    fuzz(check, examples, rows=st.one_of(
        st.lists(st.sampled_from(TEXTS)), st.lists(st.one_of(st.none(), values), max_size=3)
    ))  # fmt: skip
