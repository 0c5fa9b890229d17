"""Painting: right colours in right places, smooth edges, equal visual sizes."""

from __future__ import annotations

import numpy as np
import pytest

from noisesearch.worlds.shapes.render import coverage, render
from noisesearch.worlds.shapes.scene import PALETTE, SHAPES, Scene, Thing

WHITE = (250, 250, 250)


def area(shape: str, size: float, pixels: int = 32) -> float:
    axis = np.arange(pixels) + 0.5 - pixels / 2
    return float(coverage(shape, axis, axis[:, None], size).sum())


def test_colours_and_places() -> None:
    scene = Scene(
        (
            Thing("circle", "red", 0.25, 0.25, 0.3),
            Thing("square", "blue", 0.75, 0.75, 0.3, rgb=(1, 2, 3)),
        ),
        WHITE,
    )
    image = render(scene)
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    assert tuple(image[8, 8]) == PALETTE["red"]
    assert tuple(image[24, 24]) == (1, 2, 3)  # y downwards, and the thing's own colour
    assert tuple(image[2, 30]) == WHITE
    assert (render(scene) == image).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_size_follows_the_image(shape: str) -> None:
    assert area(shape, 32, 128) / 16 == pytest.approx(area(shape, 8, 32), rel=0.04)


def test_filled_shapes_are_of_similar_area() -> None:
    areas = [area(shape, 12) for shape in ("circle", "square", "triangle", "diamond")]
    assert max(areas) / min(areas) < 1.4


def test_a_small_ring_has_a_hole() -> None:
    image = render(Scene((Thing("ring", "black", 0.5, 0.5, 8 / 32),), WHITE)).astype(int)
    assert image[15:17, 15:17].min() > 240  # the hole
    assert image[16, 12:14].min() < 60  # the band


def test_edges_are_smooth() -> None:
    image = render(Scene((Thing("circle", "black", 0.5, 0.5, 0.4),), WHITE))
    assert len(np.unique(image[..., 0])) > 5
