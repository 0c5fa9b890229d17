"""The report of a run: what it says is what the folder holds."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.candidates.trajectory import Graph
from noisesearch.errors import ConfigError, StoreError
from noisesearch.experiments.pages.report import report
from noisesearch.names import registry
from noisesearch.objectives.statistics import mean, means, paired
from noisesearch.pages.answers import answers
from noisesearch.pages.citations import MODELS, VERIFIERS, _entries, citations
from noisesearch.pages.commands import command, recipe
from noisesearch.pages.cost import cost
from noisesearch.pages.gains import VALUE, curves, gains
from noisesearch.runs.rerank import rerank
from noisesearch.store.history import RunHistory
from noisesearch.testing.synthetic import made_up_run

PROMPTS = ["a red circle", "two blue squares"]
QUICK: dict[str, Any] = {"verifier": "clipscore,aesthetic", "steps": 2, "guidance": 1.0}
RUNS: dict[str, dict[str, Any]] = {
    "zero-order": {"algorithm": "zero-order", "budget": "12candidates", "watch": "checker"},
    "finished": {"algorithm": "zero-order", "budget": "12candidates", "final_steps": 4},
    "drafted": {"algorithm": "random", "budget": "8candidates", "steps": 4, "draft": "steps:2"},
    "guarded": {"algorithm": "random", "budget": "8candidates", "guard": "aesthetic"},
    "pareto": {
        "algorithm": "random", "budget": "8candidates",
        "objective": "pareto(clipscore, aesthetic)",
    },
    "bounded": {
        "algorithm": "random", "budget": "8candidates",
        "objective": "constrain(aesthetic >= 5.5, then=clipscore)",
    },
    "cascade": {
        "algorithm": "random", "budget": "8candidates",
        "objective": "cascade(aesthetic:4, clipscore)",
    },
    "paths": {"algorithm": "paths", "budget": 120, "steps": 4},
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Finished runs by name, each made when first asked for."""
    base = tmp_path_factory.mktemp("runs")

    def run(name: str) -> Path:
        if not (base / name).exists():
            ns.search(PROMPTS, out=base / name, **{**QUICK, **RUNS[name]})
        return base / name

    return run


@pytest.mark.parametrize("name", RUNS)
def test_reading_agrees_with_the_run(runs: Callable[[str], Path], name: str) -> None:
    """The values of baseline and winners are the stored scores, and the last NFE the ledger's."""
    reading = RunHistory(runs(name))
    assert reading.complete and not reading.reranked and reading.objective is not None
    assert [str(s.condition) for s in reading.searches] == PROMPTS
    stored = json.loads((runs(name) / "winners.json").read_text())["searches"]
    for search, of in zip(reading.searches, stored, strict=True):
        assert search.baseline.score == pytest.approx(of["baseline"]["score"])
        assert [w.score for w in search.winners] == pytest.approx(
            [w["score"] for w in of["winners"]]
        )
        assert search.winner.trajectory.key == of["winner"]["trajectory"]
        spent = [c.nfe for c in search.candidates]
        assert spent == sorted(spent) and spent[-1] == of["ledger"]["nfe"]
        seconds = [c.seconds for c in search.candidates]
        assert seconds == sorted(seconds)


def test_what_was_made_from_what(runs: Callable[[str], Path]) -> None:
    """A neighbour's parent has the pivot's noise, a finished draft's its own, a leg's the path."""
    made = {
        name: RunHistory(runs(name)).searches[0].candidates for name in ("zero-order", "paths")
    }
    later = [c for c in made["zero-order"] if c.kind == "sample"]
    assert later
    for candidate in later:
        assert candidate.parent is not None
        parent = made["zero-order"][candidate.parent]
        assert candidate.trajectory.noise.children == (parent.trajectory.noise,)
    legs = [c for c in made["paths"] if c.parent is not None]
    assert legs and any(c.kind == "preview" for c in made["paths"])
    for leg in legs:
        assert leg.parent is not None
        assert made["paths"][leg.parent].trajectory in leg.trajectory.lineage()
    finished = RunHistory(runs("finished")).searches[1].candidates
    (final,) = (c for c in finished if c.kind == "final")
    assert final.parent is not None
    assert finished[final.parent].trajectory.at(4) == final.trajectory
    assert finished[final.parent].kind == "draft"


@pytest.mark.parametrize(
    ("name", "words"),
    [("zero-order", ["2 steps"]), ("finished", ["2 steps", "4 steps"]),
     ("drafted", ["draft steps:2", "4 steps"])],
)  # fmt: skip
def test_steps_of_one_noise(runs: Callable[[str], Path], name: str, words: list[str]) -> None:
    """Left in the row of pictures: the baseline's noise in fewer steps, and the baseline last."""
    data = block(report(runs(name)).path.read_text(), 0)
    assert [said for _, said in data["unsearched"]] == words
    places = [i for i, _ in data["unsearched"]]
    assert places[-1] == data["base"]
    candidates = RunHistory(runs(name)).searches[0].candidates
    assert len({candidates[i].trajectory.noise.key for i in places}) == 1
    others = [c for i, c in enumerate(candidates) if i not in places]
    assert candidates[places[0]].trajectory.noise not in {c.trajectory.noise for c in others}


