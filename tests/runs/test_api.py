"""Runs by the one-line way in, on a model without weights: results, folder, resume, verify."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import noisesearch as ns
from noisesearch import ConfigError, StoreError
from noisesearch.runs.verify import verify
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.testing import MixtureModel


def search(prompts: Any = "x", **settings: Any) -> Any:
    common = {"model": MixtureModel(), "algorithm": "zero-order", "budget": "9candidates"}
    return ns.search(prompts, **{**common, **settings})


def test_one_line() -> None:
    result = ns.search("anything", model=MixtureModel(), budget=60)
    assert result.winner.score >= result.baseline.score or not result.baseline_kept
    assert result.image.size == (4, 4) and result.image.mode == "RGB"
    # auto's: a beam of few states, whose last ways are whole candidates.
    assert 0.8 * 60 <= result.ledger["nfe"] <= 60 and result.candidates
    assert set(result.winner.parts) == {"brightness", "evenness"}


def test_one_prompt_is_a_result_and_a_list_results() -> None:
    assert isinstance(search("x"), ns.Result)
    assert isinstance(search(None), ns.Result)
    results = search(["x", "y"])
    assert isinstance(results, ns.Results) and len(results) == 2 and results.complete
    assert [str(r.condition) for r in results] == ["x", "y"]
    alone = search("y")
    assert alone.winner.trajectory == results[1].winner.trajectory, "conditions do not mix"


def test_the_folder(tmp_path: Path) -> None:
    result = search("x", out=tmp_path / "run", top=2)
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"spec.json", "journal.jsonl", "samples", "winners.json", "best.png",
            "grid.png"} <= names  # fmt: skip
    content = json.loads((tmp_path / "run" / "winners.json").read_text())
    (found,) = content["searches"]
    assert found["winner"] == found["winners"][0] and len(found["winners"]) == 2
    assert found["winner"]["score"] == result.winner.score
    assert found["ledger"]["nfe"] == found["ledger"]["physical"]["nfe"] == 54
    assert found["ledger"]["verifiers"]["brightness"]["samples"] == 9
    pictures = {p.stem for p in (tmp_path / "run" / "samples").iterdir()}
    assert pictures == {c.trajectory for c in result.candidates}
    with Image.open(result.winner.path) as image:
        assert image.info["noisesearch:trajectory"] == result.winner.trajectory


def test_a_score_from_the_file_is_the_score_of_the_run(tmp_path: Path) -> None:
    result = search("x", out=tmp_path / "run")
    for candidate in result.candidates:
        pixels = np.asarray(candidate.image, float) / 255
        # float32 pixels against float64 ones: one rounding each.
        assert candidate.parts["brightness"] == pytest.approx(pixels.mean(), abs=1e-7)


def test_winners_only(tmp_path: Path) -> None:
    result = search("x", out=tmp_path / "run", keep="winners")
    kept = {p.stem for p in (tmp_path / "run" / "samples").iterdir()}
    assert kept == {result.winner.trajectory, result.baseline.trajectory}
    gone = next(c for c in result.candidates if c.trajectory not in kept)
    with pytest.raises(FileNotFoundError, match="not kept"):
        gone.image  # noqa: B018


@pytest.mark.parametrize("solver", ["euler", "ddim-ancestral"])
def test_verify_recreates_the_winner(solver: str, tmp_path: Path) -> None:
    search(["x", "y"], out=tmp_path / "run", solver=solver, top=2)
    found = verify(tmp_path / "run", PythonObjects(MixtureModel()))
    assert found["winners"] >= 4 and found["pixels"] == 0 and found["parts"] == 0


def test_the_seed_names_everything() -> None:
    one, again, other = search(seed=1), search(seed=1), search(seed=2)
    assert one.winner == replace(again.winner, folder=one.winner.folder)
    assert one.baseline.trajectory != other.baseline.trajectory
    paired = search(seed=1, algorithm="random")
    assert paired.baseline.trajectory == one.baseline.trajectory, "all begin at the same noise"


def test_other_weights_are_refused(tmp_path: Path) -> None:
    search("x", out=tmp_path / "run")
    other = MixtureModel(fingerprint="2")
    with pytest.raises(StoreError, match="other weights: model mixture was 1, is 2"):
        ns.resume(tmp_path / "run", model=other)
    again = ns.resume(tmp_path / "run", model=MixtureModel())
    assert again[0].ledger["physical"]["nfe"] == 54, "nothing ran again"


def test_a_resumed_run_has_the_physical_of_both(tmp_path: Path) -> None:
    search("x", out=tmp_path / "run")
    more = ns.resume(tmp_path / "run", budget="20candidates", model=MixtureModel())
    assert more[0].ledger["physical"]["nfe"] == more[0].ledger["nfe"] == 120
    assert more[0].ledger["physical"]["decodes"] == more[0].ledger["decodes"] == 20


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"budget": "none"}, "cannot be read"),
        ({"budget": "2usd"}, "costs money"),
        ({"solver": "eulre"}, "did you mean 'euler'"),
        ({"algorithm": "zero-ordr"}, "did you mean 'zero-order'"),
        ({"verifier": []}, "no verifier"),
        ({"verifier": "brightnes"}, "did you mean 'brightness'"),
        ({"verifier": ["brightness", "brightness"], "objective": "part(x)"}, "part of the obj"),
        ({"steps": -1}, "steps is -1"),
        ({"top": 0}, "top is 0"),
        ({"keep": "none"}, "must be all or winners"),
        ({"size": "8x8"}, "makes 4x4 only"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"parameters": {"cosine": 2}}, "less than 1"),
        ({"parameters": {"cosin": 0.9}}, "did you mean 'cosine'"),
        ({"bugdet": 5}, "did you mean 'budget'"),
    ],
)
def test_wrong_requests(settings: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=what):
        search("x", out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists(), "no folder for a wrong request"


def test_a_temporary_folder_goes_with_its_result() -> None:
    result = search("x")
    folder = result.run
    assert folder.exists()
    assert result.image.size == (4, 4)
    del result
    gc.collect()
    assert not folder.exists()
