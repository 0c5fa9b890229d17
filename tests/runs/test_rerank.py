"""Another objective for a run that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch.files import pictures
from noisesearch.runs.rerank import Reranked, rerank
from noisesearch.runs.verify import verify
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.testing import MixtureModel

VIVID = "def vivid(images, conditions):\n    return images.amax((1, 2, 3))\n"


def made(folder: Path, **settings: Any) -> Any:
    common = {"budget": "9candidates", "rows": 4, "algorithm": "random"}
    return ns.search(["one", "two"], model=MixtureModel(), verifier="ensemble", out=folder,
                     **{**common, **settings})  # fmt: skip


def again(folder: Path, objective: str = "", verifier: Any = "", finish: bool = False) -> Reranked:
    return rerank(folder, objective, verifier, finish, PythonObjects(MixtureModel()))


def lines(folder: Path) -> list[str]:
    text = (folder / "journal.jsonl").read_text()
    return [line for line in text.splitlines() if '"event"' not in line]


@pytest.mark.parametrize("part", ["brightness", "evenness"])
def test_the_best_of_the_new_objective_wins_and_nothing_is_made(part: str, tmp_path: Path) -> None:
    results = made(tmp_path / "run")
    before = lines(tmp_path / "run")
    found = again(tmp_path / "run", f"part({part})").results
    for old, new in zip(results, found, strict=True):
        assert new.winner.score == max(c.parts[part] for c in old.candidates)
        assert new.ledger["nfe"] == old.ledger["nfe"]
    assert lines(tmp_path / "run") == before
    stored = json.loads((tmp_path / "run" / "winners.json").read_text())
    assert [s["winner"]["score"] for s in stored["searches"]] == [r.winner.score for r in found]


def test_the_runs_own_objective_gives_the_runs_own_winners(tmp_path: Path) -> None:
    results = made(tmp_path / "run")
    found = again(tmp_path / "run").results
    assert [r.winner.trajectory for r in found] == [r.winner.trajectory for r in results]


def test_added_parts_do_not_look_like_another_score_to_verify(tmp_path: Path) -> None:
    """What the run's own verifiers do not give is not compared."""
    made(tmp_path / "run", budget="3candidates")

    def vivid(images: Any, conditions: Any) -> Any:
        return images.amax((1, 2, 3))

    found = again(tmp_path / "run", "part(vivid)", vivid).results
    assert "vivid" in found[0].winner.parts
    assert verify(tmp_path / "run", PythonObjects(MixtureModel()))["parts"] == 0


def test_functions_and_lists_rank_too(tmp_path: Path) -> None:
    """Catches verifiers that are taken by name alone."""
    results = made(tmp_path / "run")

    def vivid(images: Any, conditions: Any) -> Any:
        return images.amax((1, 2, 3))

    found = again(tmp_path / "run", "part(vivid)", ["brightness", vivid]).results
    for old, new in zip(results, found, strict=True):
        tops = [pictures.read(c.path).max() / 255 for c in old.candidates]
        assert new.winner.parts["vivid"] == pytest.approx(max(tops))


def test_a_new_verifier_scores_the_stored_pictures_once(tmp_path: Path) -> None:
    made(tmp_path / "run")
    (tmp_path / "vivid.py").write_text(VIVID)
    name = f"{tmp_path}/vivid.py:vivid"
    before = len(lines(tmp_path / "run"))
    first = again(tmp_path / "run", "part(vivid)", name).results
    after = lines(tmp_path / "run")
    assert len(after) == before + 18, "one line for each of two times nine candidates"
    for result in first:
        assert result.winner.parts["vivid"] == max(c.parts["vivid"] for c in result.candidates)
        assert {"brightness", "evenness", "vivid"} <= result.winner.parts.keys()
    second = again(tmp_path / "run", "part(vivid)", name).results
    assert second.json() == first.json() and lines(tmp_path / "run") == after


def test_a_draft_says_what_finishing_costs_and_is_finished_when_asked(tmp_path: Path) -> None:
    made(tmp_path / "run", steps=4, final_steps=12, budget="60")
    # What was best by both is finished; the best by one of them mostly is not.
    said = again(tmp_path / "run", "part(brightness)")
    assert said.drafts and "to finish it at 12 would cost 12 NFE: add --finish" in said.drafts[0]
    done = again(tmp_path / "run", "part(brightness)", finish=True)
    assert not done.drafts
    for result in done.results:
        assert result.winner.path is not None and result.winner.path.exists()
    assert not again(tmp_path / "run", "part(brightness)").drafts, "it is remembered"


def test_pictures_that_were_not_kept_are_missed(tmp_path: Path) -> None:
    made(tmp_path / "run", keep="winners")
    (tmp_path / "vivid.py").write_text(VIVID)
    with pytest.raises(ns.ConfigError, match="were not kept"):
        again(tmp_path / "run", "part(vivid)", f"{tmp_path}/vivid.py:vivid")
    assert len(again(tmp_path / "run", "part(evenness)").results) == 2


def test_a_run_goes_on_with_its_own_objective_afterwards(tmp_path: Path) -> None:
    results = made(tmp_path / "run")
    again(tmp_path / "run", "part(evenness)")
    resumed = ns.resume(tmp_path / "run", model=MixtureModel())
    assert [r.winner.trajectory for r in resumed] == [r.winner.trajectory for r in results]


def test_drafts_that_were_looked_at_beside_are_not_ranked(tmp_path: Path) -> None:
    """It would catch a draft, which is no candidate and has no picture, as a winner."""
    found = ns.search("a red circle", algorithm="draft", parameters={"draft": "steps:3"}, rows=4,
                      budget="6candidates", out=tmp_path / "run")  # fmt: skip
    again = rerank(tmp_path / "run", "part(clipscore)", verifier=["checker"]).results[0]
    whole = {c.trajectory for c in (*found.candidates, found.baseline)}
    assert {c.trajectory for c in again.candidates} == whole
