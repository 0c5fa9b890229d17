"""Pages that follow from the code follow from the code of today."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_on_algorithms_is_generated() -> None:
    written = (DOCS / "algorithms.md").read_text("utf-8")
    made = runpy.run_path(str(DOCS / "generate.py"))["algorithms"]()
    assert made == written, "run: python docs/generate.py"
