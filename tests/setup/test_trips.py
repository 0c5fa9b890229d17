"""What a request, one ask and a resume do, counted, so that detours do not return."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch.models import choice
from noisesearch.models.diffusers import folder as folders
from noisesearch.models.diffusers.folder import Folder
from noisesearch.testing import tiny_pipeline


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """The counts by trip, made in a fresh process, since a hook of Python's cannot be removed."""
    script = Path(__file__).with_name("trips.py")
    command = [sys.executable, str(script), str(tmp_path_factory.mktemp("trips"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_request(trips: dict[str, dict[str, int]]) -> None:
    """One search that runs, and one for its plan; the spec is copied where it becomes complete."""
    done = trips["request"]
    assert done["searches built"] == 2
    assert done["objectives parsed"] == done["budgets parsed"] == 1
    assert done["specs copied"] == 2
    assert done["read spec.json"] == 1 and "read journal.jsonl" not in done


def test_an_ask(trips: dict[str, dict[str, int]]) -> None:
    """One sample from noise to scores builds, parses and reads nothing."""
    assert trips["ask"] == {}


@pytest.mark.parametrize("trip", ["resume", "extended"])
def test_a_resume(trip: str, trips: dict[str, dict[str, int]]) -> None:
    done = trips[trip]
    assert done["searches built"] == 2
    assert done["objectives parsed"] == done["read journal.jsonl"] == 1
    assert done["budgets parsed"] == 1 + (trip == "extended")
    assert done.get("specs copied", 0) == (trip == "extended")
    assert done["read spec.json"] == 2, "what it names is loaded before the folder is locked"


def test_a_pipeline_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a model that is made again for its weights, and configurations read at each use."""
    tiny_pipeline("flux", tmp_path / "flux")
    done: Counter[str] = Counter()
    plain_read, plain_model, plain_scheduler = (
        folders._read, choice.from_folder, Folder.__dict__["_scheduler"].func
    )  # fmt: skip

    def read(path: Path) -> Any:
        done[str(path.relative_to(tmp_path / "flux"))] += 1
        return plain_read(path)

    def from_folder(source: str) -> Any:
        done["from_folder"] += 1
        return plain_model(source)

    def scheduler(self: Folder) -> Any:
        done["scheduler"] += 1
        return plain_scheduler(self)

    monkeypatch.setattr(folders, "_read", read)
    monkeypatch.setattr(choice, "from_folder", from_folder)
    monkeypatch.setattr(Folder.__dict__["_scheduler"], "func", scheduler)
    ns.search("a red circle", model=str(tmp_path / "flux"), budget="3candidates", steps=2,
              verifier=lambda images, conditions: images.mean((1, 2, 3)))  # fmt: skip
    assert done["from_folder"] == done["scheduler"] == 1
    assert {"model_index.json", "transformer/config.json", "vae/config.json"} <= done.keys()
    assert set(done.values()) == {1}
