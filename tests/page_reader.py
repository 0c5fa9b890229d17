"""Pages of the documentation, executed as a reader would: block by block, in one folder."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noisesearch.__main__ import main

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"# (\w+)\.py\n")


class Reader:
    """Runs the blocks of pages in the current folder.

    A block that begins with ``# name.py`` is a part of that file, other Python is one session,
    lines of the shell are commands of ours.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.known: dict[str, Any] = {}

    def read(self, page: str) -> list[str]:
        """Execute a page; returns its commands."""
        done: list[str] = []
        for language, block in BLOCK.findall((DOCS / page).read_text("utf-8")):
            if language == "sh":
                for line in commands(block):
                    self.run(line)
                    done.append(line)
            elif named := FILE.match(block):
                with Path(f"{named[1]}.py").open("a") as file:
                    file.write(block)
                sys.modules.pop(named[1], None)  # what it was before this block
                importlib.invalidate_caches()
            else:
                exec(block, self.known)
        return done

    def run(self, line: str) -> None:
        """A command as a shell would split it; it must go well."""
        words = shlex.split(line, comments=True)
        assert words[0] == "noisesearch", line
        self.monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code, line


def commands(block: str) -> Iterator[str]:
    return (line for line in block.splitlines() if line.strip())
