"""Everything that is chosen by name: of the package, of a file, of an entry point, and refused."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import noisesearch as ns
from noisesearch.cli.tables import KINDS, listed
from noisesearch.errors import ConfigError
from noisesearch.evaluation.evaluate import Evaluation
from noisesearch.evaluation.metrics import metric_of
from noisesearch.experiments.pages.report import report
from noisesearch.experiments.reproduction import reproduction
from noisesearch.experiments.spec import experiment
from noisesearch.experiments.trust import of_experiment
from noisesearch.models.choice import model_of
from noisesearch.names import registry
from noisesearch.names.forms import located_solver, numbered
from noisesearch.objectives import text as objective_text
from noisesearch.runs.rerank import rerank
from noisesearch.runs.verify import verify
from noisesearch.sampling.solvers import solver, with_noise
from noisesearch.setup.consent import NamedCode
from noisesearch.setup.request import Request
from noisesearch.setup.selection import algorithm_of, verifier_of
from noisesearch.store.history import RunHistory
from noisesearch.testing import MixtureModel, SolverContract

CODE = '''
import dataclasses
import json
from pathlib import Path

from noisesearch.algorithms.initial_noise import RandomSearch
from noisesearch.objectives.single import Weighted
from noisesearch.sampling.solvers import DDIM
from noisesearch.testing import MixtureModel


def model():
    """A mixture."""
    return MixtureModel()


class Bright:
    """How bright it is."""

    name, parts, scale, differentiable = "bright", ("bright",), {"bright": 1.0}, False
    rows, fingerprint = None, "1"

    def __call__(self, views):
        return {"bright": views.images.mean((1, 2, 3))}


class Blunt(RandomSearch):
    """Random Search under another name."""

    name = "blunt"


class Half:
    """DDIM with half of the noise, or as much as is said."""

    name = "half"

    def __init__(self, eta=0.5):
        self.inner = DDIM(eta=eta)
        self.stochastic = eta > 0

    def price(self):
        return 1

    def init(self, x):
        return self.inner.init(x)

    def step(self, *given):
        return self.inner.step(*given)


class Count:
    """How many images there are; more is more."""

    name, summary = "count", "how many there are; more is more"

    def measure(self, images):
        return {"count": len(images.paths), "count.each": [1.0] * len(images.paths)}


def least(scales):
    """The negative of the first part."""
    return Weighted({next(iter(scales)): -1.0})


tables = {"summary": "Nothing against nothing.", "prompts": 1,
          "arms": [{"name": "none", "candidates": 1}]}


class NoModel:
    name, space, build = "none", None, None


class NoVerifier:
    parts = ("a",)

    def __call__(self, views):
        return {}


class NoAlgorithm:
    extendable = True

    def __call__(self, problem):
        yield []


class NoSolver:
    name, stochastic = "none", False

    def init(self, x):
        return (x,)


class NoMetric:
    name = "none"

    def measure(self, images):
        return {}


class NoObjective:
    parts = ()

    def __init__(self, scales):
        pass

    def value(self, reply):
        return 0.0


nothing = {"arms": []}
'''


def metric(name: str) -> Any:
    def none(*_: Any) -> Any:
        raise AssertionError("it is no verifier")

    return metric_of(name, lambda: none, none)  # type: ignore[arg-type, return-value]


@dataclass(frozen=True)
class Case:
    """``open`` loads by name; a name that is near ``known``; in CODE one that is ``good``, and one
    that is ``bad`` for want of a member."""

    open: Callable[[str], Any]
    known: str
    near: str
    good: str
    bad: str
    missing: str


CASES = {
    "model": Case(model_of, "shapes-small", "shapes-smal", "model", "NoModel", "steps"),
    "verifier": Case(lambda name: verifier_of(name, model_of("shapes-small")), "clipscore",
                     "clipscor", "Bright", "NoVerifier", "name"),
    "algorithm": Case(lambda name: algorithm_of(name, {}), "random", "randm", "Blunt",
                      "NoAlgorithm", "name"),
    "solver": Case(lambda name: solver(name, code=True), "dpm++2m-sde", "dpm++2m-sd", "Half",
                   "NoSolver", "price"),
    "metric": Case(metric, "compbench-spatial(fixed=true)", "compbench-spatal", "Count",
                   "NoMetric", "summary"),
    "objective": Case(lambda text: objective_text.parse(text, {"a": 1.0, "b": 2.0}, code=True),
                      "weighted(a=1, b=2)", "weigthed(a=1)", "least", "NoObjective", "order"),
    "experiment": Case(lambda name: reproduction(name, "embedded"), "fig3", "fig2", "tables",
                       "nothing", "summary"),
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "chosen.py").write_text(CODE)
    return tmp_path / "chosen.py"


@pytest.fixture
def installed(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package whose entry points give every kind the name ``theirs``."""
    package = file.parent / "chosen-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: chosen\nVersion: 1\n")
    groups = (f"[noisesearch.{kind}s]\ntheirs = chosen:{of.good}\n" for kind, of in CASES.items())
    (package / "entry_points.txt").write_text("".join(groups))
    monkeypatch.syspath_prepend(str(file.parent))
    yield file.parent
    sys.modules.pop("chosen", None)
    shutil.rmtree(package)


