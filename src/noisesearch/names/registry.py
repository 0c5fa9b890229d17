"""One registry for all that is chosen by name: a table per kind, imported on first use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..errors import ConfigError, unknown

# By kind, the names of the package and their targets; of others see :func:`names`.
TABLES: dict[str, dict[str, str]] = {
    "model": {
        "shapes": "noisesearch.worlds.shapes.model:shapes",
        "shapes-fast": "noisesearch.worlds.shapes.model:shapes_fast",
        "shapes-small": "noisesearch.worlds.shapes.model:shapes_small",
        "fashion": "noisesearch.worlds.fashion.model:fashion",
        "fashion-medium": "noisesearch.worlds.fashion.model:fashion_medium",
        "fashion-small": "noisesearch.worlds.fashion.model:fashion_small",
    },
    "verifier": {
        "aesthetic": "noisesearch.verifiers.clip.aesthetic:Aesthetic",
        "clip-zeroshot": "noisesearch.verifiers.clip.zeroshot:ClipZeroShot",
        "clipscore": "noisesearch.verifiers.clip.scores:ClipScore",
        "hpsv2": "noisesearch.verifiers.clip.scores:HPSv2",
        "pickscore": "noisesearch.verifiers.clip.scores:PickScore",
        "imagereward": "noisesearch.verifiers.blip.imagereward:ImageReward",
        "vqascore": "noisesearch.verifiers.vqa.vqascore:VqaScore",
        "dino-linear": "noisesearch.verifiers.features.dino:DinoLinear",
        "oracle-is": "noisesearch.verifiers.features.oracle:OracleIS",
        "oracle-fid": "noisesearch.verifiers.features.oracle:OracleFID",
        "self-supervised": "noisesearch.verifiers.features.self_supervised:SelfSupervised",
        "llm-grader": "noisesearch.verifiers.llm:LLMGrader",
        "faces": "noisesearch.verifiers.packaged.faces:Faces",
        "imagenet-lite": "noisesearch.verifiers.packaged.imagenet_lite:ImageNetLite",
        "ocr": "noisesearch.verifiers.packaged.ocr:Ocr",
        "process": "noisesearch.verifiers.process.process:ProcessSettings",
        "safety": "noisesearch.verifiers.packaged.safety:Safety",
        "human": "noisesearch.verifiers.human.human:Human",
    },
    "algorithm": {
        "auto": "noisesearch.algorithms.auto:Auto",
        "random": "noisesearch.algorithms.initial_noise:RandomSearch",
        "zero-order": "noisesearch.algorithms.initial_noise:ZeroOrder",
        "first-order": "noisesearch.algorithms.first_order:FirstOrder",
        "paths": "noisesearch.algorithms.paths:SearchOverPaths",
        "screening": "noisesearch.algorithms.screening:Screening",
        "population": "noisesearch.algorithms.population:Population",
        "halving": "noisesearch.algorithms.halving:Halving",
        "draft": "noisesearch.algorithms.draft:DraftThenCommit",
        "spectral": "noisesearch.algorithms.spectral:Spectral",
        "evolution": "noisesearch.algorithms.evolution:Evolution",
        "cma": "noisesearch.algorithms.subspace:Cma",
        "steering": "noisesearch.algorithms.steering:Steering",
        "epsilon-greedy": "noisesearch.algorithms.step_search:EpsilonGreedy",
        "beam": "noisesearch.algorithms.step_search:Beam",
        "rollover": "noisesearch.algorithms.step_search:Rollover",
        "backtracking": "noisesearch.algorithms.step_search:Backtracking",
    },
    "solver": {
        "euler": "noisesearch.sampling.solvers.single_step:Euler",
        "heun": "noisesearch.sampling.solvers.single_step:Heun",
        "ddim": "noisesearch.sampling.solvers.single_step:DDIM",
        "ddim-ancestral": "noisesearch.sampling.solvers.single_step:DDIM_ANCESTRAL",
        "dpm++2m": "noisesearch.sampling.solvers.multistep:DPMSolver",
        "dpm++2m-sde": "noisesearch.sampling.solvers.multistep:DPM_SOLVER_SDE",
        "euler-sde": "noisesearch.sampling.solvers.single_step:EulerSDE",
    },
    "metric": {
        "fid": "noisesearch.evaluation.set_metrics:fid",
        "is": "noisesearch.evaluation.set_metrics:inception_score_",
        "kid": "noisesearch.evaluation.set_metrics:kid",
        "precision": "noisesearch.evaluation.set_metrics:precision",
        "recall": "noisesearch.evaluation.set_metrics:recall",
        "density": "noisesearch.evaluation.set_metrics:density",
        "coverage": "noisesearch.evaluation.set_metrics:coverage",
        "diversity": "noisesearch.evaluation.set_metrics:diversity",
        "compbench-attribute": "noisesearch.evaluation.compbench.metrics:Attributes",
        "compbench-spatial": "noisesearch.evaluation.compbench.metrics:Spatial",
        "compbench-numeracy": "noisesearch.evaluation.compbench.metrics:Numeracy",
        "compbench-complex": "noisesearch.evaluation.compbench.metrics:Complex",
        "grader": "noisesearch.evaluation.grader:GraderTable",
    },
    "objective": {
        "part": "noisesearch.objectives.text:part",
        "mean-rank": "noisesearch.objectives.text:mean_rank",
        "weighted": "noisesearch.objectives.text:weighted",
        "lexicographic": "noisesearch.objectives.text:lexicographic",
        "constrain": "noisesearch.objectives.text:constrain",
        "pareto": "noisesearch.objectives.text:pareto",
        "cascade": "noisesearch.objectives.text:cascade",
        "frechet": "noisesearch.objectives.sets:Frechet",
    },
    "experiment": {
        name: f"noisesearch.experiments.specs:{name}"
        for name in (
            *(f"fig{number}" for number in (1, *range(3, 16))),
            *(f"table{number}" for number in (1, 2, 3, 4, 7, 8)),
        )
    },
}

FOLDERS = ("model", "verifier", "algorithm")  # kinds whose names a folder may have too
ALSO = {"verifier": ("ensemble",), "solver": ("pipeline",)}  # words that no table has


def names(kind: str) -> dict[str, str]:
    """Return name → target of everything known of a kind, third parties' entry points included.

    A third party registers under the group ``noisesearch.models``, ``noisesearch.verifiers``,
    ``noisesearch.algorithms``, ``noisesearch.solvers``, ``noisesearch.metrics``,
    ``noisesearch.objectives`` or ``noisesearch.experiments``.
    """
    plugins = {e.name: e.value for e in entry_points(group=f"noisesearch.{kind}s")}
    return {**plugins, **TABLES[kind]}


def load(kind: str, name: str, own: Mapping[str, str] | None = None) -> Any:
    """Return the object behind a name, a ``package.module:Name`` or a ``file.py:Name``.

    ``own`` comes first: the names that mean something else on one model, such as a world's roles.
    """
    for table in (own or {}, TABLES[kind]):
        if name in table:
            return _import(kind, name, table[name])
    # Entry points are looked for last: that goes through all that is installed.
    table = names(kind)
    if name in table:
        return _import(kind, name, table[name])
    if ":" in name:
        return _import(kind, name, name)
    raise unknown(kind, name, [*table, *(own or {}), *ALSO.get(kind, ())])


def load_once(kind: str, name: str) -> Any:
    """Return the same object as before for the same name, unless its file has changed since."""
    path = Path(name.rpartition(":")[0])
    if path.suffix != ".py" or not path.is_file():
        return load(kind, name)
    return _of_file(kind, f"{path.resolve()}:{name.rpartition(':')[2]}", path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _of_file(kind: str, name: str, changed: int) -> Any:
    """``changed``: when the file was, so that what was read before is not taken for it."""
    return load(kind, name)


def with_absolute_path(name: str) -> str:
    """Return ``file.py:Name`` or a path with the whole path, so that a run is resumed anywhere."""
    source, mark, attribute = name.rpartition(":")
    if source.endswith(".py"):
        return f"{Path(source).resolve()}{mark}{attribute}"
    path = Path(name).expanduser()
    if not path.exists() or any(name in names(kind) for kind in FOLDERS):
        return name
    return str(path.resolve())


def _import(kind: str, name: str, target: str) -> Any:
    source, _, attribute = target.rpartition(":")
    try:
        module = _file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except Exception as error:  # a user's file: anything may come out of its first line
        plain = isinstance(error, ImportError | OSError)
        why = error if plain else f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{kind} {name!r} cannot be imported from {source}: {why}; "
            "it is written as package.module:Name or file.py:Name"
        ) from error
    if not hasattr(module, attribute):
        have = [n for n in vars(module) if not n.startswith("_")]
        raise unknown(f"name in {Path(source).name}", attribute, have)
    return getattr(module, attribute)


def _file(path: Path) -> Any:
    """A module from a file, under a name of its own so that it shadows nothing."""
    name = f"noisesearch_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
