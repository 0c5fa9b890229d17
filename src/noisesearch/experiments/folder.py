"""The files of an experiment's folder: their names, written as a whole and read again."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from ..errors import StoreError
from ..files import arrays as array_files
from ..files.json_text import parsed
from ..files.writing import replace
from ..store.formats import current_arms
from ..store.spec import EXPERIMENT

SPEC, ARMS, REFERENCE = EXPERIMENT, "arms.json", "reference.npz"
SEEN, CANDIDATES = "seen.npz", "candidates.npz"


def save(path: Path, arrays: dict[str, Any], dtype: type = np.float32) -> None:
    """An .npz file, there as a whole or not at all."""
    data = io.BytesIO()
    kept: dict[str, Any] = {name: np.asarray(a, dtype) for name, a in arrays.items()}
    np.savez_compressed(data, **kept)
    replace(path, data.getvalue())


def kept(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that an experiment keeps in a file; StoreError where it cannot be read."""
    try:
        with array_files.opened(path) as arrays:
            found = {name: arrays[name] for name in arrays}
            if any(array.dtype.kind not in "biuf" for array in found.values()):
                raise ValueError("not all of it is numbers")
            return {name: array.astype(np.float64) for name, array in found.items()}
    except array_files.BROKEN as error:
        why = array_files.reason(error)
        raise StoreError(f"{path} cannot be read ({why}); restore it from a copy") from error


class _Stored(BaseModel):
    """What is read of experiment.json again; see :meth:`Campaign._content`."""

    versions: dict[str, str]
    experiment: dict[str, Any]
    prompts: list[tuple[str, str]]


def stored(folder: Path) -> dict[str, Any]:
    """The experiment.json of a folder; StoreError where there is none."""
    path = folder / SPEC
    try:
        content: dict[str, Any] = parsed(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder} holds no experiment ({SPEC} cannot be read); make one with: noisesearch "
            "run EXPERIMENT.toml --out DIR"
        ) from error
    try:
        _Stored.model_validate(content)
    except ValidationError as error:
        raise StoreError(f"{path} is not complete; restore it from a copy") from error
    return {**current_arms(content), "experiment": current_arms(content["experiment"])}
