"""Folders of experiments that somebody has tampered with: every command on them ends in a result
or a sentence."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import SEEING, WORLD, Change, Damage, changes, command, damages, fuzz, tree
from hypothesis import strategies as st

EXPERIMENT = f"""
summary = "s"
prompts = {{ one = ["a", "b"], two = ["c"] }}
defaults = {{ model = "{WORLD}", verifier = "SEEING:LIGHT", steps = 2 }}
measure = {{ columns = ["SEEING:LIGHT"], sets = ["frechet"], eye = "SEEING:LIGHT" }}
plot = {{ y = ["brightness"], images = 1 }}
[[arms]]
name = "random {{candidates}}"
candidates = [1, 3]
[[claims]]
says = "more is better"
column = "brightness"
contrast = {{ "random 3" = 1, "random 1" = -1 }}
more_than = 0
[[claims]]
says = "a score goes with itself"
correlate = ["brightness", "brightness"]
of = "random 3"
more_than = 0.5
"""
COMMANDS = (
    ("report", "DONE"),
    ("show", "DONE"),
    ("evaluate", "DONE", "--metrics", "diversity"),
    ("run", "DONE/experiment.json", "--plan"),
    ("run", "e.toml", "--out", "DONE"),
    ("trust", "DONE"),
)
EXAMPLES = [3, pytest.param(60, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment and its page, beside the file that it was made from."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "seeing.py").write_text(SEEING)
    (folder / "e.toml").write_text(EXPERIMENT.replace("SEEING", str(folder / "seeing.py")))
    assert command("run", folder / "e.toml", "--out", folder / "done").status == 0
    assert command("report", folder / "done").status == 0
    return folder


@pytest.fixture
def tampered(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, bytes], None]:
    """Runs every command on a copy of the template with one file that says something else, in a
    folder where nothing else may change. What the template names was agreed to, and nothing else.
    """
    folder, agreed = tmp_path / "done", tmp_path / "agreed"
    monkeypatch.setenv("XDG_STATE_HOME", str(agreed))
    monkeypatch.chdir(template)
    (tmp_path / "victim").write_text("not an experiment's")

    def run(name: str, data: bytes) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(agreed, ignore_errors=True)
        shutil.copytree(template / "done", folder)
        assert command("trust", folder).status == 0
        (folder / name).write_bytes(data)
        before = tree(tmp_path, but=folder)
        for words in COMMANDS:
            if words[0] == "trust":
                assert tree(tmp_path, but=folder) == before, name
            command(*(word.replace("DONE", str(folder)) for word in words))

    return run


def files(template: Path) -> list[str]:
    return sorted(
        str(path.relative_to(template / "done"))
        for path in (template / "done").rglob("*")
        if path.suffix in (".json", ".npz", ".jsonl")
    )


@pytest.mark.parametrize("examples", EXAMPLES)
def test_changed_values(
    tampered: Callable[[str, bytes], None], template: Path, examples: int
) -> None:
    named = [name for name in files(template) if name.endswith(".json")]
    contents = {name: json.loads((template / "done" / name).read_text()) for name in named}

    def check(number: int, change: Change) -> None:
        name = named[number % len(named)]
        tampered(name, json.dumps(change.made(contents[name])).encode())

    fuzz(check, 2 * examples, number=st.integers(0, 100), change=changes)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_bytes(
    tampered: Callable[[str, bytes], None], template: Path, examples: int
) -> None:
    named = files(template)

    def check(name: str, damage: Damage) -> None:
        tampered(name, damage.done((template / "done" / name).read_bytes()))

    fuzz(check, examples, name=st.sampled_from(named), damage=damages)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_arrays_of_any_shape(
    tampered: Callable[[str, bytes], None], template: Path, examples: int
) -> None:
    """What is in the arrays of the winners and of all candidates, in other numbers and shapes."""
    named = [name for name in files(template) if name.endswith(".npz")]

    def check(name: str, gone: bool, array: np.ndarray[Any, Any]) -> None:
        with np.load(template / "done" / name) as whole:
            arrays = dict(whole)
        first = next(iter(arrays))
        arrays = {} if gone else {**arrays, first: array}
        data = io.BytesIO()
        np.savez(data, **arrays)
        tampered(name, data.getvalue())

    arrays = st.sampled_from([
        np.zeros(0), np.zeros((0, 0)), np.float64(1), np.zeros((1, 1, 1)), np.full((6, 8), np.nan),
        np.full((2, 3), 1e300), np.array(["a"]), np.array([True]), np.zeros(6, complex),
        np.zeros(3), np.array([1e300, -1e300, 0] * 3),
    ])  # fmt: skip
    fuzz(check, examples, name=st.sampled_from(named), gone=st.booleans(), array=arrays)
