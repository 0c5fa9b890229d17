"""Run folders that somebody has tampered with: every command on them ends in a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import Change, Damage, changes, command, damages, fuzz, tree
from hypothesis import strategies as st

from noisesearch.files.journal import seal

# Those that read only; what they have in common is done once by the first.
READ: tuple[tuple[str, ...], ...] = (
    ("show", "RUN"),
    ("report", "RUN"),
    ("export", "RUN", "--format", "jsonl"),
    ("export", "RUN", "--latents"),
    ("evaluate", "RUN", "--metrics", "diversity"),
    ("answer", "RUN"),
)
WRITE: tuple[tuple[str, ...], ...] = (
    ("rerank", "RUN"),
    ("show", "RUN", "--verify"),
    ("resume", "RUN", "--seconds", "5"),
    ("resume", "RUN", "--repair", "--seconds", "5"),
)
Tamper = Callable[[Path], None]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two prompts."""
    folder = tmp_path_factory.mktemp("template") / "run"
    done = command("generate", "a red circle", "a blue square", "--steps", 2, "--guidance", 1,
                   "--algorithm", "zero-order", "--set", "neighbours=2", "--budget",
                   "5candidates", "--out", folder)  # fmt: skip
    assert done.status == 0, done.err
    return folder


@pytest.fixture
def tampered(template: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs every command on a copy of the template that was tampered with, in a folder where
    nothing else may change."""
    (tmp_path / "victim").write_text("not a run's")
    (tmp_path / "victim.npy").write_text("not a run's")

    def run(tamper: Tamper, whole: bool = True) -> None:
        folder = tmp_path / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        tamper(folder)
        before = tree(tmp_path, but=folder)
        for words in (*READ, *(WRITE if whole else WRITE[-1:])):
            command(*(str(folder) if word == "RUN" else word for word in words))
        assert tree(tmp_path, but=folder) == before

    return run


EXAMPLES = [3, pytest.param(100, marks=pytest.mark.slow)]


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", ["spec.json", "winners.json"])
def test_changed_values(
    tampered: Callable[..., None], template: Path, name: str, examples: int
) -> None:
    content = json.loads((template / name).read_text())

    def check(change: Change) -> None:
        text = json.dumps(change.made(content))
        tampered(lambda folder: (folder / name).write_text(text) and None, examples > 3)

    fuzz(check, examples, change=changes)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_a_changed_journal(tampered: Callable[..., None], template: Path, examples: int) -> None:
    """Values with a right checksum, as only somebody who wants to would write them."""
    lines = (template / "journal.jsonl").read_bytes().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        record.pop("crc")

    def check(at: int, change: Change, as_it_is: bool) -> None:
        record = change.made(records[at])
        body = json.dumps(record).encode()
        try:
            line = seal(record) if isinstance(record, dict) else body + b"\n"
        except ValueError:  # numbers that our writer never writes
            line = body + b"\n"
        whole = [
            *lines[:at],
            *([lines[at]] if as_it_is else []),
            line.rstrip(b"\n"),
            *lines[at + 1 :],
        ]
        data = b"\n".join(whole) + b"\n"
        tampered(
            lambda folder: (folder / "journal.jsonl").write_bytes(data) and None, examples > 3
        )

    fuzz(check, 2 * examples, at=st.integers(0, len(lines) - 1), change=changes,
         as_it_is=st.booleans())  # fmt: skip


@pytest.mark.parametrize("examples", EXAMPLES)
def test_damaged_bytes(tampered: Callable[..., None], template: Path, examples: int) -> None:
    names = sorted(str(p.relative_to(template)) for p in template.rglob("*") if p.is_file())

    def check(name: str, damage: Damage) -> None:
        data = damage.done((template / name).read_bytes())
        tampered(lambda folder: (folder / name).write_bytes(data) and None, examples > 3)

    fuzz(check, examples, name=st.sampled_from(names), damage=damages)
