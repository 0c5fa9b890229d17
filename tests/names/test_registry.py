"""Everything that is chosen by name: of the package, of a file, of an entry point, and refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from noisesearch.cli.tables import KINDS, listed
from noisesearch.errors import ConfigError
from noisesearch.evaluation.metrics import metric_of
from noisesearch.experiments.reproduction import reproduction
from noisesearch.models.choice import model_of
from noisesearch.names import registry
from noisesearch.names.forms import located_solver, numbered
from noisesearch.objectives import text as objective_text
from noisesearch.sampling.solvers import solver, with_noise
from noisesearch.setup.selection import algorithm_of, verifier_of
from noisesearch.testing import MixtureModel, SolverContract
from support import named_code


def metric(name: str) -> Any:
    def none(*_: Any) -> Any:
        raise AssertionError("it is no verifier")

    return metric_of(name, lambda: none, none)  # type: ignore[arg-type, return-value]


@dataclass(frozen=True)
class Case:
    """``open`` loads by name; ``near`` is a name like ``known``; ``bad``, of the file, lacks the
    member ``missing``."""

    open: Callable[[str], Any]
    known: str
    near: str
    bad: str
    missing: str


CASES = {
    "model": Case(model_of, "shapes-small", "shapes-smal", "NoModel", "steps"),
    "verifier": Case(lambda name: verifier_of(name, model_of("shapes-small")), "clipscore",
                     "clipscor", "NoVerifier", "name"),
    "algorithm": Case(lambda name: algorithm_of(name, {}), "random", "randm",
                      "NoAlgorithm", "name"),
    "solver": Case(lambda name: solver(name, code=True), "dpm++2m-sde", "dpm++2m-sd",
                   "NoSolver", "price"),
    "metric": Case(metric, "compbench-spatial(fixed=true)", "compbench-spatal",
                   "NoMetric", "summary"),
    "objective": Case(lambda text: objective_text.parse(text, {"a": 1.0, "b": 2.0}, code=True),
                      "weighted(a=1, b=2)", "weigthed(a=1)", "NoObjective", "order"),
    "experiment": Case(lambda name: reproduction(name, "embedded"), "fig3", "fig2",
                       "nothing", "summary"),
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return named_code.written(tmp_path)


@pytest.fixture
def installed(file: Path) -> Iterator[Path]:
    """The folder of the file, whose things entry points name ``theirs``."""
    with named_code.installed(file.parent):
        yield file.parent


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
    assert CASES[kind].open(f"{file}:{named_code.GOOD[kind]}") is not None
    monkeypatch.syspath_prepend(str(file.parent))
    assert CASES[kind].open(f"chosen:{named_code.GOOD[kind]}") is not None
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
