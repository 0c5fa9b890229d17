"""The report of an experiment: what it says is what the folder holds, as far as that goes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from small_experiment import PROMPTS, campaign, finished

import noisesearch as ns
from noisesearch.errors import ConfigError, StoreError
from noisesearch.experiments import outcome, reproduction
from noisesearch.experiments.arms import ArmGroup, Setting
from noisesearch.experiments.campaign import Campaign, Unit
from noisesearch.experiments.folder import SPEC
from noisesearch.experiments.pages.contents import read
from noisesearch.experiments.pages.findings import findings
from noisesearch.experiments.pages.page import _shown
from noisesearch.experiments.pages.report import report
from noisesearch.experiments.pages.rows import Shelf, shelves
from noisesearch.experiments.reproduced_table import cell
from noisesearch.experiments.spec import experiment
from noisesearch.experiments.spec import read as read_spec
from noisesearch.pages.citations import citations


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment; not to be changed."""
    return finished(tmp_path_factory.mktemp("experiment"))


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(done, tmp_path / "copy"))
    ns.trust(folder)  # its model is code by a name of its own
    return folder


def table(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "table.json").read_text())
    return found


def overview(page: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(re.findall(r'id="overview">(.*?)</script>', page)[0])
    return data


def test_the_page_says_what_the_table_says(copy: Path) -> None:
    found = report(copy)
    assert found.path == copy / "report.html" and found.remarks == ()
    page, content = found.path.read_text(), table(copy)
    said = unescape(page)
    assert [claim["verdict"] for claim in content["claims"]] == ["holds", "does not hold"]
    assert "Of 2 claims 1 holds, 1 does not hold." in said and "It is." in said
    for arm in content["arms"]:
        assert cell(arm["light"]) in said
    drawn = {arm["name"]: arm for arm in overview(page)["arms"]}
    for arm in content["arms"]:
        name, figure = arm["arm"], arm["light"]
        assert drawn[name]["x"] == arm["nfe"]
        assert drawn[name]["figures"]["light"] == pytest.approx(list(figure.values()), rel=1e-5)
        apart = arm.get("light over first")
        there = drawn[name]["over"]["light"]
        assert (apart is None) == (there is None)
        assert apart is None or there == pytest.approx(list(apart.values()), rel=1e-5)


def test_links_lead_to_files_and_the_page_needs_no_network(copy: Path, tmp_path: Path) -> None:
    report(copy / "runs" / "random-8-seed1")
    elsewhere = tmp_path / "pages" / "a.html"
    elsewhere.parent.mkdir()
    for out in (None, elsewhere):
        found = report(copy, out)
        page = found.path.read_text().partition("@article")[0]
        links = [unescape(of) for of in re.findall(r'href="([^"#]*)"', page)]
        links.remove("data:,")
        assert {Path(unquote(link)).name for link in links} >= {
            "table.csv", "table.json", "report.html", "random-8-seed0"
        }  # fmt: skip
        assert all((found.path.parent / unquote(link)).exists() for link in links)
        assert not re.findall(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|https?:", page.replace(
            "http://www.w3.org/2000/svg", ""))  # fmt: skip
        assert re.findall(r'src="([^"]*)"', page), "pictures are shown"
        assert all(s.startswith("data:") for s in re.findall(r'src="([^"]*)"', page))
    linked = report(copy, elsewhere, "link")
    sources = re.findall(r'src="([^"]*)"', elsewhere.read_text())
    assert linked.linked and all((elsewhere.parent / unquote(s)).is_file() for s in sources)


def test_pictures_are_those_of_the_arms(done: Path) -> None:
    """Every card is the winner of its arm for its prompt, under the first seed."""
    rows: dict[str, dict[int, str]] = {}
    for path in sorted(done.glob("runs/*-seed0/arms.json")):
        for name, of in json.loads(path.read_text())["arms"].items():
            rows[name] = {row["condition"]: row["key"] for row in of}
    found = read(done)
    shown = list(_shown(found, outcome.pictures(found.campaign, done, 8), "", linked=True))
    assert [text for text, _ in shown] == PROMPTS[:8]
    for number, (_, of) in enumerate(shown):
        search, alone = of
        assert [card.arm for card in search.left] == ["steps 3", "steps 6"]
        assert [card.arm for card in search.right] == ["random 2", "random 4", "random 8"]
        assert [card.arm for card in alone.right] == ["darker"]
        for card in (*search.left, *search.right, *alone.right):
            assert Path(card.file).stem == rows[card.arm][number]


