"""What the search of a shard's prompts came to, as rows for other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.json_text import finite
from ..runs.export_data import Column
from ..runs.results import Candidate, Result
from ..setup.loaded import Loaded
from .prompt_files import PromptRow

FORMATS = ("parquet", "csv", "jsonl")


def columns(loaded: Loaded) -> list[Column]:
    """Those of the results of runs with such parts."""
    names = [*loaded.part_names, *(part for verifier in loaded.watch for part in verifier.parts)]
    return [
        Column("row", "integer"), Column("prompt", "text"), Column("rank", "integer"),
        Column("score", "number"), Column("baseline_score", "number"),
        *(Column(f"part_{name}", "number") for name in names),
        *(Column(f"baseline_part_{name}", "number") for name in loaded.part_names),
        Column("nfe", "integer"), Column("trajectory", "text"), Column("image", "text"),
        Column("baseline_image", "text"),
    ]  # fmt: skip


def rows(
    of: Sequence[PromptRow], results: Sequence[Result], wanted: Sequence[Column], beside: Path
) -> Iterator[dict[str, Any]]:
    """A row for each winner of each prompt, best first; pictures by their path from ``beside``,
    the folder that the rows are kept in."""
    for row, result in zip(of, results, strict=True):
        base = result.baseline
        for rank, winner in enumerate(result.winners, 1):
            found = {
                "row": row.number, "prompt": row.prompt, "rank": rank,
                "score": finite(winner.score), "baseline_score": finite(base.score),
                **_named("part_", _held_out(result, winner)), **_named("part_", winner.parts),
                **_named("baseline_part_", base.parts), "nfe": result.ledger["nfe"],
                "trajectory": winner.trajectory, "image": _path(winner, beside),
                "baseline_image": _path(base, beside),
            }  # fmt: skip
            yield {column.name: found.get(column.name) for column in wanted}


def _held_out(result: Result, winner: Candidate) -> Mapping[str, float]:
    """What watched verifiers say of a winner; they are asked about the first alone."""
    watched = result.watched
    if watched is None or winner is not result.winner:
        return {}
    last = {part: along[-1] for part, along in watched.parts.items() if along}
    return {part: value for part, value in last.items() if value is not None}


def _named(prefix: str, parts: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in parts.items()}


def _path(candidate: Candidate, beside: Path) -> str | None:
    path = candidate.path
    return None if path is None else os.path.relpath(path.resolve(), beside.resolve())