def test_gains(runs: Callable[[str], Path]) -> None:
    reading = RunHistory(runs("zero-order"))
    found = {g.part: g for g in gains(reading)}
    assert list(found) == [VALUE, "clipscore", "aesthetic", "checker"]
    assert [found[p].role for p in ("clipscore", "checker")] == ["searched", "held out"]
    stored = json.loads((runs("zero-order") / "winners.json").read_text())["searches"]
    before = [s["baseline"]["parts"]["aesthetic"] for s in stored]
    after = [s["winner"]["parts"]["aesthetic"] for s in stored]
    gain = found["aesthetic"]
    assert gain.interval == paired(before, after)
    assert gain.baseline == pytest.approx(np.mean(before))
    assert gain.better == sum(b > a for a, b in zip(before, after, strict=True))


def test_curves_end_at_the_best_so_far(runs: Callable[[str], Path]) -> None:
    reading = RunHistory(runs("zero-order"))
    (curve,) = (c for c in curves(reading) if c.part == VALUE)
    rises = [max(c.score or 0 for c in s.candidates) - (s.baseline.score or 0)
             for s in reading.searches]  # fmt: skip
    assert curve.mean[-1] == pytest.approx(np.mean(rises))
    assert list(curve.mean) == sorted(curve.mean), "what is best so far never gets worse"
    assert all(a <= b <= c for a, b, c in zip(curve.low, curve.mean, curve.high, strict=True))


def test_intervals_of_columns() -> None:
    values = np.random.default_rng(1).normal(size=(9, 3))
    for column, interval in zip(values.T, means(values), strict=True):
        alone = mean(column)
        assert interval.json() == pytest.approx(alone.json())


def test_planned_is_what_was_counted(runs: Callable[[str], Path]) -> None:
    spent = cost(RunHistory(runs("zero-order")))
    lines = {line.name: line for line in spent.lines}
    for unit in ("nfe", "forwards", "decodes", "clipscore"):
        assert lines[unit].planned == (lines[unit].recipes, lines[unit].recipes), unit
    assert lines["nfe"].recipes == lines["nfe"].counted == spent.nfe > 0
    assert lines["checker"].planned is None, "how often a best is found no plan can know"


def test_an_extended_run_has_its_new_plan(runs: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs("zero-order"), tmp_path / "run"))
    ns.resume(folder, budget="20candidates")
    lines = {line.name: line for line in cost(RunHistory(folder)).lines}
    assert lines["nfe"].planned == (lines["nfe"].recipes,) * 2
    assert lines["nfe"].recipes == 2 * 20 * 2


def test_front_and_bounds(runs: Callable[[str], Path]) -> None:
    page = report(runs("pareto")).path.read_text()
    data = block(page, 0)
    stored = json.loads((runs("pareto") / "winners.json").read_text())["searches"][0]
    on_front = [data["keys"][i] for i in data["front"]]
    assert on_front == [w["trajectory"] for w in stored["winners"]]
    bounded = RunHistory(runs("bounded")).searches[0]
    for candidate in bounded.candidates:
        assert candidate.out == (candidate.reply.parts["aesthetic"] < 5.5)
    cascade = RunHistory(runs("cascade")).searches[0]
    let_go = [c for c in cascade.candidates if "clipscore" not in c.reply.parts]
    assert let_go and all(c.out for c in let_go)


def overview(page: str) -> dict[str, Any]:
    """What a page says of all searches together."""
    data: dict[str, Any] = json.loads(re.findall(r'id="overview">(.*?)</script>', page)[0])
    return data


