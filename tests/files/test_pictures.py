"""Sheets of baselines and winners."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from noisesearch.files.pictures import SEEN, Row, sheet
from noisesearch.files.pictures import _fitted as fitted


def drawn(side: int, count: int) -> Image.Image:
    """A sheet of so many conditions, baselines black and winners white."""
    black = np.zeros((side, side, 3), np.uint8)
    row: Row = ("a prompt", black, "baseline 1.00", black + 255, "winner 2.00 (+1.00)")
    return Image.open(io.BytesIO(sheet([row] * count)))


def share_of_black(image: Image.Image) -> float:
    return float((np.array(image.convert("L")) == 0).mean())


def test_large_pictures_of_many_conditions_fit_into_a_viewer() -> None:
    """Three hundred of 1024 pixels were a sheet of 680 million pixels."""
    image = drawn(1024, 24)
    assert image.width * image.height < 40e6
    assert share_of_black(image) > 0.3, "the pictures are still most of it"


def test_few_are_shown_as_they_are() -> None:
    image = drawn(1024, 1)
    assert (np.array(image.convert("L")) == 0).sum() >= 1024 * 1024


def test_small_ones_are_enlarged_however_many() -> None:
    image = drawn(32, 300)
    assert (np.array(image.convert("L")) == 0).sum() >= 300 * SEEN * SEEN


def test_a_title_as_long_as_a_book() -> None:
    """It is measured a few times and in part: letter by letter, ten thousand took minutes."""
    measured: list[int] = []

    class Font:
        def getlength(self, text: str) -> float:
            measured.append(len(text))
            return 7.0 * len(text)

    found = fitted("word " * 100_000, Font(), 350)  # type: ignore[arg-type]
    assert found == ("word " * 10)[:49] + "…"
    assert len(measured) < 20 and max(measured) <= 4 * 350
    assert fitted("a\nb", Font(), 350) == "a b"  # type: ignore[arg-type]
    assert fitted("wide", Font(), 3) == "…"  # type: ignore[arg-type]
