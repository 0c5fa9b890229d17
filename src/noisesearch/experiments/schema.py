"""What the runs of an experiment have left in its folder, checked where it is read, since a folder
may come from anybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import StoreError
from ..files.json_text import parsed
from ..names.options import sentence
from ..store.schema import Count, Key, Number, Place
from .campaign import Unit
from .folder import ARMS, CANDIDATES, REFERENCE, SEEN, kept
from .set_metrics import ReferenceMoments
from .spec import Measure
from .verdicts import Verdict

TABLE = "table.json"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Row(_Strict):
    """An arm's winner of one condition; see :class:`replay.Row`."""

    condition: Place
    key: Key
    score: Number | None
    parts: dict[str, Number]
    nfe: Count
    forwards: Count
    flops: Count


class _Arms(_Strict):
    """arms.json; ``columns``: numbers by part, in the order of ``keys``."""

    arms: dict[str, list[_Row]]
    keys: list[Key]
    columns: dict[str, list[Number | None]]


class _Figure(_Strict):
    value: Number | None
    low: Number | None
    high: Number | None


class _ArmLine(_Strict):
    """An arm's; what else it has are figures by column."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, _Figure]

    arm: str
    line: str
    nfe: Count
    forwards: Count
    gflops: Count
    images: Place


class _Interval(_Strict):
    delta: float
    low: float
    high: float


class _Claim(_Strict):
    says: str
    verdict: Verdict
    interval: _Interval | None
    bound: str
    why: str


class _Table(_Strict):
    """table.json; see :meth:`outcome.Outcome.json`."""

    summary: str
    question: str
    finding: str
    remark: str
    prompts: Place
    seeds: Place
    verdict: Verdict | None
    test: str
    claims: list[_Claim]
    columns: list[str]
    arms: list[_ArmLine]


def table_of(folder: Path, arms: Sequence[str]) -> dict[str, Any] | None:
    """table.json of a finished experiment with these arms; None where it is not there, or is not
    as it was written: all that it says can be worked out again."""
    try:
        found = _Table.model_validate(parsed((folder / TABLE).read_text())).model_dump()
    except (OSError, ValueError):
        return None
    whole = all(column in line for line in found["arms"] for column in found["columns"])
    return found if whole and [line["arm"] for line in found["arms"]] == list(arms) else None


def arms_of(folder: Path, unit: Unit, conditions: int) -> dict[str, Any]:
    """arms.json of a run, whose arms were searched for so many conditions; StoreError where it
    is not there or says anything else."""
    path = folder / "runs" / unit.name / ARMS
    try:
        content = parsed(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder} is not finished: {unit.name} has no {ARMS}; go on with the same command"
        ) from error
    try:
        found = _Arms.model_validate(content)
    except ValidationError as error:
        raise _broken(path, f"{sentence(error):.200}") from error
    keys = set(found.keys)
    for arm in unit.group.arms:
        rows = found.arms.get(arm.name)
        if not rows:
            raise _broken(path, f"it has no winner of arm {arm.name!r}")
        if any(row.condition >= conditions or row.key not in keys for row in rows):
            raise _broken(path, f"arm {arm.name!r} has winners that nobody has seen")
    if any(len(values) != len(found.keys) for values in found.columns.values()):
        raise _broken(path, "not every winner has a number in every column")
    return found.model_dump()


def unit_of(folder: Path, unit: Unit, conditions: int, measure: Measure) -> dict[str, Any]:
    """The same, and as ``arrays`` the features and classes of its winners [n, …] as far as
    ``measure`` wants some."""
    content = arms_of(folder, unit, conditions)
    path = folder / "runs" / unit.name / SEEN
    wanted = [name for name, of in (("features", measure.eye), ("classes", measure.classes)) if of]
    found = kept(path)
    if lacking := [name for name in wanted if name not in found]:
        raise _broken(path, f"it has no {lacking[0]}")
    arrays = {name: found[name] for name in wanted}
    for name, array in arrays.items():
        if array.ndim != 2 or len(array) != len(content["keys"]) or not array.size:
            raise _broken(path, f"{name} are {list(array.shape)}")
    return {**content, "arrays": arrays}


def candidates_of(folder: Path, unit: Unit) -> dict[str, np.ndarray[Any, Any]]:
    """The numbers of all candidates of a run [m], by part."""
    path = folder / "runs" / unit.name / CANDIDATES
    found = kept(path)
    if len({array.shape for array in found.values()}) != 1 or next(iter(found.values())).ndim != 1:
        raise _broken(path, "it has not one number of each part for every candidate")
    return found


def reference_of(folder: Path, width: int | None) -> ReferenceMoments:
    """What sets are compared with, for features of so many numbers; nothing where no features are
    measured, or none were kept."""
    path = folder / REFERENCE
    if width is None or not path.exists():
        return ReferenceMoments()
    found = kept(path)
    mean, covariance = found.get("mean"), found.get("covariance")
    features = found.get("features")
    whole = mean is not None and covariance is not None
    shapes = [a.shape for a in (mean, covariance) if a is not None]
    seen = features is None or (features.ndim == 2 and features.shape[1] == width)
    finite = all(np.isfinite(array).all() for array in found.values())
    if not whole or shapes != [(width,), (width, width)] or not seen or not finite:
        raise _broken(path, f"it is not of features of {width} numbers")
    return ReferenceMoments(mean, covariance, features)


def _broken(path: Path, why: str) -> StoreError:
    return StoreError(f"{path} is not as it was written ({why}); restore it from a copy")
