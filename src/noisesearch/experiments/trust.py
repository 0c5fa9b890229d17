"""Agree that what a folder names may run."""

from __future__ import annotations

from pathlib import Path

from ..names import forms
from ..setup.consent import NamedCode, code, of_metrics, of_objectives, of_verifiers
from ..store.run_store import read_spec
from ..store.spec import EXPERIMENT, RunSpec
from .arms import settings
from .spec import Experiment, experiment, read


def of_experiment(folder: Path, experiment: Experiment) -> NamedCode:
    """Return what an experiment names that may run something."""
    arms, measure = settings(experiment), experiment.measure
    metrics = [name for of in measure.by_group.values() for name in of.values()]
    seen = [*measure.columns, measure.eye, measure.classes, *metrics]
    searched = (name for arm in arms for name in forms.separated(arm.verifier))
    return NamedCode(folder, tuple(dict.fromkeys((
        *code("model", [arm.model for arm in arms]),
        *code("algorithm", [arm.algorithm for arm in arms]),
        *of_verifiers([*searched, *seen]),
        *of_objectives([arm.objective for arm in arms]),
        *code("solver", [arm.solver for arm in arms if arm.solver]),
        *of_metrics(metrics),
    ))))  # fmt: skip


def trust(folder: str | Path) -> list[str]:
    """Agree that what a run's or an experiment's folder names may run here; return what that is.

    Raises:
        ConfigError, StoreError: where it is no such folder, or where this cannot be kept.
    """
    path = Path(folder)
    runs = [path]
    found: list[NamedCode] = []
    if (path / EXPERIMENT).is_file():
        found = [of_experiment(path, experiment(read(path / EXPERIMENT)))]
        runs = [spec.parent for spec in sorted(path.glob("runs/*/spec.json"))]
    found += [NamedCode.of_run(run, RunSpec.read(read_spec(run), run)) for run in runs]
    for named in found:
        named.agree()
    return list(dict.fromkeys(f"{kind} {name}" for named in found for kind, name in named.names))
