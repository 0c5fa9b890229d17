"""An experiment's folder: what is done of it, its figures, what its arms and runs cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import StoreError
from ...pages.cost import spent
from ...store.run_store import read_spec
from ...store.spec import RunSpec
from ...store.winners import stored_results
from .. import outcome
from ..campaign import Campaign, Unit
from ..schema import table_of


@dataclass(frozen=True)
class ExperimentRun:
    """One run: the arms that are read off it, how far it is (done, begun, not begun), what was
    counted as it ran, and its spec; of one that has no result yet nothing was counted."""

    name: str
    seed: int | None  # None: all at once
    arms: tuple[str, ...]
    state: str
    nfe: int = 0
    seconds: float = 0.0
    spec: RunSpec | None = None


@dataclass(frozen=True)
class ArmCost:
    """An arm's own cost of an image; ``seconds``: at the pace of the runs it is read off, which
    it shares with other arms; None where their clock told nothing."""

    arm: str
    images: int
    nfe: float
    forwards: float
    gflops: float
    seconds: float | None
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Examined:
    """``content``: as table.json has it, of the arms that there are."""

    folder: Path
    campaign: Campaign
    content: Mapping[str, Any]
    runs: Sequence[ExperimentRun]

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> list[ExperimentRun]:
        return [run for run in self.runs if run.state != "done"]

    @property
    def arms(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self.content["arms"]
        return found

    @property
    def lacking(self) -> list[str]:
        """Arms that there are no figures of yet."""
        there = {row["arm"] for row in self.arms}
        return [arm.name for arm in self.campaign.arms if arm.name not in there]

    @property
    def specs(self) -> list[RunSpec]:
        return [run.spec for run in self.runs if run.spec is not None]

    @cached_property
    def bills(self) -> list[ArmCost]:
        return [self._bill(row) for row in self.arms]

    def _bill(self, row: Mapping[str, Any]) -> ArmCost:
        runs = [run for run in self.runs if row["arm"] in run.arms and run.state == "done"]
        nfe, seconds = sum(run.nfe for run in runs), sum(run.seconds for run in runs)
        pace = seconds / nfe if nfe and seconds else None
        return ArmCost(
            row["arm"], row["images"], row["nfe"], row["forwards"], row["gflops"],
            None if pace is None else pace * row["nfe"], tuple(run.name for run in runs),
        )  # fmt: skip


def read(folder: Path) -> Examined:
    """Everything a report says of an experiment, no model loaded; StoreError where no arm is done,
    or another version made it."""
    campaign = Campaign.stored(folder)
    runs = [_ran(folder, unit) for unit in campaign.units]
    if any(run.state != "done" for run in runs):
        return Examined(folder, campaign, outcome.so_far(campaign, folder).json(), runs)
    return Examined(folder, campaign, _table(campaign, folder), runs)


def _table(campaign: Campaign, folder: Path) -> dict[str, Any]:
    """table.json of a finished experiment; written where the process ended before that, or where
    somebody else has written it."""
    content = table_of(folder, [arm.name for arm in campaign.arms])
    if content is None:
        found = outcome.outcome(campaign, folder)
        outcome.write(found, folder)
        return found.json()
    return content


def _ran(folder: Path, unit: Unit) -> ExperimentRun:
    path = folder / "runs" / unit.name
    seed = None if unit.joint else unit.seed
    arms = tuple(arm.name for arm in unit.group.arms)
    if not (path / "spec.json").exists():
        return ExperimentRun(unit.name, seed, arms, "not begun")
    spec = RunSpec.read(read_spec(path), path)
    state = "done" if outcome.done(folder, unit) else "begun"
    try:
        sums, seconds = spent(stored_results(path)["searches"])
    except StoreError:  # stopped before its first result
        return ExperimentRun(unit.name, seed, arms, state, spec=spec)
    nfe = sums["physical"]["nfe"] if sums else 0
    return ExperimentRun(unit.name, seed, arms, state, nfe, seconds, spec)
