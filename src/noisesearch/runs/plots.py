"""A search as a picture: score, parts and held-out verifiers against what was spent."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..candidates.condition import Condition
from ..driver.held_out import Watched
from ..errors import ConfigError
from ..store.history import RunHistory

WIDTH, HEIGHT = 7.0, 1.7  # inches, of a panel
HIGHER = 1.6  # the first panel, over the others
BEST, ALL, HELD_OUT = "#1f5f8b", "#9aa5ad", "#b3541e"


class ScoredCandidate(Protocol):
    """What a plot needs of a complete candidate."""

    @property
    def trajectory(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def parts(self) -> Mapping[str, float]: ...


class PlottedResult(Protocol):
    """What a plot needs of one condition's result."""

    @property
    def condition(self) -> Condition: ...
    @property
    def run(self) -> Path: ...
    @property
    def candidates(self) -> Sequence[ScoredCandidate]: ...
    @property
    def baseline(self) -> ScoredCandidate: ...
    @property
    def watched(self) -> Watched | None: ...


def figure(result: PlottedResult) -> Any:
    """A matplotlib figure with panels over a common axis of NFE.

    First the score: every complete candidate a point, the best so far a line, the baseline dotted.
    Then each part of the verifiers at the best so far, and dashed what held-out verifiers said of
    it. Where a black box does not say its NFE the axis counts candidates. ConfigError without
    matplotlib.
    """
    of = _new()
    history = RunHistory(result.run)
    at = _spent(history, result)
    told = [c for c in result.candidates if c.trajectory in at]
    told.sort(key=lambda c: at[c.trajectory])
    best = _bests(told)
    parts = list(dict.fromkeys(p for c in best for p in c.parts))
    held = {} if result.watched is None else dict(result.watched.parts)
    count = 1 + len(parts) + len(held)
    of.set_size_inches(WIDTH, HEIGHT * (HIGHER + count - 1))
    panels = of.subplots(count, 1, sharex=True, squeeze=False,
                         height_ratios=[HIGHER, *[1.0] * (count - 1)])[:, 0]  # fmt: skip
    last = max(at.values())
    first = panels[0]
    first.scatter([at[c.trajectory] for c in told], [c.score for c in told], s=10, color=ALL,
                  label="candidates")  # fmt: skip
    _steps(first, [(at[c.trajectory], c.score) for c in best], last, BEST, "best so far")
    first.axhline(result.baseline.score, color=ALL, linestyle=":", label="baseline")
    first.set_ylabel("score")
    first.set_title(str(result.condition), loc="left", fontsize="medium")
    first.legend(fontsize="small", frameon=False, loc="lower right")
    for panel, part in zip(panels[1:], parts, strict=False):
        points = [(at[c.trajectory], c.parts[part]) for c in best if part in c.parts]
        _steps(panel, points, last, BEST, part)
        panel.set_ylabel(part)
    for panel, (part, values) in zip(panels[1 + len(parts) :], held.items(), strict=True):
        assert result.watched is not None, "there are held-out parts"
        known = zip(result.watched.trajectories, values, strict=True)
        points = [(at[key], v) for key, v in known if v is not None and key in at]
        _steps(panel, points, last, HELD_OUT, part, "--")
        panel.set_ylabel(f"{part}\n(held out)")
    panels[-1].set_xlabel("NFE" if history.counts_nfe else "candidates")
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return of


def _spent(history: RunHistory, result: PlottedResult) -> Mapping[str, int]:
    """What had been spent at each complete candidate of this condition, by trajectory."""
    mine = [c for c in history.candidates if c.condition == result.condition]
    return {c.trajectory.key: c.number if c.spent is None else c.spent
            for c in mine if c.number is not None}  # fmt: skip


def _bests(told: Sequence[ScoredCandidate]) -> list[ScoredCandidate]:
    best: list[ScoredCandidate] = []
    for candidate in told:
        if not best or candidate.score > best[-1].score:
            best.append(candidate)
    return best


def _steps(
    panel: Any, points: Sequence[tuple[int, float]], last: int, color: str, label: str,
    style: str = "-",
) -> None:  # fmt: skip
    """A line that keeps its height until the next point, and up to the end of the search."""
    if points:
        x, y = zip(*points, (last, points[-1][1]), strict=True)
        panel.step(x, y, where="post", color=color, linestyle=style, label=label)


def _new() -> Any:
    """A figure that a notebook shows, and that no global state of matplotlib keeps."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigError(
            "plots need matplotlib, which is not installed; pip install 'noisesearch[plot]'"
        ) from error

    made: Any = Figure(layout="constrained")
    made._repr_png_ = partial(_png, made)
    return made


def _png(made: Any) -> bytes:
    data = io.BytesIO()
    made.savefig(data, format="png", dpi=100)
    return data.getvalue()
