"""A run as data for other programs: all candidates, or pairs of a better and a worse picture."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, unknown
from ..files.writing import disk_error
from ..store.answered_candidates import AnsweredCandidate
from ..store.history import RunHistory

if TYPE_CHECKING:
    import pyarrow as pa

PREFERENCES = "preferences"
FORMATS = ("parquet", "csv", "jsonl", PREFERENCES)
IMAGES = ("path", "embed")
GROUP = 256  # rows that are in memory at once, with their pictures
Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """``kind``: text, integer, number, flag, bytes or image (bytes and path, as the library
    datasets has them)."""

    name: str
    kind: str


@dataclass(frozen=True)
class ExportedData:
    """``skipped``: conditions without a pair, and why, a sentence each."""

    file: Path
    rows: int
    skipped: Sequence[str] = ()

    def json(self) -> dict[str, Any]:
        return {"file": str(self.file), "rows": self.rows, "skipped": list(self.skipped)}


def export_data(
    run: str | Path,
    form: str = "parquet",
    out: str | Path | None = None,
    *,
    images: str | None = None,
    margin: float | None = None,
    per_prompt: int | None = None,
    objective: str = "",
) -> ExportedData:
    """Write a run's candidates or its preference pairs to one file.

    ``form``: parquet, csv or jsonl, a row a complete candidate; preferences, a row a pair, whose
    file is of the kind that ``out`` ends with. ``out``: by default candidates.parquet (.csv,
    .jsonl) or preferences.parquet in the run folder. ``images``: path (relative to the file) or
    embed; by default pairs in Parquet embed them, all else names paths. Pairs differ by at least
    ``margin`` in score and are at most ``per_prompt`` (1) for each prompt: the best with the
    worst, the second with the last but one, and so on, no picture twice. ``objective``: as text,
    scores by another than the run's own. ConfigError for what cannot be.
    """
    folder = Path(run)
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if form != PREFERENCES and (margin is not None or per_prompt is not None):
        raise ConfigError(
            f"margin and pairs for each prompt belong to preferences, but the format is {form}; "
            "leave them out or choose --format preferences"
        )
    file = _file(folder, form, out)
    if images is None:
        images = "embed" if form == PREFERENCES and file.suffix == ".parquet" else "path"
    if images not in IMAGES:
        raise unknown("way to give images", images, IMAGES)
    embedded = images == "embed"
    if embedded and file.suffix != ".parquet":
        raise ConfigError(
            f"{file.name} is text and cannot hold pictures; write Parquet, or name their paths: "
            "--images path"
        )
    records = RunHistory(folder, objective)
    if form == PREFERENCES:
        pairs, skipped = _pairs(records, _margin(margin), _count(per_prompt))
        rows = (_pair(*pair, file.parent, embedded) for pair in pairs)
        return ExportedData(file, write_rows(file, _pair_columns(embedded), rows), skipped)
    columns = _columns(records, embedded)
    rows = (_row(record, records, file.parent, embedded) for record in records)
    return ExportedData(file, write_rows(file, columns, rows))


def _file(folder: Path, form: str, out: str | Path | None) -> Path:
    """Where to write; ConfigError where its ending says something else than the format."""
    pairs = form == PREFERENCES
    if out is None:
        return folder / ("preferences.parquet" if pairs else f"candidates.{form}")
    file = Path(out)
    endings = [".parquet", ".csv", ".jsonl"] if pairs else [f".{form}"]
    if file.suffix not in endings:
        raise ConfigError(
            f"out is {file}, but format {form} is written to a file that ends with "
            f"{' or '.join(endings)}; name it so"
        )
    return file


def _margin(margin: float | None) -> float:
    if margin is not None and not 0 <= margin < float("inf"):
        raise ConfigError(f"margin is {margin:g}, but must be a number from 0 up, in scores")
    return margin or 0.0


def _count(per_prompt: int | None) -> int:
    if per_prompt is not None and per_prompt < 1:
        raise ConfigError(f"got {per_prompt} pairs for each prompt, but 1 is the least")
    return 1 if per_prompt is None else per_prompt


def _columns(records: RunHistory, embedded: bool) -> list[Column]:
    texts = ("run", "model", "algorithm", "condition", "negative", "role")
    return [
        *(Column(name, "text") for name in texts),
        Column("rank", "integer"), Column("baseline", "flag"), Column("number", "integer"),
        Column("score", "number"),
        *(Column(f"part_{name}", "number") for name in records.part_names),
        Column("missing", "text"), Column("nfe", "integer"), Column("spent_nfe", "integer"),
        Column("steps", "integer"), Column("draft", "text"), Column("trajectory", "text"),
        Column("recipe", "text"), Column("image", "image" if embedded else "text"),
    ]  # fmt: skip


def _row(record: AnsweredCandidate, records: RunHistory, beside: Path, embedded: bool) -> Row:
    spec, trajectory = records.spec, record.trajectory
    path = None if record.picture is None else _relative(record.picture, beside)
    image: Any = path
    if embedded and record.picture is not None:
        image = {"bytes": record.picture.read_bytes(), "path": path}
    return {
        "run": str(records.folder), "model": spec.model, "algorithm": spec.algorithm,
        "condition": str(record.condition), "negative": record.condition.negative,
        "role": record.role, "rank": record.rank, "baseline": record.baseline,
        "number": record.number, "score": record.score,
        **{f"part_{name}": record.parts.get(name) for name in records.part_names},
        "missing": json.dumps(dict(record.missing)), "nfe": records.nfe_alone(record),
        "spent_nfe": record.spent, "steps": trajectory.steps, "draft": trajectory.draft,
        "trajectory": trajectory.key, "recipe": json.dumps(record.recipe), "image": image,
    }  # fmt: skip


def _relative(path: Path, beside: Path) -> str:
    """As seen from the file's folder, so that a run folder can be moved with it."""
    return os.path.relpath(path.resolve(), beside.resolve())


