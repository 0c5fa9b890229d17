"""What an experiment's folder says: its board, its claims, and files for people and programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoreError
from ..journal import replace
from ..set_objectives import Rows
from . import plot
from .board import Board, Scored
from .campaign import ARMS, REFERENCE, Campaign, Unit
from .set_metrics import Reference, Sample
from .verdicts import TEST, Judged, Verdict, judged, overall

GIGA = 1e9


@dataclass(frozen=True)
class Outcome:
    """A finished experiment: figures of all arms, and what became of the claims."""

    campaign: Campaign
    board: Board
    claims: Sequence[Judged]

    @property
    def verdict(self) -> Verdict:
        return overall(self.claims)

    def json(self) -> dict[str, Any]:
        about = self.campaign.experiment
        return {
            "summary": about.summary, "question": about.question, "finding": about.finding,
            "remark": about.remark, "prompts": len(self.campaign.prompts),
            "seeds": about.seeds, "verdict": self.verdict if self.claims else None,
            "test": TEST, "claims": [claim.json() for claim in self.claims],
            "columns": self.board.columns, "arms": self.board.json(),
        }  # fmt: skip


def outcome(campaign: Campaign, folder: Path) -> Outcome:
    """Everything read off the folder, no model loaded; StoreError where runs are not done."""
    found = {unit.name: _unit(folder, unit) for unit in campaign.units}
    arms = [_scored(campaign, name, folder, found) for name in (a.name for a in campaign.arms)]
    reference = Reference()
    if (folder / REFERENCE).exists():
        with np.load(folder / REFERENCE, allow_pickle=False) as of:
            reference = Reference(of["mean"], of["covariance"],
                                  of.get("features"))  # fmt: skip
    measure = campaign.experiment.measure
    board = Board(arms, measure.sets, reference)

    @cache
    def candidates(arm: str) -> Mapping[str, Rows]:
        units = [u for u in campaign.units if arm in {a.name for a in u.group.arms}]
        many = [np.load(folder / "runs" / u.name / "candidates.npz") for u in units]
        return {part: np.concatenate([one[part] for one in many]) for part in many[0]}

    return Outcome(campaign, board, judged(campaign.experiment.claims, board, candidates))


def write(found: Outcome, folder: Path) -> None:
    """table.json, table.csv, and plot.svg or pictures.png, replaced as a whole."""
    content = found.json()
    replace(folder / "table.json", json.dumps(content, indent=1).encode())
    replace(folder / "table.csv", _csv(content["arms"]).encode())
    drawn = found.campaign.experiment.plot
    if drawn.y:
        replace(folder / "plot.svg", plot.svg(content["arms"], drawn).encode())
    if drawn.images:
        pictures = _winners(found.campaign, folder, drawn.images)
        replace(folder / "pictures.png", plot.rows(pictures))


def _unit(folder: Path, unit: Unit) -> dict[str, Any]:
    path = folder / "runs" / unit.name / ARMS
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{folder} is not finished: {unit.name} has no {ARMS}; go on with the same command"
        ) from error
    with np.load(path.with_name("seen.npz"), allow_pickle=False) as arrays:
        content["arrays"] = {name: np.asarray(arrays[name], np.float64) for name in arrays}
    return content


def _scored(
    campaign: Campaign, name: str, folder: Path, found: Mapping[str, Mapping[str, Any]]
) -> Scored:
    """An arm's winners over all its runs, condition by condition and seed by seed."""
    arm = next(a for a in campaign.arms if a.name == name)
    units = [found[u.name] for u in campaign.units if arm in u.group.arms]
    pairs = [(row, unit) for unit in units for row in unit["arms"][name]]
    # Python's sort is stable: within a condition the seeds stay in their order.
    pairs.sort(key=lambda pair: pair[0]["condition"])
    places = [{key: i for i, key in enumerate(unit["keys"])} for unit in units]
    where = {id(unit): place for unit, place in zip(units, places, strict=True)}
    at = [(unit, where[id(unit)][row["key"]]) for row, unit in pairs]
    columns = {
        part: np.array([unit["columns"][part][i] for unit, i in at], float)
        for part in units[0]["columns"]
    }
    if not columns:
        parts = dict.fromkeys(part for row, _ in pairs for part in row["parts"])
        columns = {p: np.array([row["parts"].get(p, np.nan) for row, _ in pairs]) for p in parts}
    arrays = {kind: np.stack([unit["arrays"][kind][i] for unit, i in at])
              for kind in units[0]["arrays"]}  # fmt: skip
    mean = {unit: float(np.mean([row[unit] for row, _ in pairs]))
            for unit in ("nfe", "forwards", "flops")}  # fmt: skip
    cost = {"nfe": mean["nfe"], "forwards": mean["forwards"], "gflops": mean["flops"] / GIGA}
    of = [campaign.prompts[row["condition"]].group for row, _ in pairs]
    return Scored(
        name, arm.line, len(pairs), cost, {**columns, **_grouped(columns, of)}, Sample(**arrays)
    )


def _grouped(columns: Mapping[str, Rows], of: Sequence[str]) -> dict[str, Rows]:
    """Every column once more for each group of prompts, NaN outside it."""
    kinds = [kind for kind in dict.fromkeys(of) if kind]
    inside = {kind: np.array([kind == each for each in of]) for kind in kinds}
    return {f"{part} [{kind}]": np.where(inside[kind], values, np.nan)
            for part, values in columns.items() for kind in kinds}  # fmt: skip


def _winners(campaign: Campaign, folder: Path, count: int) -> Sequence[plot.PictureRow]:
    """Of the first conditions, under the first seed: a picture of each arm."""
    units = {a.name: u for u in reversed(campaign.units) for a in u.group.arms}
    shown: list[plot.PictureRow] = []
    for index, text in enumerate(campaign.texts[:count]):
        row: list[tuple[str, Path]] = []
        for arm in campaign.arms:
            unit = units[arm.name]
            content = json.loads((folder / "runs" / unit.name / ARMS).read_text())
            key = next(r["key"] for r in content["arms"][arm.name] if r["condition"] == index)
            row.append((arm.name, folder / "runs" / unit.name / "samples" / f"{key}.png"))
        shown.append((text, row))
    return shown


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line an arm; of a figure with an interval three columns."""
    flat = []
    for row in rows:
        line: dict[str, Any] = {}
        for name, value in row.items():
            if isinstance(value, Mapping):
                line |= {name: value["value"], f"{name} low": value["low"],
                         f"{name} high": value["high"]}  # fmt: skip
            else:
                line[name] = value
        flat.append(line)
    text = io.StringIO()
    header = dict.fromkeys(name for line in flat for name in line)
    writer = csv.DictWriter(text, list(header))
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()
