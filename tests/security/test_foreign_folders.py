"""A run folder from a stranger: looked at freely, and nothing that it names is run unasked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch.errors import ConfigError, StoreError
from noisesearch.experiments.pages.report import report
from noisesearch.files.journal import seal, unseal
from noisesearch.runs.export_data import export_data
from noisesearch.runs.export_noises import export
from noisesearch.runs.rerank import rerank
from noisesearch.runs.run import Run
from noisesearch.runs.verify import verify
from noisesearch.store.run_store import RunStore
from noisesearch.store.winners import stored_results
from noisesearch.testing.synthetic import made_up_run

CODE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()

def run(*given):
    raise AssertionError("called")
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "run"
    made_up_run(folder, ["a red circle"], "4candidates", algorithm="random", steps=2, guidance=1.0)
    return folder


@pytest.fixture
def foreign(template: Path, tmp_path: Path) -> Callable[..., Path]:
    """The run as somebody else gives it away, with changes to its spec."""

    def give(**changes: Any) -> Path:
        folder = tmp_path / "foreign"
        shutil.copytree(template, folder)
        spec = json.loads((folder / "spec.json").read_text())
        (folder / "spec.json").write_text(json.dumps({**spec, **changes}))
        (tmp_path / "evil.py").write_text(CODE)
        return folder

    return give


def named(kind: str, tmp_path: Path) -> dict[str, Any]:
    """The entry of a spec by which something would run."""
    code = f"{tmp_path / 'evil.py'}:run"
    return {
        "verifier": {"verifiers": [code]},
        "held-out verifier": {"watch": [code]},
        "command": {"verifiers": [f"process:touch {tmp_path / 'ran'}"]},
        "command as code": {
            "verifiers": ["noisesearch.verifiers.process.process:ProcessSettings"]
        },
        "service": {"verifiers": ["llm-grader(model=x, endpoint=http://evil, key_env=AWS_KEY)"]},
        "algorithm": {"algorithm": code},
        "objective of sets": {"objective": f"{code}(clipscore)"},
        "objective": {"objective": code},
        "solver": {"solver": code},
        "solver with a number": {"solver": f"{code}:0.5"},
        "model": {"model": code},
        "draft": {"draft": f"model:{code}"},
        "draft beside": {"drafts": [f"model:{code}"]},
    }[kind]


KINDS = ("verifier", "held-out verifier", "command", "command as code", "service", "algorithm",
         "objective of sets", "objective", "solver", "solver with a number", "model", "draft",
         "draft beside")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_named_runs_unasked(
    foreign: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    folder = foreign(**named(kind, tmp_path))
    for go_on in (Run.open, rerank, verify):
        with pytest.raises(ConfigError, match="noisesearch trust"):
            go_on(folder)
    stored_results(folder)
    for look in (report, export_data, export):
        try:
            look(folder)
        except ConfigError as error:  # such as that its scores are not those of this objective
            assert str(error)
    assert not (tmp_path / "ran").exists()


def test_what_was_agreed_to_runs(foreign: Callable[..., Path], tmp_path: Path) -> None:
    code = f"{tmp_path / 'evil.py'}:run"
    folder = foreign(verifiers=[code])
    assert ns.trust(folder) == [f"verifier {code}"]
    with pytest.raises(Exception, match=r"other weights|called") as refused:
        Run.open(folder).close()
    assert "trust" not in str(refused.value)
    assert (tmp_path / "ran").exists(), "its file was read"
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps({**spec, "watch": [f"{code}2"]}))
    with pytest.raises(ConfigError, match="run2"):  # only what was agreed to
        Run.open(folder)
    shutil.move(folder, tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="trust"):  # and only there
        Run.open(tmp_path / "elsewhere")


def own(tmp_path: Path) -> Path:
    """A run with code that its maker named."""
    (tmp_path / "mine.py").write_text("def score(images, conditions):\n    return [1.0]\n")
    made_up_run(tmp_path / "run", ["a red circle"], "2candidates", algorithm="random", steps=2,
                guidance=1.0, verifier=f"{tmp_path / 'mine.py'}:score")  # fmt: skip
    return tmp_path / "run"


def test_whoever_names_code_himself_is_not_asked(tmp_path: Path) -> None:
    Run.open(own(tmp_path)).close()


def test_nor_after_a_kill_as_soon_as_the_run_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunStore, "__init__", killed)
        own(tmp_path)
    assert (tmp_path / "run" / "spec.json").exists()
    Run.open(tmp_path / "run").close()


def test_an_agreement_that_cannot_be_kept_is_said(
    foreign: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="cannot write"):
        ns.trust(foreign(verifiers=[f"{tmp_path / 'evil.py'}:run"]))


@pytest.mark.parametrize("name", ["lock", "journal.jsonl", "winners.json", "samples", "blobs",
                                  "samples/x.png", "human"])  # fmt: skip
def test_links_out_of_the_folder(foreign: Callable[..., Path], tmp_path: Path, name: str) -> None:
    """Through these a run would write, or delete, or show, what is not its own."""
    folder, victim = foreign(), tmp_path / "victim"
    victim.mkdir()
    (victim / "mine.png").write_text("mine")
    inside = folder / name
    shutil.rmtree(inside, ignore_errors=True)
    inside.unlink(missing_ok=True)
    inside.symlink_to(victim if "." not in name and name != "lock" else victim / "mine.png")
    for use in (Run.open, stored_results, report, export_data, RunStore):
        with pytest.raises(StoreError, match="out of the run folder"):
            use(folder)
    assert (victim / "mine.png").read_text() == "mine"
    assert [path.name for path in victim.iterdir()] == ["mine.png"]


def test_links_inside_are_as_good_as_files(foreign: Callable[..., Path], tmp_path: Path) -> None:
    folder = foreign()
    (folder / "journal.jsonl").rename(folder / "kept")
    (folder / "journal.jsonl").symlink_to("kept")
    (tmp_path / "link").symlink_to(folder)
    RunStore(tmp_path / "link").close()


def test_a_lock_that_leads_elsewhere(tmp_path: Path) -> None:
    """In a folder that seems empty; the lock is the first that a new run writes."""
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="out of the run folder"):
        RunStore.create(tmp_path / "out", {})
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_pipe_is_not_waited_for(foreign: Callable[..., Path]) -> None:
    folder = foreign()
    (folder / "winners.json").unlink()
    os.mkfifo(folder / "winners.json")
    with pytest.raises(StoreError, match="neither a file nor a folder"):
        stored_results(folder)


@pytest.mark.parametrize("key", ["../../victim", "/etc/victim", "", "x" * 32, "A" * 32])
def test_keys_are_no_paths(foreign: Callable[..., Path], tmp_path: Path, key: str) -> None:
    """A blob is named by a hash; what a recipe names otherwise is neither read nor deleted."""
    folder = foreign()
    (tmp_path / "victim.npy").write_text("mine")
    with closing(RunStore(folder, write=False)) as store, pytest.raises(StoreError, match="key"):
        store.arrays.get(key)
    journal = folder / "journal.jsonl"
    lines = [unseal(line) or {} for line in journal.read_bytes().splitlines()]
    reply = next(line for line in lines if "reply" in line)
    hostile = {name: of for name, of in reply.items() if name != "crc"}
    hostile["blobs"] = {"gradient": key}
    dropped = {"event": "dropped", "of": [reply["reply"]]}
    journal.write_bytes(journal.read_bytes() + seal(hostile) + seal(dropped))
    with pytest.raises(StoreError, match="no run writes"):
        RunStore(folder)
    assert (tmp_path / "victim.npy").read_text() == "mine"
