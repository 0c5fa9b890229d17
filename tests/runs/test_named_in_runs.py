"""Runs, evaluations and experiments with what a file or an entry point names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import noisesearch as ns
from noisesearch.errors import ConfigError
from noisesearch.evaluation.evaluate import Evaluation
from noisesearch.experiments.pages.report import report
from noisesearch.experiments.reproduction import reproduction
from noisesearch.experiments.spec import experiment
from noisesearch.experiments.trust import of_experiment
from noisesearch.objectives import text as objective_text
from noisesearch.runs.rerank import rerank
from noisesearch.runs.verify import verify
from noisesearch.setup.consent import NamedCode
from noisesearch.setup.request import Request
from noisesearch.store.history import RunHistory
from noisesearch.testing import MixtureModel
from support import named_code

RED = "a red circle"
SETTINGS: dict[str, Any] = {"model": "shapes-small", "steps": 3, "guidance": 1,
                            "budget": "3candidates", "algorithm": "random"}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return named_code.written(tmp_path)


@pytest.fixture
def installed(file: Path) -> Iterator[Path]:
    """The folder of the file, whose things entry points name ``theirs``."""
    with named_code.installed(file.parent):
        yield file.parent


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
        assert [c.spent for c in RunHistory(folder)] == [3, 6, 9, 12, 15], "nothing is run"
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
    assert [candidate.score for candidate in RunHistory(foreign)] == [None] * 3
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
