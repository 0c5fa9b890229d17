"""The page of an experiment: question and verdict, figures of all arms, pictures, cost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...models.choice import model_of
from ...objectives.statistics import Interval
from ...pages.citations import Citations, citations
from ...pages.html import Page, filled, short
from ...pages.thumbnails import PIXEL_ART, embedded, size
from ...setup.selection import expand
from ..outcome import again, pictures, resumption
from ..reproduced_table import cell
from ..verdicts import TEST
from .contents import Examined, ExperimentRun, read
from .findings import findings
from .rows import shelves

SCRIPTS = ("base.js", "common.js", "chart.js", "arms.js")
SHOWN = 8  # conditions whose pictures are shown, if the spec draws no more
SIDE = 224  # pixels of one


@dataclass(frozen=True)
class Card:
    """A picture of an arm: where it is shown from, None where it is not there, and its file."""

    arm: str
    nfe: float
    source: str | None
    file: str


@dataclass(frozen=True)
class CardRow:
    """Cards without search and with it; ``title``: the line of arms."""

    title: str
    left: Sequence[Card]
    right: Sequence[Card]


def page(folder: Path, path: Path, how: str) -> Page:
    """The page of an experiment's folder as it would be written to ``path``."""
    found = read(folder)
    linked = how == "link"
    beside = _beside(folder, path)
    paths = pictures(found.campaign, folder, _count(found))
    shown = list(_shown(found, paths, beside, linked))
    return Page(
        filled(
            "experiment.html.j2", SCRIPTS, (), of=found, about=found.content,
            findings=findings(found), shown=shown, pixelated=_pixelated(paths), beside=beside,
            links={run.name: _links(folder, run, beside) for run in found.runs},
            cell=cell, claim_figure=_figure, test=TEST, again=again(folder),
            resumption=resumption(folder),
            citations=_citations(found), overview=_overview(found),
        ),
        linked,
        () if found.complete else (
            f"{folder} is not finished: {len(found.missing)} of its {len(found.runs)} runs are "
            f"missing, so the report is of {len(found.arms)} of {len(found.campaign.arms)} arms, "
            f"and no claim is decided; go on with: {resumption(folder)}",
        ),
    )  # fmt: skip


def _beside(folder: Path, path: Path) -> str:
    """How links of the page begin; "" where it lies in the folder."""
    found = os.path.relpath(folder.resolve(), path.resolve().parent)
    return "" if found == "." else quote(found) + "/"


def _links(folder: Path, run: ExperimentRun, beside: str) -> list[tuple[str, str]]:
    """What there is of a run to be opened: its own report, its folder."""
    at = f"{beside}runs/{quote(run.name)}/"
    path = folder / "runs" / run.name
    found = [("report", at + "report.html")] if (path / "report.html").exists() else []
    return [*found, ("folder", at)] if path.exists() else found


def _figure(claim: Mapping[str, Any]) -> str:
    of = claim["interval"]
    return str(claim["why"]) if of is None else Interval(**of).text("+.4g")


def _count(found: Examined) -> int:
    """How many conditions have their pictures shown."""
    return min(max(SHOWN, found.campaign.experiment.plot.images), len(found.campaign.prompts))


def _shown(
    found: Examined, paths: Mapping[str, Sequence[Path]], beside: str, linked: bool
) -> Iterator[tuple[str, list[CardRow]]]:
    """The first conditions, each with its rows of pictures; ``paths`` by arm."""
    costs = {bill.arm: bill.nfe for bill in found.bills if bill.arm in paths}
    every = shelves(found.campaign.arms, costs)

    def card(arm: str, number: int) -> Card:
        path = paths[arm][number]
        file = beside + quote(str(path.relative_to(found.folder)))
        stored = None if linked else embedded(path, SIDE)
        source = f"data:image/webp;base64,{stored}" if stored else None
        return Card(arm, costs[arm], file if linked and path.exists() else source, file)

    for number, text in enumerate(found.campaign.texts[: _count(found)]):
        yield text, [CardRow(shelf.title if len(every) > 1 else "",
                         [card(arm, number) for arm in shelf.left],
                         [card(arm, number) for arm in shelf.right])
                     for shelf in every]  # fmt: skip


def _pixelated(paths: Mapping[str, Sequence[Path]]) -> bool:
    """True where pictures are so small that they are enlarged without blur."""
    sizes = (size(path) for of in paths.values() for path in of)
    first = next((of for of in sizes if of is not None), None)
    return first is not None and max(first) <= PIXEL_ART


def _overview(found: Examined) -> dict[str, Any]:
    """What the charts are drawn from."""
    content, drawn = found.content, found.campaign.experiment.plot
    columns = content["columns"]
    first = found.arms[0]["arm"]
    return {
        "x": drawn.x,
        "y": [column for column in drawn.y if column in columns],
        "columns": columns,
        "first": first,
        "arms": [
            {"name": row["arm"], "line": row["line"], "x": short(row[drawn.x]),
             "figures": {c: _ends(row[c]) for c in columns},
             "over": {c: _ends(row.get(f"{c} over first")) for c in columns}}
            for row in found.arms
        ],
    }  # fmt: skip


def _ends(figure: Mapping[str, float | None] | None) -> list[float | None] | None:
    """Value, low, high; None where there is no value."""
    if figure is None or figure["value"] is None:
        return None
    return [short(figure[name]) for name in ("value", "low", "high")]


def _citations(found: Examined) -> Citations:
    measure = found.campaign.experiment.measure
    seen = [name for name in (*measure.columns, measure.eye, measure.classes) if name]
    if "ensemble" in seen:  # only then is a model asked, which may lie where it is no more
        seen = expand(seen, model_of(found.campaign.arms[0].model))
    return citations(found.specs, seen, measure.sets)
