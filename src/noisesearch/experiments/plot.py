"""Plots of an experiment without a library: lines with intervals as SVG, rows of pictures."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

from ..files.pictures import enlarged, read, still
from .spec import Plot

# Colours that are told apart without red and green (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
DASHES = ("", "6 3", "2 3")  # of the lines that have a colour again
WIDTH, HEIGHT, LEFT, TOP, FOOT = 380, 260, 62, 34, 44  # of a panel, pixels
LEGEND = 18  # a line of it
TICKS = 4
Point = tuple[float, float, float, float]  # x, value, low, high
PictureRow = tuple[str, Sequence[tuple[str, Path]]]  # a title, and pictures with captions


@dataclass(frozen=True)
class Axis:
    """From numbers to pixels; a logarithm where the numbers span more than a decade."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, log: bool = False) -> Axis:
        low, high = min(values), max(values)
        log = log and low > 0 and high > 10 * low
        if log:
            return cls(low / 1.15, high * 1.15, start, end, True)
        room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
        return cls(low - room, high + room, start, end)

    def at(self, value: float) -> float:
        low, high, of = self.low, self.high, value
        if self.logarithmic:
            low, high, of = (math.log(v) for v in (low, high, of))
        return self.start + (of - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> Iterator[float]:
        if self.logarithmic:
            for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))):
                for digit in (1, 2, 5):
                    if self.low <= (tick := digit * 10.0**power) <= self.high:
                        yield tick
            return
        rough = (self.high - self.low) / TICKS
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(s * unit for s in (1, 2, 5, 10) if s * unit >= rough)
        tick = math.ceil(self.low / step) * step
        while tick <= self.high:
            yield tick
            tick += step


def svg(rows: Sequence[Mapping[str, Any]], plot: Plot) -> str:
    """A panel a column; points with their 95 % intervals, those of one line joined."""
    lines = list(dict.fromkeys(str(row["line"]) for row in rows))
    height = HEIGHT + LEGEND * len(lines) + 10
    width = WIDTH * len(plot.y)
    inside = [_panel(rows, lines, plot.x, y, WIDTH * i) for i, y in enumerate(plot.y)]
    for i, line in enumerate(lines):
        at = HEIGHT + LEGEND * (i + 0.6)
        inside.append(f'<path d="M{LEFT} {at - 4:.0f}h22" {_pen(i)} '
                      f'stroke-width="2"/><text x="{LEFT + 30}" y="{at:.0f}">{escape(line)}'
                      "</text>")  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
        f'width="{width}" height="{height:.0f}" font-family="sans-serif" font-size="11" '
        f'role="img"><title>{escape(", ".join(plot.y))} over {escape(plot.x)}</title>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(inside)}</svg>\n'
    )


def _panel(
    rows: Sequence[Mapping[str, Any]], lines: Sequence[str], x: str, y: str, left: float
) -> str:
    series = {line: sorted(_points(rows, line, x, y)) for line in lines}
    points = [p for some in series.values() for p in some]
    if not points:
        return ""
    across = Axis.over([p[0] for p in points], left + LEFT, left + WIDTH - 12, log=True)
    up = Axis.over([v for p in points for v in p[1:]], HEIGHT - FOOT, TOP)
    box = (f'<rect x="{across.start}" y="{up.end}" width="{across.end - across.start}" '
           f'height="{up.start - up.end}" fill="none" stroke="#bbb"/>'
           f'<text x="{left + LEFT}" y="{TOP - 10}" font-weight="bold">{escape(y)}</text>'
           f'<text x="{across.end}" y="{HEIGHT - 8}" text-anchor="end">{escape(x)} per image'
           "</text>")  # fmt: skip
    marks = [f'<text x="{across.at(t):.1f}" y="{HEIGHT - FOOT + 15}" text-anchor="middle" '
             f'fill="#555">{t:g}</text>' for t in across.ticks()]  # fmt: skip
    marks += [f'<text x="{left + LEFT - 6}" y="{up.at(t) + 4:.1f}" text-anchor="end" '
              f'fill="#555">{t:.4g}</text><path d="M{across.start} {up.at(t):.1f}H{across.end}" '
              'stroke="#eee"/>' for t in up.ticks()]  # fmt: skip
    drawn = [_line(series[line], across, up, i) for i, line in enumerate(lines)]
    return "".join([box, *marks, *drawn])


def _points(rows: Sequence[Mapping[str, Any]], line: str, x: str, y: str) -> Iterator[Point]:
    for row in rows:
        if row["line"] == line and row[y]["value"] is not None:
            value = row[y]["value"]
            low, high = (value if row[y][k] is None else row[y][k] for k in ("low", "high"))
            yield row[x], value, low, high


def _line(points: Sequence[Point], across: Axis, up: Axis, index: int) -> str:
    if not points:
        return ""
    at = [(across.at(x), up.at(v), up.at(low), up.at(high)) for x, v, low, high in points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, *_ in at)
    whiskers = "".join(f"M{x:.1f} {low:.1f}V{high:.1f}" for x, _, low, high in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(index)}"/>'
                   for x, y, *_ in at)  # fmt: skip
    return (f'<path d="{path}" fill="none" {_pen(index)} stroke-width="1.8"/>'
            f'<path d="{whiskers}" stroke="{_colour(index)}" opacity="0.6"/>{dots}')  # fmt: skip


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _pen(index: int) -> str:
    """How a line is drawn: no two of the first 24 alike."""
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    return f'stroke="{_colour(index)}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def rows(shown: Sequence[PictureRow]) -> bytes:
    """A PNG with a row of pictures a condition, as in the paper's Figures 7 and 17 to 33."""
    font = ImageFont.load_default(size=13)
    tiles = [[enlarged(still(read(path))) for _, path in row] for _, row in shown]
    side = max(tile.size for row in tiles for tile in row)
    gap, head = 8, 22
    count = max(map(len, tiles))
    size = (gap + count * (side[0] + gap), head + len(tiles) * (side[1] + gap + head))
    whole = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(whole)
    for i, (caption, _) in enumerate(shown[0][1]):
        draw.text((gap + i * (side[0] + gap), 4), caption, fill="black", font=font)
    for j, ((title, _), row) in enumerate(zip(shown, tiles, strict=True)):
        y = head + j * (side[1] + gap + head)
        for i, tile in enumerate(row):
            whole.paste(tile, (gap + i * (side[0] + gap), y))
        draw.text((gap, y + side[1] + 3), title, fill="#444444", font=font)
    data = io.BytesIO()
    whole.save(data, "png")
    return data.getvalue()
