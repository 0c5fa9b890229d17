"""What an experiment's folder says: its board, its claims, and files for people and programs."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoreError
from ..files.writing import replace
from ..objectives.sets import Rows
from . import plot
from .campaign import Campaign, Unit
from .estimates import Estimates, Scored
from .folder import ARMS, SPEC
from .schema import TABLE, arms_of, candidates_of, reference_of, unit_of
from .set_metrics import Sample
from .verdicts import TEST, Judged, Verdict, judged, overall

GIGA = 1e9


@dataclass(frozen=True)
class ExperimentOutcome:
    """A finished experiment: figures of all arms, and what became of the claims."""

    campaign: Campaign
    board: Estimates
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


def outcome(campaign: Campaign, folder: Path) -> ExperimentOutcome:
    """Everything read off the folder, no model loaded; StoreError where runs are not done."""
    board = _board(campaign, folder, campaign.units)

    @cache
    def candidates(arm: str) -> Mapping[str, Rows]:
        units = [u for u in campaign.units if arm in {a.name for a in u.group.arms}]
        many = [candidates_of(folder, u) for u in units]
        return {part: np.concatenate([one[part] for one in many]) for part in many[0]}

    return ExperimentOutcome(
        campaign, board, judged(campaign.experiment.claims, board, candidates)
    )


def so_far(campaign: Campaign, folder: Path) -> ExperimentOutcome:
    """Of what is done of an experiment, as far as its arms can be compared. Nothing is decided:
    who looks until a claim holds will see it hold. StoreError where no arm is done."""
    units = comparable(campaign.units, [u for u in campaign.units if done(folder, u)])
    if not units:
        raise StoreError(
            f"{folder} has no result yet: none of its {len(campaign.units)} runs is finished; go "
            f"on with: {resumption(folder)}"
        )
    return ExperimentOutcome(campaign, _board(campaign, folder, units), ())


def comparable(every: Sequence[Unit], finished: Sequence[Unit]) -> list[Unit]:
    """The finished ones that are of the same images: those of the seeds that all arms have, or
    of the first seed. Sets are of all seeds at once, so they stand beside the others at the end.
    """
    there = {unit.name for unit in finished}
    lacking = {unit.seed for unit in every if not unit.joint and unit.name not in there}
    seeds = {unit.seed for unit in every} - lacking or {every[0].seed}
    single = [unit for unit in finished if not unit.joint and unit.seed in seeds]
    sets = [unit for unit in finished if unit.joint]
    return single if single and lacking else [*single, *sets]


def done(folder: Path, unit: Unit) -> bool:
    return (folder / "runs" / unit.name / ARMS).exists()


def again(folder: Path) -> str:
    """The command that runs the experiment of a folder, but for where."""
    return f"noisesearch run {shlex.quote(str(folder / SPEC))}"


def write(found: ExperimentOutcome, folder: Path) -> None:
    """table.json, table.csv, and plot.svg or pictures.png, replaced as a whole."""
    content = found.json()
    replace(folder / TABLE, json.dumps(content, indent=1).encode())
    replace(folder / "table.csv", _csv(content["arms"]).encode())
    drawn = found.campaign.experiment.plot
    if drawn.y:
        replace(folder / "plot.svg", plot.svg(content["arms"], drawn).encode())
    if drawn.images:
        pictures = _winners(found.campaign, folder, drawn.images)
        replace(folder / "pictures.png", plot.rows(pictures))


def resumption(folder: Path) -> str:
    """The command that goes on with it where it is."""
    return f"{again(folder)} --out {shlex.quote(str(folder))}"


def _board(campaign: Campaign, folder: Path, units: Sequence[Unit]) -> Estimates:
    """The arms that some runs are of."""
    measure, count = campaign.experiment.measure, len(campaign.prompts)
    found = {unit.name: unit_of(folder, unit, count, measure) for unit in units}
    named = {arm.name for unit in units for arm in unit.group.arms}
    arms = [_scored(campaign, arm.name, found) for arm in campaign.arms if arm.name in named]
    features = arms[0].sample.features
    reference = reference_of(folder, None if features is None else features.shape[1])
    return Estimates(arms, measure.sets, reference)


def _scored(campaign: Campaign, name: str, found: Mapping[str, Mapping[str, Any]]) -> Scored:
    """An arm's winners over all its runs, condition by condition and seed by seed."""
    arm = next(a for a in campaign.arms if a.name == name)
    units = [found[u.name] for u in campaign.units if arm in u.group.arms and u.name in found]
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


def pictures(campaign: Campaign, folder: Path, count: int) -> dict[str, list[Path]]:
    """Of each arm that is done under the first seed: a sample of each of the first conditions."""
    found: dict[str, list[Path]] = {}
    for unit in campaign.units:
        if unit.seed != campaign.experiment.seed or not done(folder, unit):
            continue
        samples = folder / "runs" / unit.name / "samples"
        for name, rows in arms_of(folder, unit, len(campaign.prompts))["arms"].items():
            first = {row["condition"]: row["key"] for row in reversed(rows)}
            found[name] = [samples / f"{first[i]}.png" for i in range(count) if i in first]
    return {arm.name: found[arm.name] for arm in campaign.arms if arm.name in found}


def _winners(campaign: Campaign, folder: Path, count: int) -> Sequence[plot.PictureRow]:
    """Of the first conditions: a picture of each arm."""
    columns = pictures(campaign, folder, count).items()
    return [(text, [(name, paths[i]) for name, paths in columns])
            for i, text in enumerate(campaign.texts[:count])]  # fmt: skip


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
