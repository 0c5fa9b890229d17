"""Results in a notebook: baseline and winner beside each other, as HTML of its own."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..names.columns import number

if TYPE_CHECKING:
    from .results import Candidate, Result

SIDE = 256  # pixels of a picture's longer side, so that a saved notebook stays small
MOST = 20  # conditions that are shown


def html(results: Sequence[Result], run: Path) -> str:
    """A table with a row a condition; says how many more there are, and where."""
    if not results:
        return f"<p>no condition of {escape(str(run))} has a result yet</p>"
    rows = "".join(_row(result) for result in results[:MOST])
    more = len(results) - MOST
    beyond = f"<p>and {more} more in {escape(str(run / 'grid.png'))}</p>" if more > 0 else ""
    head = "<tr><th>condition</th><th>baseline</th><th>winner</th></tr>"
    return f"<table>{head}{rows}</table>{beyond}"


def _row(result: Result) -> str:
    gain = result.winner.json()["score"], result.baseline.json()["score"]
    up = "" if None in gain else f" ({gain[0] - gain[1]:+.3f})"
    spent = f"{result.ledger['nfe']:g} NFE"
    name = escape(str(result.condition))
    return (
        f'<tr><td style="text-align:left">{name}<br>{spent}</td>'
        f"<td>{_cell(result.baseline, f'baseline of {name}')}</td>"
        f"<td>{_cell(result.winner, f'winner of {name}', up)}</td></tr>"
    )


def _cell(candidate: Candidate, alt: str, gain: str = "") -> str:
    parts = "".join(f"<br>{escape(p)} {v:.3f}" for p, v in candidate.parts.items())
    said = f"{number(candidate.json()['score'])}{gain}{parts}"
    try:
        image = candidate.image
    except FileNotFoundError:
        return f"(not kept)<br>{said}"
    image.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    image.save(data, "png")
    uri = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    # Small pictures are enlarged by the browser, without blur.
    style = f"width:{SIDE}px;image-rendering:pixelated"
    return f'<img src="{uri}" alt="{alt}" style="{style}"><br>{said}'
