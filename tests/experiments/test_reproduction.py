"""The paper's experiments: every id is there, at both scales, and says what decides it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from paper_assets import make_compbench

from noisesearch.errors import ConfigError
from noisesearch.experiments import outcome, reproduction
from noisesearch.experiments import reproduced_table as page
from noisesearch.experiments.campaign import Campaign
from noisesearch.experiments.spec import Experiment

IDS = {f"fig{n}" for n in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)} | {
    f"table{n}" for n in (1, 2, 3, 4, 7, 8)
}


def assets_of(name: str, scale: str, prompts: Path) -> dict[str, str]:
    """Something for everything that only the user can give; sit is a model that needs nothing."""
    given = reproduction.at_scale(
        reproduction.read(reproduction.SPECS / f"{name}.toml"), scale
    ).get("assets", {})
    files = {"prompts": str(prompts), "sit": "fashion", "sit_l": "fashion-medium",
             "sit_b": "fashion-small", "compbench": str(prompts.parent / "compbench")}  # fmt: skip
    return {key: files.get(key, value or "given") for key, value in given.items()}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    make_compbench(folder / "compbench")
    (folder / "drawbench.txt").write_text("a cat\na dog\na red cube\n")
    return folder / "drawbench.txt"


def test_every_id_of_the_paper_is_there() -> None:
    assert set(reproduction.ids()) == IDS
    assert all(of["name"] and of["summary"] and of["question"] for of in reproduction.listed())
    assert reproduction.ids()[:3] == ["fig1", "fig3", "fig4"]


@pytest.mark.parametrize("scale", reproduction.SCALES)
@pytest.mark.parametrize("name", sorted(IDS))
def test_specs_are_whole(name: str, scale: str, prompts: Path) -> None:
    """They parse, their arms spell out and share, and every claim is about arms that are there."""
    assets = assets_of(name, scale, prompts)
    found = reproduction.reproduction(name, scale, assets)
    campaign = Campaign(found)
    assert found.claims, "nothing would decide it"
    if scale == "embedded":
        assert found.minutes is not None and found.minutes <= 15
        assert len(campaign.prompts) * found.seeds >= 20
    trial = Campaign(reproduction.reproduction(name, scale, assets, trial=True))
    assert {arm.algorithm for arm in trial.arms} == {arm.algorithm for arm in campaign.arms}
    assert len(trial.prompts) <= 12 and trial.experiment.seeds == 1


@pytest.mark.parametrize(("name", "verdict"), [("fig9", 6), ("table2", 12), ("fig3", 4)])
def test_embedded_claims_name_columns_that_are_measured(name: str, verdict: int) -> None:
    found = reproduction.reproduction(name, "embedded")
    assert len(found.claims) == verdict
    columns = {"aesthetic", "clipscore", "imagereward", "checker", *found.measure.sets}
    assert {claim.column for claim in found.claims} <= columns


def test_what_is_not_known_is_said() -> None:
    with pytest.raises(ConfigError, match="unknown experiment 'fig2': did you mean 'fig"):
        reproduction.reproduction("fig2", "embedded")
    with pytest.raises(ConfigError, match="unknown scale 'papers': did you mean 'paper'"):
        reproduction.reproduction("fig1", "papers")
    with pytest.raises(ConfigError, match="only you can give: prompts: a text file with Draw"):
        reproduction.reproduction("fig9", "paper")


def small(name: str) -> Experiment:
    return reproduction.reproduction(name, "embedded", trial=True)


def test_the_page_is_written_from_folders(tmp_path: Path) -> None:
    found = reproduction.reproduction("fig15", "embedded", sizes={"limit": 2})
    campaign = Campaign(found)
    campaign.run(tmp_path / "runs" / "fig15")
    done = outcome.outcome(campaign, tmp_path / "runs" / "fig15")
    outcome.write(done, tmp_path / "runs" / "fig15")
    assert page.write(tmp_path / "runs", tmp_path / "docs" / "page.md") == 1
    text = (tmp_path / "docs" / "page.md").read_text()
    assert f"| [fig15](#fig15) | {found.question} | *{done.verdict}* |" in text
    assert text.count("not run yet") == len(IDS) - 1
    table = json.loads((tmp_path / "runs" / "fig15" / "table.json").read_text())
    [claim] = table["claims"]
    assert f"*{claim['verdict']}*" in text and Path(tmp_path / "docs").is_dir()


def test_what_may_make_it_differ_is_said_where_it_does(tmp_path: Path) -> None:
    """It would catch reasons for a difference that was not found."""
    for verdict in ("holds", "does not hold", "cannot be told"):
        table = {"question": "", "finding": "", "summary": "", "remark": "", "prompts": 1,
                 "seeds": 1, "verdict": verdict, "claims": [], "columns": [],
                 "arms": []}  # fmt: skip
        folder = tmp_path / verdict / "fig14"
        folder.mkdir(parents=True)
        (folder / "table.json").write_text(json.dumps(table))
        page.write(folder.parent, tmp_path / "page.md")
        said = "What may make it differ" in (tmp_path / "page.md").read_text()
        assert said == (verdict == "does not hold")


def test_pictures_stand_in_rows(tmp_path: Path) -> None:
    campaign = Campaign(small("fig7"))
    campaign.run(tmp_path / "out")
    outcome.write(outcome.outcome(campaign, tmp_path / "out"), tmp_path / "out")
    from PIL import Image

    with Image.open(tmp_path / "out" / "pictures.png") as sheet:
        # Six arms side by side, two classes below each other, each enlarged to 168 pixels.
        assert sheet.width > 4 * 168 and sheet.height > 2 * 168
