"""docs/security.md promises what tests keep; dependencies are those that were reviewed."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_promise_names_a_test_that_is_there() -> None:
    rows = [line for line in (ROOT / "docs" / "security.md").read_text("utf-8").splitlines()
            if line.startswith("| ") and not line.startswith(("| promise", "| ---"))]  # fmt: skip
    assert len(rows) > 12
    for row in rows:
        named = NAMED.search(row)
        assert named is not None, row
        tree = ast.parse((ROOT / named[1]).read_text("utf-8"))
        assert named[2] in {of.name for of in tree.body if isinstance(of, ast.FunctionDef)}, row


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_direct_dependencies_are_reviewed(audit: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = audit.direct(project)
    assert {"torch", "pyarrow", "pytest"} <= set(names) and "noisesearch" not in names
    assert audit.unreviewed() == []


def test_an_audit_without_a_network(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what it did instead, and fails for what was not reviewed alone."""
    monkeypatch.setattr(audit, "weaknesses", lambda: None)
    assert audit.main() == 0
    assert "does not answer" in capsys.readouterr().out
    monkeypatch.setattr(audit, "direct", lambda project: ["numpy", "left-pad"])
    assert audit.main() == 1
    said = capsys.readouterr().out
    assert "not on the reviewed list" in said and "left-pad" in said


def test_an_audit_that_finds_something(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "weaknesses", lambda: ["x 1: CVE-1, mended in 2"])
    assert audit.main() == 1
    assert "1 known weaknesses\nx 1: CVE-1, mended in 2" in capsys.readouterr().out