Pair = tuple[AnsweredCandidate, AnsweredCandidate]


def _pairs(records: RunHistory, margin: float, most: int) -> tuple[list[Pair], list[str]]:
    """(better, worse) of all conditions, and a sentence for each that has none."""
    pairs: list[Pair] = []
    skipped: list[str] = []
    for condition in dict.fromkeys(r.condition for r in records):
        there = [r for r in records if r.condition == condition and r.picture is not None]
        ranked = sorted((r for r in there if r.score is not None), key=_score, reverse=True)
        whole = zip(ranked[:most], ranked[::-1][: len(ranked) // 2], strict=False)
        found = [(a, b) for a, b in whole if 0 < _score(a) - _score(b) >= margin]
        pairs += found
        if not found:
            widest = _score(ranked[0]) - _score(ranked[-1]) if ranked else 0.0
            skipped.append(
                f"{condition}: no pair, since {len(ranked)} candidates have a picture and a score "
                f"and these differ by {widest:.3g} at most"
            )
    if not pairs:
        raise ConfigError(
            f"{records.folder} gives no pair ({skipped[0]}); lower --margin, keep the pictures "
            "with --keep all, or search with an objective of single candidates"
        )
    return pairs, skipped


def _score(record: AnsweredCandidate) -> float:
    assert record.score is not None, "records without a score are in no pair"
    return record.score


def _pair_columns(embedded: bool) -> list[Column]:
    pictures = ["jpg_0", "jpg_1"] if embedded else ["image_0", "image_1"]
    kinds = {"label": "number", "score": "number"}
    return [
        Column("caption", "text"),
        *(Column(name, "bytes" if embedded else "text") for name in pictures),
        *(Column(f"{name}_{i}", kind) for name, kind in kinds.items() for i in (0, 1)),
        Column("margin", "number"), Column("image_0_uid", "text"), Column("image_1_uid", "text"),
        Column("best_image_uid", "text"),
    ]  # fmt: skip


def _pair(
    better: AnsweredCandidate, worse: AnsweredCandidate, beside: Path, embedded: bool
) -> Row:
    """A row with the columns of Pick-a-Pic. Which picture comes first is decided by the keys: a
    place that always had the better one would be learnt instead of the pictures."""
    both = sorted((better, worse), key=lambda r: r.trajectory.key)
    row: Row = {"caption": str(better.condition)}
    for i, record in enumerate(both):
        assert record.picture is not None, "records without a picture are in no pair"
        if embedded:
            row[f"jpg_{i}"] = record.picture.read_bytes()
        else:
            row[f"image_{i}"] = _relative(record.picture, beside)
        row[f"label_{i}"] = float(record is better)
        row[f"score_{i}"] = record.score
        row[f"image_{i}_uid"] = record.trajectory.key
    margin = _score(better) - _score(worse)
    return {**row, "margin": margin, "best_image_uid": better.trajectory.key}


def write_rows(file: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """The number of rows; the file is there as a whole or not at all."""
    write = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl}[file.suffix]
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        count = write(beside, columns, rows)
        os.replace(beside, file)
    except OSError as error:
        raise disk_error(error, file) from error
    finally:
        beside.unlink(missing_ok=True)
    return count


def _parquet(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Parquet needs pyarrow, which is not installed; pip install 'noisesearch[data]', or "
            "write text: --format jsonl, or for preferences --out preferences.jsonl"
        ) from error
    schema, rows, count = _schema(pa, columns), iter(rows), 0
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
            count += len(group)
    return count


def _schema(pa: Any, columns: Sequence[Column]) -> pa.Schema:
    """Arrow types, with the note by which the library datasets shows images as such."""
    kinds = {
        "text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_(),
        "bytes": pa.binary(), "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    }  # fmt: skip
    schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])
    shown = {c.name: {"_type": "Image"} for c in columns if c.kind == "image"}
    if not shown:
        return schema
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": shown}})})


def _csv(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [column.name for column in columns], lineterminator="\n")
        writer.writeheader()
        for count, row in enumerate(rows, 1):  # noqa: B007
            writer.writerow(row)
    return count


def _jsonl(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for count, row in enumerate(rows, 1):  # noqa: B007
            file.write(json.dumps({column.name: row[column.name] for column in columns}) + "\n")
    return count
