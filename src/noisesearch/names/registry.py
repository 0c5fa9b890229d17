"""Names of models, verifiers and algorithms: one table per kind, imported on first use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..errors import ConfigError, unknown

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
    "set objective": {},
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
        "epsilon-greedy": "noisesearch.algorithms.per_step:EpsilonGreedy",
        "beam": "noisesearch.algorithms.per_step:Beam",
        "rollover": "noisesearch.algorithms.per_step:Rollover",
        "backtracking": "noisesearch.algorithms.per_step:Backtracking",
    },
}

ALSO = {"verifier": ("ensemble",)}  # words that stand for several names


def names(kind: str) -> dict[str, str]:
    """Name → target of everything known of a kind, third parties' entry points included.

    A third party registers under the group ``noisesearch.models`` (verifiers, algorithms).
    """
    plugins = {e.name: e.value for e in entry_points(group=f"noisesearch.{kind}s")}
    return {**plugins, **TABLES[kind]}


def load(kind: str, name: str, own: Mapping[str, str] | None = None) -> Any:
    """The object behind a name, a ``package.module:Name`` or a ``file.py:Name``.

    ``own`` comes first: the names that mean something else on one model, such as a world's roles.
    """
    table = {**names(kind), **(own or {})}
    if name in table:
        return _import(kind, name, table[name])
    if ":" in name:
        return _import(kind, name, name)
    raise unknown(kind, name, [*table, *ALSO.get(kind, ())])


def with_absolute_path(name: str) -> str:
    """``file.py:Name`` or a path with the whole path, so that a run is resumed from any folder."""
    source, mark, attribute = name.rpartition(":")
    if source.endswith(".py"):
        return f"{Path(source).resolve()}{mark}{attribute}"
    path = Path(name).expanduser()
    known = any(name in names(kind) for kind in TABLES)
    return str(path.resolve()) if path.exists() and not known else name


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
