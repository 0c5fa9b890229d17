"""Every experiment's paper scale from its spec to its table, on networks that are tiny.

The specs are those that run the published weights; what is not published scale is what a trial
cuts (prompts, seeds, steps, candidates), and what the networks weigh.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from paper_assets import Assets

from noisesearch.evaluation.compbench import words
from noisesearch.evaluation.compbench.numeracy import tokens
from noisesearch.evaluation.compbench.words import Chunk, Parsed, Word
from noisesearch.experiments import outcome, reproduction
from noisesearch.experiments.campaign import Campaign
from support.grader_server import GraderServer

pytest.importorskip("diffusers")
pytest.importorskip("httpx")

FAST = ("fig9", "fig13", "table1")  # each of another kind; the others take minutes together
NOUNS = ("dog", "cat", "chair")


def tagged(prompt: str) -> Parsed:
    """What a tagger finds in the made-up prompts: nouns, each a chunk of its own."""
    texts = tokens(prompt)
    chunks = (Chunk(text, text, i) for i, text in enumerate(texts) if text in NOUNS)
    return Parsed(tuple(Word(t, "NOUN" if t in NOUNS else "X") for t in texts), tuple(chunks))


@pytest.fixture(scope="module")
def server() -> Iterator[GraderServer]:
    with GraderServer() as server:
        yield server


@pytest.fixture(scope="module")
def assets(server: GraderServer, tmp_path_factory: pytest.TempPathFactory) -> Assets:
    grader = f"llm-grader(model=stub, endpoint={server.endpoint}, cache=off)"
    return Assets(tmp_path_factory.mktemp("assets"), grader)


def ran(name: str, assets: Assets, folder: Path) -> outcome.ExperimentOutcome:
    """The whole way that the command goes."""
    wanted = reproduction.at_scale(
        reproduction.read(reproduction.SPECS / f"{name}.toml"), "paper"
    ).get("assets", {})
    given = {asset: assets[asset] for asset in wanted}
    campaign = Campaign(reproduction.reproduction(name, "paper", given, trial=True))
    campaign.check()
    campaign.run(folder)
    found = outcome.outcome(campaign, folder)
    outcome.write(found, folder)
    return found


@pytest.mark.parametrize(
    "name",
    [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in reproduction.ids()],
)
def test_it_runs_from_its_spec_to_its_table(
    name: str, assets: Assets, server: GraderServer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Every arm has its images, every figure a number, and every arm spent what was planned:
    Search over Paths at most that, since paths may have the same ancestors."""
    monkeypatch.setattr(words, "parser", lambda model: tagged)
    asked = server.calls
    found = ran(name, assets, tmp_path)
    campaign, board = found.campaign, found.board
    assert [arm.name for arm in board.arms] == [arm.name for arm in campaign.arms]
    assert {arm.images for arm in board.arms} == {campaign.images}
    assert board.columns, "nothing would be measured"
    for arm in board.arms:
        for column in board.columns:
            assert np.isfinite(board.estimate(arm.name, column).value), (arm.name, column)
    table = json.loads((tmp_path / "table.json").read_text())
    spent = {row["arm"]: row["nfe"] for row in table["arms"]}
    for setting, plan in zip(campaign.arms, campaign.plan()["arms"], strict=True):
        if setting.algorithm == "paths":
            assert 0 < spent[plan["arm"]] <= plan["nfe"]
        else:
            assert spent[plan["arm"]] == pytest.approx(plan["nfe"])
    drawn = campaign.experiment.plot
    assert (tmp_path / "plot.svg").exists() == bool(drawn.y)
    assert (tmp_path / "pictures.png").exists() == bool(drawn.images)
    if "llm-grader" in board.columns:  # each picture of a run is paid for once
        runs = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/arms.json")]
        assert server.calls - asked == sum(len(run["keys"]) for run in runs)