def test_shelves() -> None:
    def arm(name: str, line: str, candidates: int, **settings: Any) -> Setting:
        return Setting(name=name, line=line, candidates=candidates, **settings)

    arms = [
        arm("b 16", "b", 16), arm("a 1", "a", 1), arm("none", "none", 1), arm("a 4", "a", 4),
        arm("a 2", "a", 2), arm("c", "c", 4), arm("b 4", "b", 4),
        arm("d 1", "d", 1, algorithm="zero-order"),
    ]  # fmt: skip
    costs = {a.name: a.candidates * 10.0 for a in arms if a.candidates} | {"none": 5.0}
    assert shelves(arms, costs) == [
        Shelf("b", ("none",), ("b 4", "b 16")),
        Shelf("a", ("none", "a 1"), ("a 2", "a 4")),
        Shelf("one budget each", ("none",), ("c", "d 1")),
    ]
    # What is not done has no cost, and no place.
    assert shelves(arms[:2], {"a 1": 10.0}) == [Shelf("one budget each", ("a 1",), ())]


def test_what_arms_cost(done: Path) -> None:
    found = read(done)
    bills = {bill.arm: bill for bill in found.bills}
    assert {name: bill.nfe for name, bill in bills.items()} == {
        "steps 6": 6, "steps 3": 3, "random 8": 24, "random 2": 6, "random 4": 12, "darker": 12
    }  # fmt: skip
    assert all(bill.images == 24 for bill in bills.values())
    shared = [run for run in found.runs if "random 8" in run.arms]
    assert [run.seed for run in shared] == [0, 1] and "darker" in shared[0].arms
    assert sum(run.nfe for run in shared) == 8 * 3 * 24
    assert bills["random 2"].runs == bills["darker"].runs == tuple(run.name for run in shared)
    # Arms of the same runs go at one pace.
    two, eight = bills["random 2"].seconds, bills["random 8"].seconds
    assert two is not None and eight == pytest.approx(4 * two)
    assert eight == pytest.approx(sum(run.seconds for run in shared) / 24)
    said = findings(found)
    assert f"{sum(run.nfe for run in found.runs):,} evaluations" in said.cost
    assert "would have needed 1,512 together" in said.cost
    trust = [remark.text for remark in said.trust]
    assert any("Each arm has 24 images" in text for text in trust)
    assert any("some arm searched by" in text for text in trust), "light is searched and measured"


def test_columns_that_no_arm_searched(tmp_path: Path) -> None:
    arms = [{"name": "random {candidates}", "candidates": [1, 2], "steps": 2}]
    folder = finished(tmp_path, arms=arms, claims=[], finding="", prompts=PROMPTS[:2], seeds=1,
                      measure={"columns": [f"{tmp_path}/two.py:dark"]}, plot={})  # fmt: skip
    said = findings(read(folder))
    trust = {remark.text: remark.good for remark in said.trust}
    assert any("No arm searched by dark" in text and good for text, good in trust.items())
    assert any("fewer than 20" in text and good is False for text, good in trust.items())
    assert "Nothing was claimed" in said.found and said.paper == ""
    page = report(folder).path.read_text()
    assert "What did the paper find?" not in page and "What was claimed" not in page


def test_an_experiment_that_was_stopped(tmp_path: Path, done: Path) -> None:
    """What is there is shown, nothing is decided or written as a result, and it can go on."""
    whole = campaign(done.parent)
    folder = tmp_path / "out"
    whole.begin(folder)
    with pytest.raises(StoreError, match=r"no result yet: none of its 4 runs.*noisesearch run"):
        report(folder)
    assert not (folder / "report.html").exists()
    shutil.copytree(done / "runs", folder / "runs")
    ns.trust(folder)
    missing = {"steps-6-seed0": "not begun", "steps-6-seed1": "not begun",
               "random-8-seed1": "begun"}  # fmt: skip
    for name, state in missing.items():
        (folder / "runs" / name / "arms.json").unlink()
        if state == "not begun":
            shutil.rmtree(folder / "runs" / name)
        else:
            (folder / "runs" / name / "winners.json").unlink()  # as where it was stopped early
    found = report(folder)
    page = unescape(found.path.read_text())
    again = f"noisesearch run {folder / SPEC} --out {folder}"
    assert "3 of its 4 runs are missing, so the report is of 5 of 6 arms" in found.remarks[0]
    assert again in found.remarks[0] and "This experiment is not finished" in page
    assert "No claim is decided before all is done" in page
    assert 'class="verdict' not in page and "eight are lighter" not in page
    assert "no figures yet of: steps 6" in page
    assert not (folder / "table.json").exists() and not (folder / "table.csv").exists()
    examined = read(folder)
    assert {run.name: run.state for run in examined.missing} == missing
    # One seed: the figures are those of an experiment with that alone.
    assert {row["images"] for row in examined.arms} == {12}
    for row in examined.arms:
        seen = json.loads((folder / "runs/random-8-seed0/arms.json").read_text())
        keys = [of["key"] for of in seen["arms"][row["arm"]]]
        light = dict(zip(seen["keys"], seen["columns"]["light"], strict=True))
        assert row["light"]["value"] == pytest.approx(sum(light[key] for key in keys) / 12)
    Campaign.stored(folder).run(folder)
    report(folder)
    assert table(folder) == table(done), "going on gives what was to be"


