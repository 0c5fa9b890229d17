"""The page of a run: what was read, computed and embedded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..candidates.trajectory import FULL, Trajectory
from ..store.answered_candidates import AnsweredCandidate
from ..store.history import RunHistory, SearchHistory
from .answers import answers, counted
from .citations import citations
from .commands import command, in_words, recipe
from .cost import cost
from .gains import VALUE, curves, gains, number_of
from .html import Page, filled, short
from .thumbnails import PIXEL_ART, SMALL, embedded, size

EMBEDDED = 4096  # candidates up to which their pictures go into the page, unless said otherwise
LARGE, MANY, MEDIUM = 512, 24, 224  # pixels of baselines and winners, up to so many conditions
SCRIPTS = ("base.js", "common.js", "chart.js", "views.js", "tree.js", "prompt.js", "main.js")
LETTERS = {"baseline": "b", "sample": "s", "draft": "d", "preview": "p", "final": "f"}
SHOWN_NODES = 200  # of a recipe; a longer one is in the journal


def page(folder: Path, path: Path, pictures: str) -> Page:
    """The page of a run folder as it would be written to ``path``."""
    reading = RunHistory(folder)
    count = sum(len(s.candidates) for s in reading.searches)
    linked = pictures == "link" or (pictures == "auto" and count > EMBEDDED)
    remarks = () if reading.complete else (
        f"{folder} is not finished, so the report shows the best so far; go on with: "
        f"noisesearch resume {folder}",
    )  # fmt: skip
    return Page(render(reading, path, linked), linked, remarks)


def render(reading: RunHistory, path: Path, linked: bool) -> str:
    """The page as it would be written to ``path``."""
    found, spent = gains(reading), cost(reading)
    return filled(
        "run.html.j2", SCRIPTS, [_block(reading, s, linked) for s in reading.searches],
        reading=reading, spec=reading.spec, gains=found, cost=spent, VALUE=VALUE,
        answers=answers(reading, found, spent), citations=citations([reading.spec]),
        command=command(reading.spec), overview=_overview(reading, path),
    )  # fmt: skip


def _overview(reading: RunHistory, path: Path) -> dict[str, Any]:
    """What every view needs: parts, curves, and a pair of pictures a condition."""
    samples = reading.folder / "samples"
    beside = os.path.relpath(samples.resolve(), path.resolve().parent)
    most = LARGE if len(reading.searches) <= MANY else MEDIUM
    first = size(samples / f"{reading.searches[0].baseline.trajectory.key}.png")
    pareto = reading.front
    return {
        "parts": [VALUE, *reading.parts] if reading.objective else reading.parts,
        "roles": {part: reading.role(part) for part in reading.parts},
        "pareto": [] if pareto is None else list(pareto.parts),
        "curves": [_curve(asdict(curve)) for curve in curves(reading)],
        "samples": quote(beside) + "/",
        "size": first,
        "pixelated": first is not None and max(first) <= PIXEL_ART,
        "searches": [_pair(reading, s, samples, most) for s in reading.searches],
        "sets": _sets(reading),
    }


def _curve(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: list(map(short, column)) if isinstance(column, list) else column
            for name, column in columns.items()}  # fmt: skip


def _pair(reading: RunHistory, search: SearchHistory, samples: Path, most: int) -> dict[str, Any]:
    part = VALUE if reading.objective else reading.parts[0]
    base, winner = (number_of(c, part) for c in (search.baseline, search.winner))
    return {
        "name": _name(search, reading),
        "base": embedded(samples / f"{search.baseline.trajectory.key}.png", most),
        "win": embedded(samples / f"{search.winner.trajectory.key}.png", most),
        "gain": short(None if base is None or winner is None else winner - base),
        "kept": search.winner is search.baseline,
        "count": len(search.candidates),
    }


def _name(search: SearchHistory, reading: RunHistory) -> str:
    """The condition; with what it should not show where two differ in that alone."""
    name = str(search.condition)
    doubles = sum(str(s.condition) == name for s in reading.searches)
    return f"{name} (not {search.condition.negative})" if doubles > 1 else name


def _sets(reading: RunHistory) -> dict[str, Any] | None:
    """Where the samples of the sets without and with search are: (search, candidate) pairs."""
    found = reading.content.get("population")
    if found is None:
        return None
    at = {key: (i, k) for i, s in enumerate(reading.searches) for key, k in s.index.items()}
    return {
        "baseline": found["baseline"], "winner": found["winner"],
        "without": [at[key] for key in found["without_search"] if key in at],
        "with": [at[key] for key in found["with_search"] if key in at],
    }  # fmt: skip


def _steps(trajectory: Trajectory) -> str:
    if trajectory.draft != FULL:
        return f"draft {trajectory.draft}"
    return counted(trajectory.steps, "step")


def _block(reading: RunHistory, search: SearchHistory, linked: bool) -> dict[str, Any]:
    """All candidates of a condition, in columns."""
    candidates = search.candidates
    samples = reading.folder / "samples"
    names = [VALUE, *reading.parts] if reading.objective else reading.parts

    def picture(candidate: AnsweredCandidate) -> str | int:
        path = samples / f"{candidate.trajectory.key}.png"
        return int(path.exists()) if linked else embedded(path, SMALL) or 0

    def column(of: Callable[[AnsweredCandidate], Any]) -> list[Any]:
        return [of(c) for c in candidates]

    front = reading.front
    whole = [i for i, c in enumerate(candidates) if c.trajectory.finished]
    nodes = recipe(search.winner.trajectory)
    return {
        "base": search.index[search.baseline.trajectory.key],
        "wins": [search.index[w.trajectory.key] for w in search.winners],
        "bests": search.bests(),
        "unsearched": [[i, _steps(candidates[i].trajectory)] for i in search.unsearched()],
        "front": [] if front is None
        else [whole[i] for i in front.front([candidates[i].reply for i in whole])],
        "unmet": search.result.get("unmet", []),
        "numbers": {part: [short(number_of(c, part)) for c in candidates] for part in names},
        "kinds": "".join(column(lambda c: LETTERS[c.kind])),
        "out": [i for i, c in enumerate(candidates) if c.out],
        "missing": {i: dict(c.reply.missing) for i, c in enumerate(candidates)
                    if c.reply.missing},
        "nfe": column(lambda c: short(c.nfe)),
        "seconds": column(lambda c: round(c.seconds, 2)),
        "parents": column(lambda c: c.parent),
        "keys": column(lambda c: c.trajectory.key),
        "recipes": column(lambda c: in_words(c.trajectory)),
        "pictures": column(picture),
        "recipe": "\n".join(map(json.dumps, nodes[-SHOWN_NODES:])),
        "left_out": max(0, len(nodes) - SHOWN_NODES),
    }  # fmt: skip
