"""The ten lines of docs/your-own-algorithm.md, through everything that the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

import noisesearch as ns
from noisesearch.experiments.compare import compare
from noisesearch.setup.selection import algorithm_of
from noisesearch.testing import AlgorithmContract, mixture

PAGE = Path(__file__).parents[2] / "docs" / "your-own-algorithm.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
MODEL = "noisesearch.testing.mixture_model:MixtureModel"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE[0])
    return tmp_path / "mine.py"


class TestCrossing(AlgorithmContract):
    settings: ClassVar = {}

    @pytest.fixture
    def algorithm(self, file: Path) -> Any:
        return algorithm_of(f"{file}:crossing", {})


def test_it_has_ten_lines() -> None:
    body = CODE[0].split("def crossing")[1].splitlines()[1:]
    assert len([line for line in body if line.strip()]) <= 10


def test_the_plane_of_the_page(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    exec(CODE[1], {})
    assert (tmp_path / "plane.png").exists()
    assert "yield 1" in capsys.readouterr().out


def test_search_resume_and_pictures(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = ns.search("two blue squares", model=MODEL, algorithm=f"{file}:crossing",
                       budget="12candidates", out=out)  # fmt: skip
    assert (out / "grid.png").exists() and (out / "best.png").exists()
    (again,) = ns.resume(out)
    assert again.winner.trajectory == result.winner.trajectory
    assert result.winner.score >= result.baseline.score


def test_compared(file: Path, tmp_path: Path) -> None:
    found = compare(["random", f"{file}:crossing"], ["a", "b", "c"], ["8candidates"],
                    tmp_path / "out", MODEL)  # fmt: skip
    assert [arm.algorithm for arm in found.arms] == ["no search", "random", "crossing"]
    assert found.arms[2].nfe <= 48


def test_in_the_plane_it_mixes_the_best_two(file: Path) -> None:
    plane = mixture(budget=160)
    plane.run(algorithm_of(f"{file}:crossing", {}))
    mixed = [r.trajectory.noise for r in plane.replies if r.trajectory.noise.op == "mix"]
    firsts = sorted((r for r in plane.replies if r.trajectory.noise.op == "gaussian"),
                    key=lambda r: -r.parts["near"])  # fmt: skip
    assert len(mixed) == 9
    assert {m.children for m in mixed} == {tuple(r.trajectory.noise for r in firsts[:2])}
