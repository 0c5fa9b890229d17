"""A new run folder, made as a whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..candidates.noise import Array, packed
from ..files.writing import leftover, replace
from .given_images import FOLDER

BEGUN = ".spec.json"  # the spec of a run that is being made


def taken(folder: Path) -> bool:
    """True of a folder that holds something else than a run, whole or begun."""
    names = {p.name for p in folder.iterdir() if not leftover(p)} - {"lock"}
    return bool(names) and names.isdisjoint(("spec.json", BEGUN))


def make(
    folder: Path,
    spec: Mapping[str, Any],
    arrays: Iterable[Array],
    files: Mapping[str, bytes],
) -> None:
    """All that a new run begins with; the spec gets its name last."""
    if (folder / BEGUN).exists():
        # Begun and never finished: what is there may belong to another request.
        for name in ("blobs", FOLDER):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "plan.json").unlink(missing_ok=True)
    replace(folder / BEGUN, json.dumps(spec, indent=2).encode())
    for array in arrays:
        put(folder, array)
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        replace(folder / name, data)
    (folder / BEGUN).rename(folder / "spec.json")


def put(folder: Path, array: Array) -> str:
    """Store an array in a run folder; the key is the hash of its content."""
    key, data = packed(array)
    path = folder / "blobs" / f"{key}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        replace(path, data)
    return key


def as_json(content: Mapping[str, Any]) -> bytes:
    """As the JSON files of a run hold it."""
    return json.dumps(content, indent=1).encode()
