"""Files of prompts: what is read and refused, shards, results, going on after an interrupt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch import ConfigError, StoreError
from noisesearch.runs.run import Run
from noisesearch.setup.request import Request
from noisesearch.shards.prompt_files import PromptFile
from noisesearch.shards.sharded import Sharded
from noisesearch.testing import MixtureModel

PROMPTS = [f"prompt {i}" for i in range(7)]
SETTINGS: dict[str, Any] = {
    "model": MixtureModel(), "algorithm": "zero-order", "budget": "5candidates", "rows": 4,
    "steps": 2, "dtype": "float32", "device": "cpu",
}  # fmt: skip


def written(folder: Path, form: str, prompts: list[str] = PROMPTS) -> Path:
    """A file of prompts of some kind, with a column beside."""
    path = folder / f"prompts.{form}"
    if form == "txt":
        path.write_text("# a remark\n\n" + "\n".join(prompts))
    elif form == "csv":
        path.write_text("id,prompt\n" + "".join(f'{i},"{p}"\n' for i, p in enumerate(prompts)))
    elif form == "jsonl":
        lines = (json.dumps({"id": i, "prompt": p}) for i, p in enumerate(prompts))
        path.write_text("\n".join(lines))
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"id": list(range(len(prompts))), "prompt": prompts}), path)
    return path


def sharded(file: Path, size: int = 3, **settings: Any) -> Sharded:
    """With the fields of a Request over the usual ones."""
    return Sharded(PromptFile(file), Request((), **{**SETTINGS, **settings}), size)


def searched(whole: Sharded, folder: Path) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return whole.run(folder, said.append, lambda run: nullcontext()), said


def rows(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "results").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("form", ["txt", "csv", "jsonl", "parquet"])
def test_every_kind_of_file_has_the_same_prompts(form: str, tmp_path: Path) -> None:
    file = PromptFile(written(tmp_path, form))
    assert [row.prompt for row in file] == PROMPTS
    shards = list(file.shards(3, limit=5))
    assert [[row.prompt for row in shard] for shard in shards] == [PROMPTS[:3], PROMPTS[3:5]]


def test_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    first = {form: next(iter(PromptFile(written(tmp_path, form)))).number
             for form in ("txt", "csv", "jsonl")}  # fmt: skip
    assert first == {"txt": 3, "csv": 2, "jsonl": 1}


BROKEN = {
    "not json": (
        "p.jsonl",
        '{"prompt": "a"}\n{"prompt": \n',
        "line 2 of .*p.jsonl: it is no JSON",
    ),
    "no object": ("p.jsonl", '"a"\n', "line 1 of .*it is no object"),
    "no column": ("p.jsonl", '{"prompt": "a"}\n\n{"text": "b"}\n', "line 3 .*has no 'prompt'"),
    "a number": ("p.jsonl", '{"prompt": 7}\n', "line 1 .*its prompt is 7, but must be a text"),
    "half a letter": (
        "p.jsonl",
        '{"prompt": "\\ud800"}\n',
        r"line 1 .*its prompt .* is no unicode",
    ),
    "nested": ("p.jsonl", "[" * 100_000 + "\n", "line 1 of .*it is no JSON"),
    "empty": ("p.csv", "id,prompt\n1,a\n2,\n", "line 3 of .*its prompt is empty"),
    "short": ("p.csv", "id,prompt\n1,a\n2\n", "line 3 of .*its prompt is empty"),
    "header": ("p.csv", "id,text\n1,a\n", "unknown column .*'prompt'.*id, text.*--column NAME"),
    "quote": ("p.csv", 'id,prompt\n1,"a\n', "line 2 of .*it is no CSV"),
    "nothing": ("p.txt", "# a remark\n\n", "has no prompt; write at least one"),
    "no header": ("p.csv", "", "unknown column .*known are none"),
    "no parquet": ("p.parquet", "PAR1?", "prompts file .*p.parquet is no Parquet"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_by_line(what: str, tmp_path: Path) -> None:
    """Before anything is loaded or there is a folder."""
    name, text, sentence = BROKEN[what]
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        searched(sharded(tmp_path / name), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_parquet_is_refused(tmp_path: Path) -> None:
    """By what is wrong with it: its columns, or its bytes, which are no text in any case."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "p.parquet"
    pq.write_table(pa.table({"prompt": pa.array([2**60], pa.timestamp("us"))}), file)
    with pytest.raises(ConfigError, match=r"'prompt' of .* holds timestamp.*--column NAME"):
        assert sharded(file).count
    pq.write_table(pa.table({"prompt": ["a"]}), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] + bytes(9) + whole[len(whole) // 2 :])
    with pytest.raises(ConfigError, match=r"is no Parquet .*thrift"):
        assert sharded(file).count


def test_what_is_no_text_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        assert sharded(tmp_path / "p.txt").count
    for name in ("none.txt", "none.csv", "none.parquet"):
        with pytest.raises(ConfigError, match=r"cannot be read .no such file"):
            assert sharded(tmp_path / name).count


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"budget": "640nfe/run"}, "give it for each prompt"),
    ({"budget": "30s"}, "give it for each prompt"),
    ({"allocate": "gain"}, "without --allocate"),
    ({"algorithm": "population"}, "one search of all prompts"),
    ({"start_seed": 3}, "one picture's"),
    ({"budget": "1nfe"}, "too small"),
    ({"size": 2**64}, "shard is 18446744073709551616, but must be .* at most 4294967296"),
])  # fmt: skip
def test_what_a_file_of_prompts_cannot_have(
    settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        searched(sharded(written(tmp_path, "txt"), **settings), tmp_path / "out")


def test_a_prompt_that_the_model_cannot_read_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, "txt", ["a red circle", "a blue unicorn"])
    with pytest.raises(ConfigError, match=r"line 4 of .*prompts.txt: .*unicorn"):
        searched(sharded(file, 1, model="shapes-small"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_shards_are_what_one_run_is(tmp_path: Path) -> None:
    """Winners, scores and prices, whatever the size of a shard."""
    whole = ns.search(PROMPTS, **SETTINGS)
    expected = [(p, r.winner.score, r.baseline.score, r.winner.trajectory, r.ledger["nfe"])
                for p, r in zip(PROMPTS, whole, strict=True)]  # fmt: skip
    for size in (3, 7):
        found, said = searched(sharded(written(tmp_path, "txt"), size), tmp_path / str(size))
        got = rows(tmp_path / str(size))
        assert [(r["prompt"], r["score"], r["baseline_score"], r["trajectory"], r["nfe"])
                for r in got] == expected  # fmt: skip
        assert len(said) == found["shards"] == -(-7 // size) and found["complete"]
        assert found["score"] == pytest.approx(sum(e[1] for e in expected) / 7)
        assert found["nfe"] == sum(e[4] for e in expected)
        assert [r["row"] for r in got] == list(range(3, 10))
        beside = tmp_path / str(size) / "results"
        assert all(
            (beside / r[name]).is_file() for r in got for name in ("image", "baseline_image")
        )


def test_results_in_a_table(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    searched(sharded(written(tmp_path, "parquet"), top=2), tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "results" / "00000.parquet").to_pylist()
    assert [r["rank"] for r in table] == [1, 2] * 3
    assert table[0]["part_brightness"] is not None and table[0]["score"] >= table[1]["score"]


class Stopped:
    """A watcher that interrupts after so many replies, over all shards."""

    def __init__(self, after: int) -> None:
        self.left = after

    def replied(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def improved(self, *_: object) -> None: ...

    @contextmanager
    def __call__(self, run: Run) -> Iterator[Stopped]:
        yield self


@pytest.mark.parametrize("after", [2, 19, 33])
def test_an_interrupt_loses_nothing(after: int, tmp_path: Path) -> None:
    """The rows are those of a job that was never stopped, byte for byte, and nothing that was
    answered is asked again."""
    file = written(tmp_path, "jsonl")
    searched(sharded(file), tmp_path / "whole")
    stopped, folder = Stopped(after), tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        sharded(file).run(folder, lambda sentence: None, stopped)
    found, _ = searched(sharded(file), folder)
    assert found["complete"] and rows(folder) == rows(tmp_path / "whole")
    again = [json.loads(line)["reply"]
             for path in folder.glob("shards/*/journal.jsonl")
             for line in path.read_text().splitlines() if '"reply"' in line]  # fmt: skip
    assert len(again) == len(set(again))


def test_rows_that_were_not_marked_done_are_written_again(tmp_path: Path) -> None:
    """A process that dies between the rows and the mark, or in the middle of the rows."""
    file, folder = written(tmp_path, "txt"), tmp_path / "out"
    searched(sharded(file), folder)
    expected = rows(folder)
    (folder / "shards" / "00001" / "done.json").unlink()
    (folder / "results" / "00001.jsonl").unlink()
    searched(sharded(file), folder)
    assert rows(folder) == expected


def test_it_goes_on_only_as_it_was_begun(tmp_path: Path) -> None:
    file, folder = written(tmp_path, "txt"), tmp_path / "out"
    searched(sharded(file), folder)
    with pytest.raises(
        ConfigError, match=r"begun otherwise: shard was 3, is 4; give the settings"
    ):
        searched(sharded(file, 4), folder)
    with pytest.raises(ConfigError, match="begun otherwise: seed was 0, is 1"):
        searched(sharded(file, seed=1), folder)
    file.write_text("\n".join([*PROMPTS[:-1], "another"]))
    with pytest.raises(ConfigError, match="begun otherwise: prompts was"):
        searched(sharded(file), folder)


def test_somebody_elses_folder_stays_as_it_is(tmp_path: Path) -> None:
    file, folder = written(tmp_path, "txt"), tmp_path / "out"
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(StoreError, match="holds no prompts searched by shards"):
        searched(sharded(file), folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]
