"""One reader of a run's history: report, export, rerank and screening say the same of a run."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch.errors import ConfigError, StoreError
from noisesearch.experiments.pages.report import report
from noisesearch.experiments.trust import trust
from noisesearch.files.json_text import finite
from noisesearch.models.pipelines import from_object
from noisesearch.names.forms import short_name
from noisesearch.pages.gains import VALUE
from noisesearch.runs.export_data import export_data
from noisesearch.runs.rerank import rerank
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.store.history import RunHistory
from noisesearch.store.run_store import read_spec
from noisesearch.testing import MixtureModel, tiny_pipeline, tiny_verifier
from noisesearch.testing.mixture_model import brightness, evenness

MINE = "def dark(images, conditions):\n    return 1 - images.amax((1, 2, 3))\n"
PACKAGED = '''
from noisesearch.verifiers.protocol import OnePart

class Glow(OnePart):
    """Its part has another name than the class."""

    name, deviation = "warm.glow", 0.1
    differentiable, rows, fingerprint = False, None, "1"

    def __call__(self, views):
        return {self.name: views.images.square().mean((1, 2, 3))}
'''
FORMS = ("bare", "file", "module", "settings")
PARTS = {"bare": "evenness", "file": "dark", "module": "warm.glow", "settings": "pickscore"}
SHOWN = {"bare": "evenness", "file": "dark", "module": "Glow", "settings": "pickscore"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a user writes for each form of a verifier."""
    base = tmp_path_factory.mktemp("verifiers")
    (base / "mine.py").write_text(MINE)
    (base / "glowing").mkdir()
    (base / "glowing" / "__init__.py").write_text("")
    (base / "glowing" / "looks.py").write_text(PACKAGED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(base)
        yield {
            "bare": "evenness",
            "file": f"{base}/mine.py:dark",
            "module": "glowing.looks:Glow",
            "settings": str(tiny_verifier("pickscore", base / "weights")),
        }


@pytest.fixture(scope="module")
def runs(texts: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The finished run of a form in a use (guard, watch, verifier), made when first asked for."""
    base = tmp_path_factory.mktemp("runs")

    def run(form: str, use: str) -> Path:
        folder = base / f"{form}-{use}"
        if not folder.exists():
            made(folder, **{"verifier": "brightness", use: texts[form]})
        return folder

    return run


def copied(folder: Path, base: Path) -> Path:
    """A copy of a run that may run what it names."""
    shutil.copytree(folder, base / "run")
    trust(base / "run")
    return base / "run"


def made(folder: Path, **settings: Any) -> ns.Results:
    common: dict[str, Any] = {"budget": "8candidates", "rows": 4, "algorithm": "random",
                              "model": MixtureModel()}  # fmt: skip
    return ns.search(["one", "two"], out=folder, **{**common, **settings})


def exported(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    text = export_data(folder, "jsonl", **settings).file.read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def shown(folder: Path) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """The text of a report, its overview, and the data of its searches."""
    page = report(folder).path.read_text()
    overview = json.loads(re.findall(r'id="overview">(.*?)</script>', page)[0])
    blocks = re.findall(r'id="search-\d+">(.*?)</script>', page, re.DOTALL)
    return page, overview, [json.loads(block) for block in blocks]


def agree(folder: Path) -> int:
    """Check that report and export give one value for every complete candidate; how many."""
    rows = {row["trajectory"]: row for row in exported(folder)}
    seen = set()
    for block in shown(folder)[2]:
        values = block["numbers"].get(VALUE)
        for i, key in enumerate(block["keys"]):
            if block["kinds"][i] == "p":
                assert key not in rows
                continue
            score = rows[key]["score"]
            seen.add(key)
            if values is None:
                assert score is None
            elif i in block["out"]:
                assert score <= -500 and values[i] is None
            else:
                assert values[i] == (None if score is None else float(f"{score:.6g}"))
    assert seen == rows.keys()
    return len(seen)


GIVEN = PythonObjects(MixtureModel())
ROLES = {"guard": "guarded", "watch": "held out", "verifier": "searched"}


@pytest.mark.parametrize("use", ROLES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_verifier_is_read(
    runs: Callable[[str, str], Path], form: str, use: str, tmp_path: Path
) -> None:
    """Roles, values and names, in the report, the exports, a rerank and a screening."""
    folder = copied(runs(form, use), tmp_path)
    part = PARTS[form]
    page, overview, _ = shown(folder)
    assert overview["roles"][part] == ROLES[use]
    assert "ranked by another objective" not in page and f"<td>{ROLES[use]}</td>" in page
    header = page.partition('<p class="facts">')[2].partition("</p>")[0]
    label = {"guard": "guarded", "watch": "held out", "verifier": "verifiers"}[use]
    assert re.search(rf"<span>{label} {SHOWN[form]}</span>", header), header
    assert VALUE in overview["parts"] and agree(folder) == 16
    with export_data(folder, "csv").file.open(newline="") as file:
        assert f"part_{part}" in next(csv.reader(file))
    assert export_data(folder, "preferences", tmp_path / "p.jsonl").rows > 0
    known = RunHistory(folder)
    assert known.spec.guarded == ([part] if use == "guard" else [])
    if use == "guard":
        rows = exported(folder)
        base = {r["condition"]: r[f"part_{part}"] for r in rows if r["baseline"]}
        broken = [r for r in rows if r[f"part_{part}"] < base[r["condition"]]]
        assert broken and all(r["score"] <= -1000 for r in broken)
    screened = made(tmp_path / "next", algorithm="screening", verifier="brightness",
                    parameters={"run": str(folder), "pool": 16, "least": -1.0})  # fmt: skip
    assert all("too few" not in note for result in screened for note in result.notes)
    rerank(folder, f"part({part})", known.spec.watch, given=GIVEN)
    assert {row["score"] for row in exported(folder)} == {
        row[f"part_{part}"] for row in exported(folder)
    }
    assert agree(folder) == 16
    assert shown(folder)[1]["roles"][part] == ("guarded" if use == "guard" else "searched")


@pytest.mark.parametrize("form", FORMS)
def test_a_watched_verifier_stays_held_out_after_a_rerank(
    runs: Callable[[str, str], Path], form: str, tmp_path: Path
) -> None:
    folder = copied(runs(form, "watch"), tmp_path)
    rerank(folder, "weighted(brightness=-1)", given=GIVEN)
    known = RunHistory(folder)
    assert known.role(PARTS[form]) == "held out" and known.reranked
    assert known.ranked_by == "weighted(brightness=-1)"
    assert all(c.score == -c.parts["brightness"] for c in known)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("use", ["guard", "watch"])
def test_how_often_a_watched_verifier_looks_is_not_planned(
    runs: Callable[[str, str], Path], form: str, use: str
) -> None:
    known = RunHistory(runs(form, use))
    assert known.watched_verifiers == ({PARTS[form]} if use == "watch" else set())


@pytest.mark.parametrize("form", FORMS)
def test_guards_of_a_folder_without_the_field(
    runs: Callable[[str, str], Path], form: str, tmp_path: Path
) -> None:
    """Their parts follow from what was written for them."""
    folder = copied(runs(form, "guard"), tmp_path)
    wanted = exported(folder)
    spec = json.loads((folder / "spec.json").read_text())
    assert spec.pop("guarded") == [PARTS[form]]
    (folder / "spec.json").write_text(json.dumps(spec))
    assert "guarded" not in read_spec(folder)
    known = RunHistory(folder)
    assert known.spec.guarded == [PARTS[form]] and known.role(PARTS[form]) == "guarded"
    assert [r["score"] for r in exported(folder)] == [r["score"] for r in wanted]
    ns.resume(folder, budget="9candidates", model=MixtureModel())
    assert json.loads((folder / "spec.json").read_text())["guarded"] == [PARTS[form]]


def test_guards_that_name_no_part(runs: Callable[[str, str], Path], tmp_path: Path) -> None:
    """A folder may come from anybody: what a spec says of its guards breaks no reader."""
    folder = copied(runs("bare", "verifier"), tmp_path)
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps({**spec, "guarded": ["nothing"]}))
    assert agree(folder) == 16
    del spec["guarded"]
    (folder / "spec.json").write_text(json.dumps({**spec, "guard": ["a(b", "process:'", "(=)"]}))
    assert agree(folder) == 16


class Many:
    """Several parts, none of which has its name, one of them only reported."""

    name, parts, beside = "many", ("warm", "cold", "many.why"), ("many.why",)
    scale = {"warm": 1.0, "cold": 0.5, "many.why": 2.0}  # noqa: RUF012
    differentiable, rows, fingerprint = False, None, ""

    def __call__(self, views: Any) -> Any:
        seen = views.images.mean((2, 3))
        return dict(zip(self.parts, seen.unbind(1), strict=True))


def test_all_parts_of_a_guard_are_guarded(tmp_path: Path) -> None:
    made(tmp_path / "run", verifier="brightness", guard=Many())
    known = RunHistory(tmp_path / "run")
    assert known.spec.guarded == list(Many.parts) and agree(tmp_path / "run") == 16
    assert [known.role(part) for part in known.parts] == ["searched", *3 * ["guarded"]]


KINDS: dict[str, dict[str, Any]] = {
    "plain": {"algorithm": "zero-order"},
    "guarded": {"verifier": "brightness", "guard": "evenness"},
    "constrained": {"objective": "constrain(evenness >= -0.2, then=brightness)"},
    "cascade": {"objective": "cascade(evenness:4, brightness)"},
    "pareto": {"objective": "pareto(brightness, evenness)"},
    "finished elsewhere": {"steps": 3, "final_steps": 6, "budget": "60"},
    "drafted": {"draft": "steps:2", "budget": "60"},
    "drafts beside": {"algorithm": "draft", "parameters": {"draft": "steps:3"}},
    "paths": {"algorithm": "paths", "parameters": {"paths": 2, "width": 2}, "budget": "200"},
    "set of scores": {"algorithm": "population", "parameters": {"size": 4, "batch": 2}},
    "set": {"algorithm": "population", "parameters": {"size": 4, "batch": 2},
            "objective": "frechet(brightness)"},
    "black box": {"verifier": [brightness(), evenness()], "budget": "3candidates", "rows": 2},
    "set of a black box": {"verifier": [brightness(), evenness()], "rows": 2,
                           "algorithm": "population", "parameters": {"size": 4, "batch": 2}},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")
@pytest.mark.parametrize("kind", KINDS)
def test_report_and_export_agree(kind: str, tmp_path: Path) -> None:
    box = "black box" in kind
    settings = {"verifier": "ensemble", **KINDS[kind]}
    model: Any = from_object(tiny_pipeline("sd-pndm")) if box else MixtureModel()
    results = made(tmp_path / "run", model=model, **settings)
    assert agree(tmp_path / "run") > 4
    known = RunHistory(tmp_path / "run")
    assert (known.objective is None) == (kind == "set") and not known.reranked
    for result, search in zip(results, known.searches, strict=True):
        values = {c.trajectory.key: c.score for c in search.candidates}
        if kind != "set":
            assert all(values[c.trajectory] == finite(c.score) for c in result.candidates)
        assert search.candidates[-1].nfe == result.ledger["nfe"]
        if box:
            assert search.candidates[-1].spent == result.ledger["nfe"]
        seconds = [c.seconds for c in search.candidates]
        assert seconds == sorted(seconds)
    if "set" not in kind:
        objects = {v.name: v for v in (brightness(), evenness())} if box else {}
        given = PythonObjects(model, verifiers=objects)
        rerank(tmp_path / "run", "weighted(brightness=1, evenness=-0.5)", given=given)
        assert agree(tmp_path / "run") > 4 and RunHistory(tmp_path / "run").reranked


@pytest.mark.parametrize("objective", ["", "part(evenness)"])
@pytest.mark.parametrize("guard", [(), "evenness"])
def test_a_rerank_by_the_runs_own_objective(objective: str, guard: Any, tmp_path: Path) -> None:
    """It is none but where the run had guards, which a rerank leaves out."""
    made(tmp_path / "run", verifier="ensemble", objective=objective, guard=guard)
    rerank(tmp_path / "run", objective, given=GIVEN)
    assert RunHistory(tmp_path / "run").reranked == bool(guard)
    assert agree(tmp_path / "run") == 16


def test_a_winner_that_the_journal_has_not(tmp_path: Path) -> None:
    made(tmp_path / "run", verifier="brightness")
    file = tmp_path / "run" / "winners.json"
    content = json.loads(file.read_text())
    content["searches"][0]["winners"][0]["trajectory"] = "0" * 32
    file.write_text(json.dumps(content))
    for read in (report, exported):
        with pytest.raises(StoreError, match="its journal has not"):
            read(tmp_path / "run")


def test_a_run_without_a_result(tmp_path: Path) -> None:
    made(tmp_path / "run", verifier="brightness")
    file = tmp_path / "run" / "winners.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "searches": []}))
    for read in (report, exported):
        with pytest.raises(ConfigError, match=r"no result yet.*noisesearch resume"):
            read(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("aesthetic", "aesthetic"), ("/home/x/mine.py:dark", "dark"), ("a.b:Name", "Name"),
        ("pickscore(weights=/a/b)", "pickscore"), ('mine.py:v(at="x, (y/z")', "v"),
        ("/models/sdxl", "sdxl"), ("/models/sdxl/", "sdxl"), ("/models/sdxl (v2)", "sdxl (v2)"),
        ("stabilityai/sd-turbo", "sd-turbo"), ("process:python3 /a/b.py", "process"),
        ("process(command=python3 /a/b.py)", "process"), ("a(b", "a(b"), ("", ""), ("/", "/"),
        ("/a/b.py:", "/a/b.py:"),
    ],
)  # fmt: skip
def test_short_names(text: str, name: str) -> None:
    assert short_name(text) == name
