"""What docs/your-own-verifier.md says, line for line."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noisesearch.__main__ import main
from noisesearch.cli.tables import listed
from noisesearch.names import registry

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-verifier.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


FILE = re.compile(r"# (\w+\.py)\n")
CODE = [block for block in blocks("python") if not FILE.match(block)]
LINES = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files of the page; blocks of one file are its parts."""
    for block in blocks("python"):
        if named := FILE.match(block):
            with (tmp_path / named[1]).open("a") as file:
                file.write(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("mine", None)  # another page's
    yield tmp_path
    sys.modules.pop("mine", None)


def test_the_searches_of_the_page(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[str, Any] = {}
    for block in CODE:
        exec(block, known)
    vivid, usd = capsys.readouterr().out.split()
    assert float(vivid) > 0
    assert float(usd) == pytest.approx(0.06), "six candidates, the baseline one of them"
    assert set(known["climbed"].winner.parts) == {"light", "contrast"}
    assert known["climbed"].ledger["backward"] > 0
    assert known["alike"].population["size"] == 4


@pytest.mark.parametrize("line", LINES)
def test_the_commands_of_the_page(
    line: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "rerank" in line:
        made = next(other for other in LINES if shlex.split(line)[2] in other)
        run(made, monkeypatch)
    run(line, monkeypatch)
    assert "Traceback" not in capsys.readouterr().err


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line.replace("process:python", f"process:{sys.executable}"))
    assert words[0] == "noisesearch"
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code


def test_the_suite_of_the_page(here: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=here)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b[5-9] passed", done.stdout)


def test_the_entry_point_of_the_page(here: Path) -> None:
    (toml,) = blocks("toml")
    ((group, entries),) = tomllib.loads(toml)["project"]["entry-points"].items()
    package = here / "mine-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    lines = "".join(f"{name} = {target}\n" for name, target in entries.items())
    (package / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    (summary,) = [r["summary"] for r in listed("verifiers", "shapes") if r["name"] == "exposure"]
    assert summary == "Light near the middle, and contrast."
    assert registry.load("verifier", "exposure").__name__ == "Exposure"
    shutil.rmtree(package)