def test_every_kind_has_a_case() -> None:
    assert CASES.keys() == registry.TABLES.keys()
    assert (*(f"{kind}s" for kind in CASES), "words") == KINDS


@pytest.mark.parametrize("kind", CASES)
def test_names_of_the_package(kind: str) -> None:
    assert CASES[kind].open(CASES[kind].known) is not None
    for name in registry.TABLES[kind]:
        assert registry.load(kind, name) is not None


@pytest.mark.parametrize("kind", CASES)
def test_a_near_name_is_refused_with_what_was_meant(kind: str) -> None:
    case = CASES[kind]
    meant = "fig" if kind == "experiment" else case.known.partition("(")[0]
    with pytest.raises(ConfigError, match=f"{kind} '.*did you mean '") as refused:
        case.open(case.near)
    assert f"did you mean '{meant}" in str(refused.value)


@pytest.mark.parametrize("kind", CASES)
def test_names_in_a_file_and_in_a_module(
    kind: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CASES[kind].open(f"{file}:{CASES[kind].good}") is not None
    monkeypatch.syspath_prepend(str(file.parent))
    assert CASES[kind].open(f"chosen:{CASES[kind].good}") is not None
    sys.modules.pop("chosen")


@pytest.mark.parametrize("kind", CASES)
def test_a_missing_member_is_refused_in_a_sentence(kind: str, file: Path) -> None:
    name = f"{file}:{CASES[kind].bad}"
    with pytest.raises(ConfigError) as refused:
        CASES[kind].open(name)
    said = str(refused.value)
    assert said.startswith(f"{kind} {name!r} is of type ")
    assert f"has no {CASES[kind].missing!r}; a" in said and "\n" not in said


@pytest.mark.parametrize("kind", CASES)
def test_an_entry_point(kind: str, installed: Path) -> None:
    assert CASES[kind].open("theirs") is not None
    name = MixtureModel().name if kind == "model" else "theirs"
    (row,) = [row for row in listed(f"{kind}s", "shapes") if row["name"] == name]
    assert row["summary"]


def test_a_number_after_a_colon_is_a_parameter(file: Path, installed: Path) -> None:
    assert numbered("ddim:0.5") == ("ddim", "0.5") and numbered("euler") == ("euler", None)
    assert numbered("ddim:two") == ("ddim", "two"), "which is refused as a number"
    assert numbered("mine.py:Half") == ("mine.py:Half", None)
    assert numbered("mine.py:Half:0.5") == ("mine.py:Half", "0.5")
    assert numbered("theirs:.5") == ("theirs", ".5")
    assert located_solver("euler-sde:1.0") == "euler-sde:1.0"
    assert located_solver("chosen.py:Half:1") == f"{Path.cwd() / 'chosen.py'}:Half:1"
    for name in (f"{file}:Half", "chosen:Half", "theirs"):
        assert solver(f"{name}:0.25", code=True).inner.eta == 0.25  # type: ignore[attr-defined]
    assert with_noise(f"{file}:Half") == f"{file}:Half"
    assert with_noise(f"{file}:Half:0") == "ddim-ancestral"
    for name, says in ((f"{file}:model:1", "cannot be made: TypeError"),
                       (f"{file}:Half:1.2.3", "must be a number"),
                       (f"{file}:tables:1", "is of type dict and has no 'name'"),
                       ("huen:1", "did you mean 'heun'")):  # fmt: skip
        with pytest.raises(ConfigError, match=says):
            solver(name, code=True)
    with pytest.raises(ConfigError, match="is code, which looking"):
        solver(f"{file}:Half")


class TestAFilesSolver(SolverContract):
    @pytest.fixture
    def solver(self, file: Path) -> Any:
        return solver(f"{file}:Half", code=True)


RED = "a red circle"
SETTINGS: dict[str, Any] = {"model": "shapes-small", "steps": 3, "guidance": 1,
                            "budget": "3candidates", "algorithm": "random"}  # fmt: skip


@pytest.fixture
def here(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(file.parent)
    return file.parent


def test_a_run_with_a_files_solver(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Searched, gone on with from elsewhere, looked at, and in a foreign folder refused."""
    out, name = here / "run", f"{here / 'chosen.py'}:Half"
    result = ns.search(RED, solver="chosen.py:Half", out=out, **SETTINGS)
    assert RunHistory(out).spec.solver == name
    plain = ns.search(RED, solver="ddim:0.5", **SETTINGS)
    assert result.winner.parts == plain.winner.parts, "it is DDIM with η = 0.5"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("/")
        (again,) = ns.resume(out, budget="5candidates")
        assert again.ledger["nfe"] == 15
        assert verify(out)["pixels"] == 0
    assert again.winner.path is not None
    assert ns.remake(again.winner.path, here / "again.png").pixels == 0
    foreign = tmp_path_factory.mktemp("foreign") / "run"
    shutil.copytree(out, foreign)

    (here / "chosen.py").write_text("raise AssertionError('it was run')")
    for folder in (out, foreign):
        history = RunHistory(folder)
        assert [history.nfe_alone(c) for c in history] == [3] * 5, "a look runs nothing"
        report(folder)
    for use in (ns.resume, verify, rerank):
        with pytest.raises(ConfigError, match=f"solver {name}.*noisesearch trust"):
            use(foreign)
    picture = next((foreign / "samples").glob("*.png"))
    with pytest.raises(ConfigError, match=f"solver {name}.*noisesearch trust"):
        ns.remake(picture, here / "again.png")
    shutil.copy(picture, here / "alone.png")
    with pytest.raises(ConfigError, match="a picture must not start any"):
        ns.remake(here / "alone.png", here / "again.png", MixtureModel())
    assert f"solver {name}" in ns.trust(foreign)
    with pytest.raises(ConfigError, match="it was run"):
        ns.resume(foreign)


def test_a_solver_of_an_entry_point_and_of_a_module(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that names an entry point is asked about as one that names a file."""
    for name in ("theirs", "chosen:Half", "theirs:0.25"):
        out = tmp_path / name.replace(":", "-")
        ns.search(RED, solver=name, out=out, **SETTINGS)
        (again,) = ns.resume(out)
        assert again.ledger["nfe"] == 9
        assert NamedCode.of_run(out, RunHistory(out).spec).names[-1] == ("solver", name)


def test_what_an_experiment_names_is_asked_about(installed: Path) -> None:
    arms = [
        {"name": "ours", "candidates": 1, "solver": "ddim:0.5"},
        {"name": "theirs", "candidates": 1, "solver": "theirs:0.5", "objective": "theirs"},
    ]
    by_group = {"figure": {"a": "theirs", "b": "compbench-spatial(fixed=true)"}}
    content = {"summary": "Of code.", "arms": arms, "measure": {"by_group": by_group}}
    found = of_experiment(installed, experiment(content)).names
    assert {kind for kind, _ in found} == {"verifier", "objective", "solver", "metric"}
    assert ("solver", "theirs:0.5") in found and ("metric", "theirs") in found
    assert len(found) == 4, "theirs is a verifier too; ours is none of them"


def test_who_looks_for_noise_takes_a_files_solver_that_injects_some(here: Path) -> None:
    asked: dict[str, Any] = {"model": MixtureModel(), "algorithm": "steering", "steps": 8,
                             "budget": 64}  # fmt: skip
    found = Request(["one"], solver="chosen.py:Half", **asked).resolve().loaded
    assert found.spec.solver == f"{here / 'chosen.py'}:Half" and found.space.stochastic
    with pytest.raises(ConfigError, match="choose --solver ddim-ancestral"):
        Request(["one"], solver="chosen.py:Half:0", **asked).resolve()


def test_a_files_metric(here: Path) -> None:
    """Beside a verifier of the same file, which is one since it does not measure."""
    (here / "images").mkdir()
    for i in range(3):
        Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)).save(here / "images" / f"{i}.png")
    found = Evaluation(here / "images", "chosen.py:Count,chosen.py:Bright").report().figures[0]
    assert found["count"] == 3 and found["count.each"] == [1.0] * 3
    assert np.shape(found["bright"]) == (3,)


def test_a_run_with_a_files_objective(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It decides, in a search and in a rerank; a look at the folder does not run it."""
    out, name = here / "run", f"{here / 'chosen.py'}:least"
    asked: dict[str, Any] = {"verifier": "clipscore", **SETTINGS}
    result = ns.search(RED, objective="chosen.py:least", out=out, **asked)
    assert RunHistory(out).spec.objective == name
    scores = [candidate.parts["clipscore"] for candidate in result.candidates]
    assert result.winner.parts["clipscore"] == min(scores) < max(scores)
    assert result.winner.score == -min(scores)
    (again,) = ns.resume(out)
    assert again.winner.trajectory == result.winner.trajectory
    other = tmp_path_factory.mktemp("other") / "run"
    ns.search(RED, objective="part(clipscore)", out=other, **asked)
    ranked = rerank(other, f"{here / 'chosen.py'}:least").results[0]
    assert ranked.winner.trajectory == result.winner.trajectory

    foreign = tmp_path_factory.mktemp("foreign") / "run"
    shutil.copytree(out, foreign)
    (here / "chosen.py").write_text("raise AssertionError('it was run')")
    report(foreign)
    with pytest.raises(ConfigError, match="--objective"):
        list(RunHistory(foreign))
    assert len(list(RunHistory(foreign, "part(clipscore)"))) == 3
    with pytest.raises(ConfigError, match=f"objective {name}.*noisesearch trust"):
        ns.resume(foreign)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ""),
        ("part(a)", ""),
        ("cascade(a:8, b)", ""),
        ("cascade(a:8, b", ""),
        ("frechet(a)", ""),
        ("banana", ""),
        (" mine.py:Name ", "mine.py:Name"),
        ("package.module:Name", "package.module:Name"),
        ("mine.py:function(a)", "mine.py:function"),
    ],
)
def test_what_an_objectives_text_names_as_code(text: str, named: str) -> None:
    assert objective_text.code_of(text) == named
    if named and "(" not in text:
        unopened = objective_text.parse(text, {"a": 1.0})
        assert isinstance(unopened, objective_text.Unopened)
        with pytest.raises(ConfigError, match="looking at a folder does not run"):
            unopened.order([])


def test_parts_of_a_files_objective_are_checked(file: Path) -> None:
    text = "import noisesearch.objectives.single as s\nlost = s.Weighted({'b': 1.0})\n"
    (file.parent / "lost.py").write_text(text)
    with pytest.raises(ConfigError, match="unknown part of the objective 'b'"):
        objective_text.parse(f"{file.parent / 'lost.py'}:lost", {"a": 1.0}, code=True)


def test_an_experiment_of_a_file_is_run(here: Path) -> None:
    found = reproduction("chosen.py:tables", "embedded")
    assert found.summary == "Nothing against nothing." and found.id == "chosen.py:tables"
