"""Results in a notebook: baseline and winner beside each other, as HTML of its own."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..candidates.condition import Condition
from ..names.columns import number

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 256  # pixels of a picture's longer side, so that a saved notebook stays small
MOST = 20  # conditions that are shown


class ShownCandidate(Protocol):
    """What a cell shows of a candidate: its picture and its numbers."""

    @property
    def parts(self) -> Mapping[str, float]: ...
    @property
    def image(self) -> Image: ...

    def json(self) -> Mapping[str, Any]: ...


class ShownResult(Protocol):
    """What a row shows of one condition's result."""

    @property
    def condition(self) -> Condition: ...
    @property
    def baseline(self) -> ShownCandidate: ...
    @property
    def winner(self) -> ShownCandidate: ...
    @property
    def ledger(self) -> Mapping[str, Any]: ...


def html(results: Sequence[ShownResult], run: Path) -> str:
    """A table with a row a condition; says how many more there are, and where."""
    if not results:
        return f"<p>no condition of {escape(str(run))} has a result yet</p>"
    rows = "".join(_row(result) for result in results[:MOST])
    more = len(results) - MOST
    beyond = f"<p>and {more} more in {escape(str(run / 'grid.png'))}</p>" if more > 0 else ""
    head = "<tr><th>condition</th><th>baseline</th><th>winner</th></tr>"
    return f"<table>{head}{rows}</table>{beyond}"


def _row(result: ShownResult) -> str:
    gain = result.winner.json()["score"], result.baseline.json()["score"]
    up = "" if None in gain else f" ({gain[0] - gain[1]:+.3f})"
    spent = f"{result.ledger['nfe']:g} NFE"
    name = escape(str(result.condition))
    return (
        f'<tr><td style="text-align:left">{name}<br>{spent}</td>'
        f"<td>{_cell(result.baseline, f'baseline of {name}')}</td>"
        f"<td>{_cell(result.winner, f'winner of {name}', up)}</td></tr>"
    )


def _cell(candidate: ShownCandidate, alt: str, gain: str = "") -> str:
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
