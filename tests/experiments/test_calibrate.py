"""Calibration: drafts against full samples of the same noises, in a run like any other."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.cli.tables import calibration
from noisesearch.errors import ConfigError
from noisesearch.experiments.calibrate import Calibration, Pairs, calibrate, drafts_of, prepared
from noisesearch.objectives.statistics import mean, paired, rank_correlation
from noisesearch.setup.request import Request
from noisesearch.testing import MixtureModel

PROMPTS = ["one", "two", "three"]
DRAFTS = ["steps:4", "steps:2"]


def calibrated(candidates: int, folder: Path, **settings: Any) -> Calibration:
    common: dict[str, Any] = {"model": MixtureModel(), "verifier": "evenness", "rows": 4}
    common |= {"dtype": "float32", "drafts": DRAFTS}
    request = Request(PROMPTS, **{**common, **settings})
    return calibrate(prepared(request, candidates), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calibration") / "run"


@pytest.fixture(scope="module")
def found(folder: Path) -> Calibration:
    return calibrated(8, folder)


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3, 9], [-5, 0, 1, 2]) == 1
    assert rank_correlation([1, 2, 3, 9], [4, 3, 2, 1]) == -1
    assert math.isnan(rank_correlation([], [])), "of no candidate both numbers are known"
    # By hand: ranks 1.5 1.5 3 and 1 2 3, deviations −.5 −.5 1 and −1 0 1: 1.5/√(1.5·2).
    assert rank_correlation([7, 7, 8], [1, 2, 3]) == pytest.approx(1.5 / math.sqrt(3))
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def test_the_mean_is_that_of_paired() -> None:
    values = np.random.default_rng(1).normal(3, 2, 50)
    assert mean(values) == paired(np.zeros(50), values)
    assert mean(values).low < values.mean() < mean(values).high


def test_rows_are_what_searches_of_their_own_say(found: Calibration) -> None:
    """The same noises, sampled in full and at the draft's steps by runs without any draft."""
    scores = {}
    for steps in (6, 4, 2):
        results = ns.search(
            PROMPTS, model=MixtureModel(), verifier="evenness", rows=4, dtype="float32",
            algorithm=ns.RandomSearch(candidates=8), steps=steps, budget=1000,
        )  # fmt: skip
        scores[steps] = np.array([[c.score for c in r.candidates] for r in results])
    full = scores[6]
    for row, steps in zip(found.rows, (4, 2), strict=True):
        drafted = scores[steps]
        told = [rank_correlation(d, f) for d, f in zip(drafted, full, strict=True)]
        regret = full.max(1) - full[np.arange(3), drafted.argmax(1)]
        assert (row.draft, row.steps) == (f"steps:{steps}", steps)
        assert row.nfe == steps / 6 and row.prompts == 3 and row.reused is None
        assert row.correlation.delta == pytest.approx(np.mean(told))
        assert row.regret.delta == pytest.approx(regret.mean())
        gain = (full.max(1) - full.mean(1)).sum()
        assert row.kept == pytest.approx(1 - regret.sum() / gain)
    fine, coarse = (row.correlation.delta for row in found.rows)
    assert fine > coarse


def test_a_draft_that_is_the_full_sample_ranks_as_it_does(tmp_path: Path) -> None:
    (row,) = calibrated(4, tmp_path, drafts=["steps:6"]).rows
    assert row.correlation.delta == row.correlation.low == row.kept == row.nfe == 1
    assert row.regret.high == 0


def test_a_draft_that_cannot_tell_noises_apart(tmp_path: Path) -> None:
    """One Euler step from noise to clean is the mean of all there is, whatever the noise."""
    (row,) = calibrated(4, tmp_path, drafts=["steps:1"]).rows
    assert row.correlation.delta == 0 and row.prompts == 3 and row.kept < 1


def test_gone_on_with(found: Calibration, folder: Path) -> None:
    """Nothing is made again, and what was measured when it was made is still known."""
    lines = (folder / "journal.jsonl").read_text().count('"reply"')
    again = calibrated(8, folder)
    assert again == found and all(row.seconds is not None for row in again.rows)
    assert (folder / "journal.jsonl").read_text().count('"reply"') == lines == 3 * 8 * 3
    content = json.loads((folder / "calibration.json").read_text())
    assert content["rows"][0]["correlation"]["mean"] == found.rows[0].correlation.delta
    with pytest.raises(ConfigError, match="holds a run with other settings"):
        calibrated(8, folder, seed=1)


def test_table(found: Calibration) -> None:
    lines = calibration(found).splitlines()
    assert lines[0].startswith("draft") and lines[1].startswith("steps:4  4      0.67 ")
    assert "3 prompts, 8 noises each" in lines[-1]


def test_nothing_to_rank(tmp_path: Path) -> None:
    def same(images: Any, conditions: Any) -> Any:
        return images.mean((1, 2, 3)) * 0

    with pytest.raises(ConfigError, match="one and the same score"):
        calibrated(4, tmp_path, verifier=same)


def test_drafts_of_a_model() -> None:
    assert drafts_of("shapes-small", []) == ["steps:6", "steps:3", "cache:0.1"]
    assert drafts_of("shapes", [])[:2] == ["model:shapes-fast", "steps:2+model:shapes-fast"]
    assert drafts_of("shapes", ["steps:2"]) == ["steps:2"]
    with pytest.raises(ConfigError, match="mixture has no drafts of its own"):
        drafts_of(MixtureModel(), [])
    with pytest.raises(ValueError, match="greater than or equal to 3"):
        Pairs(candidates=2)
