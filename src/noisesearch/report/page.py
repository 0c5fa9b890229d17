"""The page: what was read, computed and embedded, in one HTML file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..errors import ConfigError
from ..journal import replace
from .again import command, in_words, recipe
from .answers import answers
from .citing import citations
from .cost import cost
from .gains import VALUE, curves, gains, number_of
from .reading import Candidate, Reading, Searched, read
from .thumbnails import PIXEL_ART, SMALL, embedded, size

PICTURES = ("auto", "embed", "link")
EMBEDDED = 4096  # candidates up to which their pictures go into the page, unless said otherwise
LARGE, MANY, MEDIUM = 512, 24, 224  # pixels of baselines and winners, up to so many conditions
SCRIPTS = ("base.js", "chart.js", "views.js", "tree.js", "prompt.js", "main.js")
LETTERS = {"baseline": "b", "sample": "s", "draft": "d", "preview": "p", "final": "f"}
SHOWN_NODES = 200  # of a recipe; a longer one is in the journal


@dataclass(frozen=True)
class Report:
    """A written report: the file, its size, and whether it needs the run folder beside it."""

    path: Path
    size: int
    linked: bool
    remarks: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        return {"report": str(self.path), "bytes": self.size, "linked": self.linked,
                "remarks": list(self.remarks)}  # fmt: skip


def report(folder: Path, out: Path | None = None, pictures: str = "auto") -> Report:
    """Write the report of a run folder; default ``report.html`` in it.

    ``pictures``: whether those of all candidates are in the page (``embed``, it can be sent
    alone) or in the run folder (``link``); ``auto`` embeds up to 4,096 of them. Baselines and
    winners are always in the page.
    """
    if pictures not in PICTURES:
        raise ConfigError(f"pictures is {pictures!r}, but must be one of {', '.join(PICTURES)}")
    reading = read(folder)
    path = folder / "report.html" if out is None else out
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file, such as {path / 'report.html'}")
    count = sum(len(s.candidates) for s in reading.searches)
    linked = pictures == "link" or (pictures == "auto" and count > EMBEDDED)
    page = render(reading, path, linked).encode()
    replace(path, page)
    remarks = () if reading.complete else (
        f"{folder} is not finished, so the report shows the best so far; go on with: "
        f"noisesearch resume {folder}",
    )  # fmt: skip
    return Report(path, len(page), linked, remarks)


def render(reading: Reading, path: Path, linked: bool) -> str:
    """The page as it would be written to ``path``."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("noisesearch.report", "."), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters.update(number=_number, short=lambda name: name.rpartition("/")[2])
    own = files(__package__)
    found, spent = gains(reading), cost(reading)
    return environment.get_template("page.html.j2").render(
        reading=reading, spec=reading.spec, gains=found, cost=spent, VALUE=VALUE,
        answers=answers(reading, found, spent), citations=citations(reading.spec),
        command=command(reading.spec), version=__version__,
        style=Markup(own.joinpath("style.css").read_text()),
        script=Markup("\n".join(own.joinpath(name).read_text() for name in SCRIPTS)),
        overview=Markup(_data(_overview(reading, path))),
        blocks=[Markup(_data(_block(reading, s, linked))) for s in reading.searches],
    )  # fmt: skip


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}" if abs(value) < 1e15 else f"{value:.3g}"
    return f"{value:.4g}"


def _data(content: Mapping[str, Any]) -> str:
    """JSON that no tag can end."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.6g}")


def _overview(reading: Reading, path: Path) -> dict[str, Any]:
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
    return {name: list(map(_short, column)) if isinstance(column, list) else column
            for name, column in columns.items()}  # fmt: skip


def _pair(reading: Reading, search: Searched, samples: Path, most: int) -> dict[str, Any]:
    part = VALUE if reading.objective else reading.parts[0]
    base, winner = (number_of(c, part) for c in (search.baseline, search.winner))
    return {
        "name": _name(search, reading),
        "base": embedded(samples / f"{search.baseline.trajectory.key}.png", most),
        "win": embedded(samples / f"{search.winner.trajectory.key}.png", most),
        "gain": _short(None if base is None or winner is None else winner - base),
        "kept": search.winner is search.baseline,
        "count": len(search.candidates),
    }


def _name(search: Searched, reading: Reading) -> str:
    """The condition; with what it should not show where two differ in that alone."""
    name = str(search.condition)
    doubles = sum(str(s.condition) == name for s in reading.searches)
    return f"{name} (not {search.condition.negative})" if doubles > 1 else name


def _sets(reading: Reading) -> dict[str, Any] | None:
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


def _block(reading: Reading, search: Searched, linked: bool) -> dict[str, Any]:
    """All candidates of a condition, in columns."""
    candidates = search.candidates
    samples = reading.folder / "samples"
    names = [VALUE, *reading.parts] if reading.objective else reading.parts

    def picture(candidate: Candidate) -> str | int:
        path = samples / f"{candidate.trajectory.key}.png"
        return int(path.exists()) if linked else embedded(path, SMALL) or 0

    def column(of: Callable[[Candidate], Any]) -> list[Any]:
        return [of(c) for c in candidates]

    front = reading.front
    whole = [i for i, c in enumerate(candidates) if c.trajectory.finished]
    nodes = recipe(search.winner.trajectory)
    return {
        "base": search.index[search.baseline.trajectory.key],
        "wins": [search.index[w.trajectory.key] for w in search.winners],
        "bests": search.bests(),
        "front": [] if front is None
        else [whole[i] for i in front.front([candidates[i].reply for i in whole])],
        "unmet": search.result.get("unmet", []),
        "numbers": {part: [_short(number_of(c, part)) for c in candidates] for part in names},
        "kinds": "".join(column(lambda c: LETTERS[c.kind])),
        "out": [i for i, c in enumerate(candidates) if c.out],
        "missing": {i: dict(c.reply.missing) for i, c in enumerate(candidates)
                    if c.reply.missing},
        "nfe": column(lambda c: _short(c.nfe)),
        "seconds": column(lambda c: round(c.seconds, 2)),
        "parents": column(lambda c: c.parent),
        "keys": column(lambda c: c.trajectory.key),
        "recipes": column(lambda c: in_words(c.trajectory)),
        "pictures": column(picture),
        "recipe": "\n".join(map(json.dumps, nodes[-SHOWN_NODES:])),
        "left_out": max(0, len(nodes) - SHOWN_NODES),
    }  # fmt: skip
