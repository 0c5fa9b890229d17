"""T2I-CompBench's prompt files (arXiv 2307.06350; the 3D ones are of T2I-CompBench++)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError, unknown
from ..prompts.prompt_set import Prompt
from ..prompts.sources import PromptSource, lines_of
from .combined_rule import Branches
from .numeracy import Nouns, counts, tokens
from .spatial import locality

OBJECTS = "new_objects.txt"
INSIDE = "examples/dataset"  # where they lie in the benchmark's repository
SOURCE = PromptSource(
    "T2I-CompBench",
    "compbench:FOLDER/spatial_val",
    "clone https://github.com/Karine-Huang/T2I-CompBench, whose examples/dataset holds them",
    ("**/*.txt", "*.txt"),
)
# The kinds that the paper's tables have, in their order, and the others.
KINDS = ("color", "shape", "texture", "spatial", "numeracy", "complex")
ALL_KINDS = (*KINDS, "3d_spatial", "non_spatial")
SEEN = ("color", "shape", "texture")
# How many lines each published file holds; some of the training files say some of them twice.
LINES = {
    **{kind: 860 if kind == "color" else 1000 for kind in ALL_KINDS},
    **{f"{kind}_train": 700 for kind in ALL_KINDS},
    **{f"{kind}_val": 300 for kind in ALL_KINDS},
    **{f"{kind}_val_seen": 200 for kind in SEEN},
    **{f"{kind}_val_unseen": 100 for kind in SEEN},
    "complex_train_action": 504, "complex_train_spatial": 130, "complex_train_spatialaction": 66,
    "complex_val_action": 212, "complex_val_spatial": 58, "complex_val_spatialaction": 30,
}  # fmt: skip


def prompts(given: str) -> tuple[Prompt, ...]:
    """Those of ``FOLDER/spatial_val``, or of a folder the validation prompts of the paper's six
    kinds. The folder is that of the files, a clone of the repository, or a data set on the hub."""
    place, _, last = given.rstrip("/").rpartition("/")
    name = last.removesuffix(".txt")
    if name in LINES:
        return _of(dataset(place or "."), name)
    if last.endswith(".txt"):
        raise unknown("prompt file of T2I-CompBench", name, LINES)
    folder = dataset(given)
    return tuple(prompt for kind in KINDS for prompt in _of(folder, f"{kind}_val"))


def dataset(given: str) -> Path:
    """The folder with the prompt files."""
    folder = SOURCE.place(given)
    return folder / INSIDE if (folder / INSIDE).is_dir() else folder


def _of(folder: Path, name: str) -> tuple[Prompt, ...]:
    path = folder / f"{name}.txt"
    if not path.is_file():
        raise SOURCE.missing(path)
    texts = lines_of(path)
    if len(texts) != LINES[name]:
        raise ConfigError(
            f"{path} has {len(texts)} prompts and the published file {LINES[name]}, so scores "
            f"would not compare; get it whole, or give prompts of your own with --prompts {path}"
        )
    kind = next(kind for kind in sorted(ALL_KINDS, key=len)[::-1] if name.startswith(kind))
    truth = TRUTHS[kind](folder, name) if kind in TRUTHS else _nothing
    return tuple(Prompt(text, (kind,), truth(text)) for text in texts)


Truth = Callable[[str], Mapping[str, Any]]


def _nothing(prompt: str) -> Mapping[str, Any]:
    return {}


def _spatial(folder: Path, name: str) -> Truth:
    def truth(prompt: str) -> Mapping[str, Any]:
        where = locality(prompt)
        named = re.fullmatch(f"an? (.+) {where} an? (.+)", prompt)
        objects = {"objects": named.groups()} if named else {}
        return {**objects, "relation": where} if where else {}

    return truth


def _numeracy(folder: Path, name: str) -> Truth:
    """How many of what, where the list of objects lies beside."""
    path = folder / OBJECTS
    nouns = Nouns.read(path) if path.is_file() else Nouns({})

    def truth(prompt: str) -> Mapping[str, Any]:
        found = counts(tokens(prompt), nouns)
        return {"objects": tuple(n for n, _ in found), "counts": dict(found)} if found else {}

    return truth


def _complex(folder: Path, name: str) -> Truth:
    """Which scores count, where the lists that say so lie beside."""
    split = "train" if "train" in name else "val"
    lists = [folder / f"complex_{split}_{of}.txt" for of in ("spatial", "action")]
    if not all(path.is_file() for path in lists):
        return _nothing
    branches = Branches.read(folder, split)
    return lambda prompt: {"parts": branches.of(prompt)}


TRUTHS: dict[str, Callable[[Path, str], Truth]] = {
    "spatial": _spatial,
    "numeracy": _numeracy,
    "complex": _complex,
}
