"""What the files of a run folder must look like, since a folder may come from anybody.

Checked where they are read, so that all else may rely on it. A checksum only tells accidents:
whoever writes a hostile line writes its checksum too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import StoreError
from ..names.options import sentence

MOST_ROWS = 2**16
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]  # names files, so nothing else may be one
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e100, le=1e100)]
Count = Annotated[float, Field(ge=0, le=1e100)]
Place = Annotated[int, Field(ge=0, lt=2**53)]


class _JournalLine(BaseModel):
    model_config = ConfigDict(strict=True)


class ReplyLine(_JournalLine):
    """A reply in the journal."""

    reply: Key
    search: str
    parts: dict[str, Number]
    missing: dict[str, str]
    cost: dict[str, Count]
    physical: dict[str, Count]
    seconds: Count
    blobs: dict[str, Key] = Field(default_factory=dict)
    spent: dict[str, dict[str, Count]] = Field(default_factory=dict)


class NodeLine(_JournalLine):
    """A recipe's node in the journal; the graph looks at what it holds."""

    node: Key


class _Choice(_JournalLine):
    choice: str
    indices: list[Place]


class _Dropped(_JournalLine):
    of: list[Key]


class _Asking(_JournalLine):
    verifier: str
    of: list[str]


class _Rows(_JournalLine):
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]


class _Cut(_JournalLine):
    seconds: Count
    condition: str = ""
    at: Count = 0.0


_EVENTS: Mapping[str, type[_JournalLine]] = {
    "choice": _Choice, "dropped": _Dropped, "asking": _Asking, "rows": _Rows, "cut": _Cut,
}  # fmt: skip


def check_line(record: Mapping[str, Any], where: object) -> None:
    """StoreError for a line of a journal that no run writes; unknown events are left alone."""
    kind = NodeLine if "node" in record else ReplyLine if "reply" in record else (
        _EVENTS.get(str(record.get("event")))
    )  # fmt: skip
    if kind is None:
        return
    try:
        kind.model_validate(record)
    except ValidationError as error:
        raise StoreError(
            f"{where} has a line that no run writes ({sentence(error)}); restore it from a copy"
        ) from error


class _Open(BaseModel):
    """Further entries are of no harm: they are only written out again."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Candidate(_Open):
    score: Number | None
    parts: dict[str, Number]
    missing: dict[str, str]
    trajectory: Key
    search_score: Number | None = None


class _Ledger(_Open):
    """Of every unit a number."""

    __pydantic_extra__: dict[str, Count]

    nfe: Count
    counted: Count
    recompute: Count
    backward: Count
    forwards: Count
    flops: Count
    decodes: Count
    verifiers: dict[str, _Verifier]
    drafts: dict[str, Count] = Field(default_factory=dict)
    baseline: _Baseline
    seconds: Count
    physical: dict[str, Count]


class _Baseline(_Open):
    nfe: Count


class _Verifier(_Open):
    __pydantic_extra__: dict[str, Count]

    samples: Count
    seconds: Count


class _Watched(_Open):
    trajectories: list[Key]
    values: list[float | None]
    parts: dict[str, list[Number | None]]
    fell: list[str]


class _Agreement(_Open):
    __pydantic_extra__: dict[str, float | None]


class _Search(_Open):
    condition: str
    baseline: _Candidate
    winner: _Candidate
    winners: Annotated[list[_Candidate], Field(min_length=1)]
    baseline_kept: bool
    unmet: list[str]
    missing: dict[str, Place]
    stopped: str
    short_of: str
    notes: list[str]
    watch: _Watched | None = None
    drafts: dict[str, _Agreement] = Field(default_factory=dict)
    ledger: _Ledger


class _Sets(_Open):
    size: Place
    baseline: float
    winner: float
    baseline_kept: bool
    without_search: Annotated[list[Key], Field(min_length=1)]
    with_search: Annotated[list[Key], Field(min_length=1)]


class _RankedBy(_Open):
    objective: str
    scales: dict[str, Annotated[float, Field(gt=0, le=1e100)]]


class _Winners(_Open):
    run: str
    complete: bool
    searches: list[_Search]
    population: _Sets | None = None
    ranked_by: _RankedBy | None = None


def check_winners(content: Any) -> None:
    """ValueError for a winners.json that no run writes."""
    try:
        _Winners.model_validate(content)
    except ValidationError as error:
        raise ValueError(sentence(error)) from error
