"""Algorithms side by side: paired, gone on with, and with honest intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.cli.tables import compared
from noisesearch.experiments.compare import budgets_of, compare, located
from noisesearch.objectives.statistics import paired
from noisesearch.testing import MixtureModel

MODEL = "noisesearch.testing.mixture_model:MixtureModel"
PROMPTS = [f"prompt {i}" for i in range(6)]
MINE = """
def steady(problem):
    replies = yield [problem_score(problem, i) for i in range(3)]
    return [replies[i].trajectory for i in problem.objective.order(replies).argsort()[::-1]]

def problem_score(problem, i):
    from noisesearch import score
    return score(problem.sample(problem.noise(i)))
"""


def test_arms_are_paired_and_more_work_is_better(tmp_path: Path) -> None:
    found = compare(["random", "zero-order"], PROMPTS, ["2candidates", "9candidates"], tmp_path,
                    MODEL, "brightness")  # fmt: skip
    none, few, _, many, _ = found.arms
    assert [(a.algorithm, a.budget) for a in found.arms] == [
        ("no search", ""), ("random", "2candidates"), ("zero-order", "2candidates"),
        ("random", "9candidates"), ("zero-order", "9candidates"),
    ]  # fmt: skip
    # The first candidate of Random Search is the baseline itself, so no prompt can get worse.
    assert (few.columns["score"] >= none.columns["score"]).all()
    assert (many.columns["score"] >= few.columns["score"]).all()
    assert found.difference(many, none, "score").low > 0
    assert [a.nfe for a in found.arms] == [6, 12, 12, 54, 54]
    row = found.json()[3]
    assert row["over_no_search"]["score"]["delta"] == pytest.approx(
        many.columns["score"].mean() - none.columns["score"].mean()
    )
    lines = compared(found).splitlines()
    assert len(lines) == 6 and lines[4].startswith("random")


def test_goes_on_with_what_is_there(tmp_path: Path) -> None:
    first = compare(["random"], PROMPTS, ["3candidates"], tmp_path, MODEL, "brightness")
    journal = tmp_path / "random-3candidates" / "journal.jsonl"
    before = journal.read_text()
    second = compare(["random"], PROMPTS, ["3candidates"], tmp_path, MODEL, "brightness")
    assert np.array_equal(first.arms[1].columns["score"], second.arms[1].columns["score"])
    assert [line for line in journal.read_text().splitlines() if '"event"' not in line] == [
        line for line in before.splitlines() if '"event"' not in line
    ]
    with pytest.raises(ns.ConfigError, match="other prompts"):
        compare(["random"], PROMPTS[:2], ["3candidates"], tmp_path, MODEL, "brightness")


def test_the_model_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, build = list[float](), MixtureModel.build

    def counted(self: MixtureModel, guidance: float, *where: str) -> Any:
        built.append(guidance)
        return build(self, guidance, *where)

    monkeypatch.setattr(MixtureModel, "build", counted)
    compare(["random", "zero-order"], PROMPTS, ["2candidates", "3candidates"], tmp_path, MODEL,
            "brightness")  # fmt: skip
    assert len(built) == 1


def test_an_algorithm_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (name,) = located([f"{tmp_path}/mine.py:steady"])
    found = compare([name, "random"], PROMPTS, ["3candidates"], tmp_path / "out", MODEL,
                    "brightness")  # fmt: skip
    assert np.array_equal(found.arms[1].columns["score"], found.arms[2].columns["score"])


def test_what_a_budget_is_too_small_for_is_left_out_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    found = compare(["random", "paths"], PROMPTS, ["2candidates", "12candidates"], tmp_path, MODEL,
                    "brightness", say=said.append)  # fmt: skip
    assert [(a.algorithm, a.budget) for a in found.arms[1:]] == [
        ("random", "2candidates"), ("random", "12candidates"), ("paths", "12candidates"),
    ]  # fmt: skip
    assert said[0].startswith("paths, 2candidates: left out") and "needs at least" in said[0]
    with pytest.raises(ns.ConfigError, match="needs at least"):
        compare(["paths"], PROMPTS, ["2candidates"], tmp_path / "none", MODEL, "brightness")
    assert not (tmp_path / "none").exists()


def test_budgets() -> None:
    assert budgets_of("8, 32,640nfe") == ["8candidates", "32candidates", "640nfe"]


def test_interval_covers_as_often_as_it_says() -> None:
    """Of 200 samples of 40 pairs, the 95 % interval holds the true mean about 190 times.

    Catches arms that are resampled apart, which is too wide, and a deviation in place of the
    mean's standard error.
    """
    rng = np.random.default_rng(1)
    held = 0
    for i in range(200):
        before = rng.normal(size=40)
        found = paired(before, before + rng.normal(0.3, 1.0, size=40), seed=i)
        held += found.low <= 0.3 <= found.high
    assert 180 <= held <= 198
    same = paired([1.0, 2.0], [1.0, 2.0])
    assert (same.delta, same.low, same.high) == (0.0, 0.0, 0.0)
