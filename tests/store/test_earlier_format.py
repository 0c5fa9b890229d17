"""A run folder of format 1 opens, resumes, reports and exports under the names of today."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import noisesearch as ns
from noisesearch.experiments.campaign import Campaign
from noisesearch.experiments.pages.report import report
from noisesearch.runs.export_data import export_data
from noisesearch.store.formats import FORMAT, current_names, current_spec
from noisesearch.store.history import RunHistory
from noisesearch.store.run_store import read_spec

EARLIER = Path(__file__).parents[1] / "fixtures" / "run-format-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a run of two prompts, searched as drafts of 4 steps, guarded and watched."""
    return Path(shutil.copytree(EARLIER, tmp_path / "run"))


def test_it_is_of_the_earlier_format() -> None:
    spec = json.loads((EARLIER / "spec.json").read_text("utf-8"))
    assert spec["format"] == 1 < FORMAT and spec["quality"] == "steps:4" and "draft" not in spec
    assert '"quality":"steps:4"' in (EARLIER / "journal.jsonl").read_text("utf-8")


def test_it_opens(folder: Path) -> None:
    assert read_spec(folder)["draft"] == "steps:4" and read_spec(folder)["format"] == FORMAT
    records = list(RunHistory(folder))
    assert {r.trajectory.draft for r in records} == {"steps:4", "full"}
    assert {r.trajectory.key for r in records} == {p.stem for p in folder.glob("samples/*.png")}


def test_it_resumes(folder: Path) -> None:
    stored = json.loads((folder / "winners.json").read_text("utf-8"))["searches"]
    again = ns.resume(folder)
    assert [r.winner.trajectory for r in again] == [s["winner"]["trajectory"] for s in stored]
    longer = ns.resume(folder, budget="8candidates")
    assert all(
        new.ledger["nfe"] > old["ledger"]["nfe"] for new, old in zip(longer, stored, strict=True)
    )
    spec = json.loads((folder / "spec.json").read_text("utf-8"))
    assert spec["format"] == FORMAT and spec["draft"] == "steps:4" and "quality" not in spec
    assert len(list(RunHistory(folder))) > len(list(EARLIER.glob("samples/*.png")))


def test_it_reports_and_exports(folder: Path) -> None:
    assert report(folder).path.stat().st_size > 10_000
    history = RunHistory(folder)
    assert history.spec.guarded == ["aesthetic"] and not history.reranked
    roles = {part: history.role(part) for part in history.parts}
    assert roles == {"clipscore": "searched", "imagereward": "searched", "aesthetic": "guarded",
                     "checker": "held out"}  # fmt: skip
    export_data(folder, "csv", folder / "table.csv")
    head, *rows = (folder / "table.csv").read_text("utf-8").splitlines()
    assert "draft" in head.split(",") and len(rows) == len(list(folder.glob("samples/*.png")))


def test_a_picture_is_made_again(folder: Path, tmp_path: Path) -> None:
    drafts = (r for r in RunHistory(folder) if r.trajectory.draft != "full")
    picture = next(drafts).picture
    assert picture is not None
    assert ns.remake(picture, tmp_path / "again.png").pixels <= 2


def test_names() -> None:
    assert current_spec({"format": 1, "quality": "full"}) == {"format": FORMAT, "draft": "full"}
    assert current_spec({"format": 99, "quality": "x"}) == {"format": 99, "quality": "x"}
    assert current_names({"op": "begin", "quality": "full"}) == {"op": "begin", "draft": "full"}


def test_an_experiment_goes_on(tmp_path: Path) -> None:
    """Catches arms that differ by the name of a setting, and a run folder that is made anew."""
    earlier = Path(__file__).parents[1] / "fixtures" / "experiment-format-1"
    assert json.loads((earlier / "experiment.json").read_text("utf-8"))["arms"][0]["batch"] == 4
    folder = Path(shutil.copytree(earlier, tmp_path / "experiment"))
    journal = (folder / "runs" / "search-seed0" / "journal.jsonl").read_bytes()
    for name in ("table.csv", "table.json"):
        (folder / name).unlink()
    campaign = Campaign.stored(folder)
    assert [arm.rows for arm in campaign.arms] == [4, 4]
    campaign.begin(folder)
    campaign.run(folder)
    assert (folder / "runs" / "search-seed0" / "journal.jsonl").read_bytes() == journal
    assert report(folder).path.stat().st_size > 10_000
