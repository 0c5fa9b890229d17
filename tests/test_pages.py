"""Pages whose every block is executed, in the order in which they stand there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import noisesearch as ns
from page_reader import Reader


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Reader(monkeypatch)
    sys.modules.pop("mine", None)


def test_the_tutorial(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    done = reader.read("tutorial.md")
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "make it again: noisesearch show circle.png" in out
    assert "largest difference 0 of 255" in out
    assert "diffusers.FluxPipeline.from_pretrained" in out
    assert reader.known["result"].winner.score >= reader.known["result"].baseline.score
    assert {line.split()[1] for line in done} == {
        "generate", "show", "resume", "check-verifier", "rerank", "export", "compare"
    }  # fmt: skip


def test_looking(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    reader.run("noisesearch generate 'a red circle' --budget 6candidates --out runs/a")
    reader.read("looking.md")
    assert Path("again.png").exists()
    with Image.open("curve.png") as image:
        assert image.width > 500
    ns.remake("runs/a/best.png", "twice.png")
    assert Path("twice.png").read_bytes() == Path("again.png").read_bytes()


def test_data_out(reader: Reader) -> None:
    pytest.importorskip("pyarrow")
    reader.run(
        "noisesearch generate 'a red circle' 'two blue squares' --budget 8candidates --out runs/a"
    )
    reader.read("data-out.md")
    for name in ("runs/a/candidates.parquet", "runs/a/candidates.jsonl", "candidates.csv",
                 "runs/a/preferences.parquet", "pairs.csv"):  # fmt: skip
        assert Path(name).stat().st_size > 0


def test_choosing(reader: Reader) -> None:
    assert len(reader.read("choosing.md")) == 4