def block(page: str, number: int) -> dict[str, Any]:
    """The data of one search in a page."""
    found = re.search(rf'id="search-{number}">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_command_makes_the_run_again(runs: Callable[[str], Path], tmp_path: Path) -> None:
    from noisesearch.cli import app

    for name in ("finished", "drafted", "pareto"):
        written = command(RunHistory(runs(name)).spec, str(tmp_path / name))
        assert written is not None
        app(shlex.split(written)[1:], standalone_mode=False)
        old, new = (json.loads((f / "winners.json").read_text())["searches"]
                    for f in (runs(name), tmp_path / name))  # fmt: skip
        for a, b in zip(old, new, strict=True):
            assert a["winners"][0]["trajectory"] == b["winners"][0]["trajectory"]
            assert a["winner"]["parts"] == b["winner"]["parts"]


def test_a_recipe_is_whole(runs: Callable[[str], Path]) -> None:
    winner = RunHistory(runs("paths")).searches[0].winner.trajectory
    graph = Graph()
    for line in recipe(winner):
        graph.add(line["node"], {k: v for k, v in line.items() if k != "node"})
    assert graph.trajectory(winner.key) == winner


def test_objects_have_no_command(tmp_path: Path) -> None:
    def vivid(images: Any, conditions: Any) -> Any:
        """Missing for the darker half."""
        score = images.std((1, 2, 3))
        score[images.mean((1, 2, 3)) < images.mean()] = float("nan")
        return score

    ns.search(PROMPTS[0], verifier=[vivid, "aesthetic"], watch="checker", algorithm="random",
              budget="8candidates", steps=2, max_missing=1.0, out=tmp_path / "run")  # fmt: skip
    reading = RunHistory(tmp_path / "run")
    assert command(reading.spec) is None
    lost = sum("vivid" in c.reply.missing for c in reading.searches[0].candidates)
    assert lost
    said = answers(reading, gains(reading), cost(reading))
    assert any(f"vivid is missing in {lost} of 8 candidates" in r.text and r.good is False
               for r in said.trust)  # fmt: skip
    assert "no interval" in said.much
    assert "made again from Python" in report(tmp_path / "run").path.read_text()


def test_reranked(runs: Callable[[str], Path], tmp_path: Path) -> None:
    """The scores are those of the rerank's objective, and the page says so."""
    folder = Path(shutil.copytree(runs("zero-order"), tmp_path / "run"))
    rerank(folder, "weighted(clipscore=-1)")
    reading = RunHistory(folder)
    assert reading.reranked and reading.ranked_by == "weighted(clipscore=-1)"
    for candidate in reading.candidates:
        assert candidate.score == -candidate.parts["clipscore"]
    assert VALUE in {g.part for g in gains(reading)} and reading.role("checker") == "held out"
    page = report(folder).path.read_text()
    assert "<span>objective weighted(clipscore=-1)</span>" in page
    assert "by another objective than the run&#39;s own: weighted(clipscore=-1)." in page


def test_reranked_by_what_is_not_known(runs: Callable[[str], Path], tmp_path: Path) -> None:
    """No value is made up where winners.json does not say what it was ranked by."""
    folder = Path(shutil.copytree(runs("zero-order"), tmp_path / "run"))
    rerank(folder, "weighted(clipscore=-1)")
    content = json.loads((folder / "winners.json").read_text())
    del content["ranked_by"]
    (folder / "winners.json").write_text(json.dumps(content))
    reading = RunHistory(folder)
    assert reading.reranked and reading.objective is None
    assert all(c.score is None for s in reading.searches for c in s.candidates)
    assert curves(reading) == [] and VALUE not in {g.part for g in gains(reading)}
    assert "which the folder does not keep" in report(folder).path.read_text()


@pytest.mark.usefixtures("fashion_data")
def test_sets(tmp_path: Path) -> None:
    ns.search(["sneaker", "bag"], model="fashion", verifier="dino-linear", algorithm="population",
              parameters={"size": 8, "batch": 2, "candidates": 2}, budget="20candidates", steps=2,
              objective="frechet(dino-linear)", out=tmp_path / "run")  # fmt: skip
    reading = RunHistory(tmp_path / "run")
    assert reading.objective is None and not reading.reranked
    (gain,) = gains(reading)
    assert gain.pairs == 8 and gain.interval is not None
    found = reading.content["population"]
    assert f"{found['winner']:.4g} with search" in answers(reading, [gain], cost(reading)).changed
    shown = overview(report(tmp_path / "run").path.read_text())["sets"]
    assert len(shown["without"]) == len(shown["with"]) == 8
    assert shown["winner"] == found["winner"]


def test_what_cannot_be_reported(runs: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        report(tmp_path / "nothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(StoreError, match="is not a run"):
        report(empty)
    shutil.copy(runs("pareto") / "spec.json", empty)
    with pytest.raises(StoreError, match=r"no winners yet.*noisesearch resume"):
        report(empty)
    (empty / "winners.json").write_text('{"run": "", "complete": false, "searches": []}')
    with pytest.raises(ConfigError, match="nothing to report"):
        report(empty)
    (empty / "winners.json").write_text('{"searches": [')
    with pytest.raises(StoreError, match=r"cannot be read.*noisesearch resume"):
        report(empty)
    assert not (empty / "report.html").exists()
    old = Path(shutil.copytree(runs("pareto"), tmp_path / "old"))
    spec = json.loads((old / "spec.json").read_text())
    (old / "spec.json").write_text(json.dumps({**spec, "version": "0.0.1"}))
    with pytest.raises(StoreError, match=r"noisesearch 0\.0\.1"):
        report(old)
    with pytest.raises(ConfigError, match="is a folder"):
        report(runs("pareto"), tmp_path)
    with pytest.raises(ConfigError, match="one of auto, embed, link"):
        report(runs("pareto"), pictures="sent")


def test_an_unfinished_run(runs: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs("guarded"), tmp_path / "run"))
    content = json.loads((folder / "winners.json").read_text())
    (folder / "winners.json").write_text(json.dumps({**content, "complete": False}))
    lines = (folder / "journal.jsonl").read_bytes()
    found = report(folder, tmp_path / "page.html")
    assert "is not finished" in found.remarks[0]
    assert "This run is not finished" in found.path.read_text()
    assert (folder / "journal.jsonl").read_bytes() == lines
    assert not (folder / "report.html").exists()


def test_the_page_needs_nothing_else(runs: Callable[[str], Path]) -> None:
    """With pictures in it; where they are linked, each is beside the page."""
    whole = report(runs("zero-order"), pictures="embed").path.read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!#|data:)", whole)
    assert not re.findall(
        r"@import|url\((?!#)|fetch\(|XMLHttpRequest", whole.partition("@article")[0]
    )
    assert all(isinstance(p, str) for p in block(whole, 0)["pictures"])
    found = report(runs("zero-order"), pictures="link")
    linked = found.path.read_text()
    assert found.linked and set(block(linked, 0)["pictures"]) == {1}
    samples = runs("zero-order") / overview(linked)["samples"]
    assert all((samples / f"{key}.png").is_file() for key in block(linked, 0)["keys"])


def test_text_stays_text(runs: Callable[[str], Path], tmp_path: Path) -> None:
    """What a user writes ends no tag."""
    folder = Path(shutil.copytree(runs("bounded"), tmp_path / "run"))
    bad = "</script><script>alert(1)</script>"
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps({**spec, "algorithm": bad, "seed": 1}))
    content = json.loads((folder / "winners.json").read_text())
    content["searches"][0]["unmet"] = [bad]
    (folder / "winners.json").write_text(json.dumps(content))
    page = report(folder).path.read_text()
    assert bad not in page and block(page, 0)["unmet"] == [bad]


def test_size(tmp_path: Path) -> None:
    """A candidate takes so little that 300 prompts of 64 stay below 30 MB, a third of the time."""
    made_up_run(tmp_path / "few", 2, "64candidates", algorithm="zero-order", watch="checker")
    made_up_run(tmp_path / "more", 12, "64candidates", algorithm="zero-order", watch="checker")
    few, more = (report(tmp_path / name).size for name in ("few", "more"))
    assert few + (more - few) / 10 * 298 < 10e6


def colours(style: str) -> list[dict[str, str]]:
    """The custom properties of every theme that is complete in the style sheet."""
    found = [dict(re.findall(r"--([\w]+): (#[0-9a-f]{6})", body))
             for body in re.findall(r":root[^{]*\{([^}]*)\}", style)]  # fmt: skip
    return [theme for theme in found if theme]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_contrast() -> None:
    """Text at 4.5 to 1 on every ground, marks at 3 to 1 (WCAG 2.2, AA)."""
    style = files("noisesearch.pages").joinpath("style.css").read_text()
    themes = colours(style)
    assert len(themes) == 3 and themes[1] == themes[2], "light, dark, and dark by choice"
    for theme in themes:
        for ground in ("ground", "card", "mark"):
            for name, colour in theme.items():
                if name in ("ground", "card", "mark", "line"):
                    continue
                least = 4.5 if name in ("text", "soft", "searched", "good", "bad") else 3.0
                high, low = sorted((luminance(colour), luminance(theme[ground])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= least, (name, colour, ground)


def test_citations(runs: Callable[[str], Path]) -> None:
    entries = _entries()
    for keys in (*(of for _, of in MODELS), *VERIFIERS.values()):
        assert set(keys) <= entries.keys()
    for entry in entries.values():
        assert entry.count("{") == entry.count("}") and "\n  year = {" in entry
    assert VERIFIERS.keys() <= registry.names("verifier").keys()
    spec = RunHistory(runs("pareto")).spec
    of = citations([spec.model_copy(update={"model": "black-forest-labs/FLUX.1-dev"})])
    assert "flux2024" in of.bibtex and "hessel2021clipscore" in of.bibtex
    world = citations([spec])
    assert "hessel2021clipscore" not in world.bibtex and "clipscore" in world.remarks[0]


def test_single_prompt_has_no_interval(tmp_path: Path) -> None:
    made_up_run(tmp_path / "run", 1, "6candidates", algorithm="random")
    reading = RunHistory(tmp_path / "run")
    assert all(g.interval is None for g in gains(reading)) and curves(reading) == []
