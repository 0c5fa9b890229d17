"""What docs/your-own-solver.md says, line for line."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from noisesearch.__main__ import main
from noisesearch.names.registry import TABLES
from noisesearch.sampling.solvers import solver
from noisesearch.testing import SolverContract

PAGE = (Path(__file__).parents[1] / "docs" / "your-own-solver.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the page, whose blocks are its parts, in the working directory."""
    (tmp_path / "mine.py").write_text("".join(blocks("python")))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.py"


class TestExponential(SolverContract):
    @pytest.fixture
    def solver(self, file: Path) -> Any:
        return solver(f"{file}:Exponential", code=True)


def test_the_commands_of_the_page(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in "".join(blocks("sh")).splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code, line
    said = capsys.readouterr()
    assert "Traceback" not in said.err and "contrast" in said.out


def test_the_groups_of_the_page_are_those_of_the_registry() -> None:
    (text,) = blocks("toml")
    named = {*tomllib.loads(text)["project"]["entry-points"]}
    named |= set(re.findall(r"`(noisesearch\.[a-z]+)`", PAGE))
    assert named >= {f"noisesearch.{kind}s" for kind in TABLES}
