"""Agree that what a folder names may run."""

from __future__ import annotations

from pathlib import Path

from ..setup.consent import NamedCode
from ..store.spec import RunSpec


def trust(folder: str | Path) -> list[str]:
    """Agree that what a run's or an experiment's folder names may run here; returns what that is.

    ConfigError or StoreError where it is no such folder, or where this cannot be kept.
    """
    from ..store.run_store import read_spec
    from ..store.spec import EXPERIMENT

    path = Path(folder)
    runs = [path]
    found: list[NamedCode] = []
    if (path / EXPERIMENT).is_file():
        from .spec import experiment, read

        found = [NamedCode.of_experiment(path, experiment(read(path / EXPERIMENT)))]
        runs = [spec.parent for spec in sorted(path.glob("runs/*/spec.json"))]
    found += [NamedCode.of_run(run, RunSpec.read(read_spec(run), run)) for run in runs]
    for named in found:
        named.agree()
    return list(dict.fromkeys(f"{kind} {name}" for named in found for kind, name in named.names))
