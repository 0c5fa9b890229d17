"""What an experiment's folder may say: what no experiment writes is refused by its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisesearch.errors import StoreError
from noisesearch.experiments import outcome
from noisesearch.experiments.campaign import Campaign
from noisesearch.experiments.folder import kept, stored
from noisesearch.experiments.schema import table_of
from noisesearch.experiments.spec import experiment

WORLD = "noisesearch.testing.mixture_model"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Campaign, Path]:
    folder = tmp_path_factory.mktemp("left")
    (folder / "seeing.py").write_text(f"from {WORLD} import brightness\nLIGHT = brightness()\n")
    light = f"{folder}/seeing.py:LIGHT"
    campaign = Campaign(experiment({
        "summary": "s", "prompts": ["a", "b"],
        "defaults": {"model": f"{WORLD}:MixtureModel", "verifier": light, "steps": 2},
        "arms": [{"name": "r", "candidates": 2}],
        "measure": {"columns": [light], "sets": ["frechet"], "eye": light},
        "claims": [{"says": "s", "correlate": ["brightness", "brightness"], "of": "r",
                    "more_than": 0}],
    }))  # fmt: skip
    campaign.run(folder / "done")
    outcome.write(outcome.outcome(campaign, folder / "done"), folder / "done")
    return campaign, folder / "done"


def _other_key(content: dict[str, Any]) -> None:
    content["arms"]["r"][0]["key"] = "../../victim"


def _other_condition(content: dict[str, Any]) -> None:
    content["arms"]["r"][0]["condition"] = 2


def _short_column(content: dict[str, Any]) -> None:
    content["columns"]["brightness"].pop()


def _no_arm(content: dict[str, Any]) -> None:
    del content["arms"]["r"]


@pytest.mark.parametrize(("change", "why"), [
    (_other_key, "key: string should match pattern"),
    (_other_condition, "winners that nobody has seen"),
    (_short_column, "not every winner has a number in every column"),
    (_no_arm, "it has no winner of arm 'r'"),
])  # fmt: skip
def test_arms(
    change: Callable[[dict[str, Any]], None], why: str, done: tuple[Campaign, Path]
) -> None:
    campaign, folder = done
    path = folder / "runs" / "r-seed0" / "arms.json"
    whole = path.read_text()
    content = json.loads(whole)
    change(content)
    path.write_text(json.dumps(content))
    try:
        with pytest.raises(StoreError, match=rf"arms.json is not as it was written .*{why}"):
            outcome.outcome(campaign, folder)
    finally:
        path.write_text(whole)


@pytest.mark.parametrize(("name", "arrays", "why"), [
    ("reference.npz", {"mean": np.zeros(3), "covariance": np.eye(3)}, "of 4 numbers"),
    ("reference.npz", {"mean": np.zeros(4)}, "of 4 numbers"),
    ("reference.npz", {"mean": np.full(4, np.nan), "covariance": np.eye(4)}, "of 4 numbers"),
    ("runs/r-seed0/seen.npz", {}, "it has no features"),
    ("runs/r-seed0/seen.npz", {"features": np.zeros((1, 4))}, r"features are \[1, 4\]"),
    ("runs/r-seed0/candidates.npz", {"brightness": np.zeros((2, 2))}, "not one number"),
])  # fmt: skip
def test_arrays(name: str, arrays: dict[str, Any], why: str, done: tuple[Campaign, Path]) -> None:
    campaign, folder = done
    whole = (folder / name).read_bytes()
    np.savez(folder / name, **arrays)
    try:
        with pytest.raises(StoreError, match=rf"is not as it was written .*{why}"):
            outcome.outcome(campaign, folder)
    finally:
        (folder / name).write_bytes(whole)


def test_a_table_is_gone_by_only_as_it_was_written(done: tuple[Campaign, Path]) -> None:
    campaign, folder = done
    path = folder / "table.json"
    whole = path.read_text()
    assert table_of(folder, ["r"]) == json.loads(whole) == outcome.outcome(campaign, folder).json()
    assert table_of(folder, ["other"]) is None
    content = json.loads(whole)
    content["claims"][0]["interval"] = {}
    path.write_text(json.dumps(content))
    assert table_of(folder, ["r"]) is None
    path.write_text(whole)


@pytest.mark.parametrize(
    "content",
    [[], {}, {"versions": "1", "experiment": {}, "prompts": []},
     {"versions": {}, "experiment": {}, "prompts": [["a"]]}],
)  # fmt: skip
def test_an_experiment_of_something_else(tmp_path: Path, content: object) -> None:
    (tmp_path / "experiment.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match="is not complete"):
        stored(tmp_path)


def test_arrays_of_no_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", mean=np.zeros(3, complex))
    with pytest.raises(StoreError, match="not all of it is numbers"):
        kept(tmp_path / "x.npz")