def test_which_runs_can_be_compared() -> None:
    def unit(name: str, seed: int, joint: bool = False) -> Unit:
        return Unit(ArmGroup(name, ()), seed, joint)

    every = [unit("a", 0), unit("b", 0), unit("sets", 0, True), unit("a", 1), unit("b", 1)]
    a0, b0, sets, a1, b1 = every
    assert outcome.comparable(every, every) == [a0, b0, a1, b1, sets]
    assert outcome.comparable(every, [a0, b0, sets, a1]) == [a0, b0]
    assert outcome.comparable(every, [a0]) == [a0]
    assert outcome.comparable(every, [a1]) == []  # as no run of ours leaves it
    assert outcome.comparable(every, [sets]) == [sets]
    assert outcome.comparable(every, []) == []


def test_a_lost_table_is_written_again(copy: Path) -> None:
    before = table(copy)
    (copy / "table.json").write_text('{"torn": ')
    (copy / "table.csv").unlink()
    report(copy)
    assert table(copy) == before and (copy / "table.csv").exists()


def test_the_folder_runs_the_experiment_again(done: Path, tmp_path: Path) -> None:
    """Its own file is a spec, so the command on the page needs nothing that is elsewhere."""
    again = Campaign(experiment(read_spec(done / SPEC)))
    again.begin(tmp_path / "again")
    texts = [json.loads((at / SPEC).read_text()) for at in (done, tmp_path / "again")]
    keys = [{name: text[name] for name in ("experiment", "prompts", "arms")} for text in texts]
    assert keys[0] == keys[1]
    with pytest.raises(ConfigError, match="holds no experiment"):
        read_spec(done / "table.json")


def test_a_prompts_file_may_be_gone(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS[:2]))
    arms = [{"name": "random {candidates}", "candidates": [1, 2], "steps": 2}]
    folder = finished(tmp_path, prompts=str(file), arms=arms, claims=[], seeds=1)
    file.unlink()
    assert "prompt 1" in report(folder).path.read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda of: "{", "holds no experiment"),
        (lambda of: "[]", "is not complete"),
        (lambda of: json.dumps({k: v for k, v in of.items() if k != "prompts"}), "not complete"),
        (lambda of: json.dumps({**of, "prompts": [["a", "b", "c"]]}), "not complete"),
        (lambda of: json.dumps({**of, "experiment": {"summary": "a"}}), "not complete"),
        (lambda of: json.dumps({**of, "versions": {"noisesearch": "0.0.1"}}),
         r"made by noisesearch 0\.0\.1.*pip install noisesearch==0\.0\.1"),
    ],
)  # fmt: skip
def test_what_cannot_be_reported(
    copy: Path, change: Callable[[dict[str, Any]], str], said: str
) -> None:
    path = copy / SPEC
    path.write_text(change(json.loads(path.read_text())))
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*")}
    with pytest.raises(StoreError, match=said) as refusal:
        report(copy)
    assert "\n" not in str(refusal.value)
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*")} == before, "nothing is touched"


def test_pictures_that_are_gone(copy: Path) -> None:
    for path in copy.glob("runs/*/samples/*.png"):
        path.unlink()
    page = report(copy).path.read_text()
    assert '<span class="none">no picture' in page and "<img src" not in page


def test_text_stays_text(copy: Path) -> None:
    """What a user writes ends no tag."""
    bad = '</script><script>alert("1")</script>'
    content = json.loads((copy / SPEC).read_text())
    content["experiment"]["question"] = bad
    content["prompts"][0][0] = bad
    (copy / SPEC).write_text(json.dumps(content))
    changed = table(copy)
    changed["question"] = changed["arms"][0]["line"] = bad
    (copy / "table.json").write_text(json.dumps(changed))
    page = report(copy).path.read_text()
    assert bad not in page and overview(page)["arms"][0]["line"] == bad
    assert unescape(page).count(bad) > 2


def test_an_experiment_of_the_paper(tmp_path: Path) -> None:
    sizes = {"limit": 2}
    whole = Campaign(reproduction.reproduction("fig15", "embedded", sizes=sizes))
    whole.run(tmp_path / "out")
    found = read(tmp_path / "out")
    page = report(tmp_path / "out").path.read_text()
    assert "fig15 of the paper, made again" in page and "noisesearch reproduce fig15" in page
    assert found.content["finding"] in unescape(page)
    assert table(tmp_path / "out")["verdict"], "written, since the process ended before that"
    (spec,) = found.specs
    of_sets = citations([spec], ["oracle-fid"], ["precision"]).bibtex
    assert "kynkaanniemi2019improved" in of_sets and "heusel2017gans" in of_sets
    assert "kynkaanniemi2019improved" not in citations([spec]).bibtex
