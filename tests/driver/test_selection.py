"""Winners that are good and unlike each other."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.driver.winners import thumbnail, unlike
from noisesearch.files.pictures import read
from noisesearch.testing import MixtureModel

MANY = [Trajectory.begin(Condition(), gaussian(i), 2).denoise() for i in range(40)]


def grey(levels: list[int]) -> Any:
    """A picture of one grey for each of the first trajectories."""
    return dict(zip(MANY, [np.full((16, 16, 3), v, np.uint8) for v in levels], strict=False))


def test_the_best_and_those_farthest_from_what_is_taken() -> None:
    """By hand: 100 is taken first, then 10 (90 away), then 160 (60 away), then 55 (45)."""
    shown = grey([100, 101, 160, 99, 10, 98, 55, 97])
    taken = unlike(MANY[:8], 4, shown.get)
    assert taken == [0, 2, 4, 6], "best first"
    assert unlike(MANY[:8], 1, shown.get) == [0]
    assert unlike(MANY[:3], 4, shown.get) == [0, 1, 2]


def test_only_the_best_quarter_is_good() -> None:
    levels = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109] + [0, 255] * 15
    taken = unlike(MANY, 2, grey(levels).get)
    assert taken == [0, 9]


def test_without_pictures_the_best_come_as_they_are() -> None:
    shown = grey([100, 0, 255])
    assert unlike(MANY[:8], 3, shown.get) == [0, 1, 2]


@pytest.mark.parametrize("shape", [(32, 32, 3), (5, 13, 3), (1, 1, 3), (64, 48, 3)])
def test_a_thumbnail_keeps_the_mean_colours(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    small = thumbnail(picture).reshape(min(8, shape[0]), min(8, shape[1]), 3)
    if shape == (32, 32, 3):
        assert np.allclose(small[2, 5], picture[8:12, 20:24].reshape(-1, 3).mean(0))
    assert small.min() >= picture.min() and small.max() <= picture.max()
    if shape[0] <= 8:
        assert small.shape[0] == shape[0]


def apart(paths: list[Path]) -> float:
    small = [thumbnail(read(path)) for path in paths]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(small, 2))


def test_top_four_are_further_apart_than_the_four_best(tmp_path: Path) -> None:
    """Zero-order's best are neighbours of one pivot: catches winners that are all the same."""
    out = tmp_path / "run"
    results = ns.search(["one", "two", "three"], model=MixtureModel(), verifier="brightness",
                        budget="48candidates", top=4, rows=4, out=out)  # fmt: skip
    for result in results:
        ranked = sorted(result.candidates, key=lambda c: -c.score)
        assert len(result.winners) == 4
        assert result.winner.score == ranked[0].score
        good = {c.trajectory for c in ranked[:12]}
        assert {w.trajectory for w in result.winners} <= good
        scores = [w.score for w in result.winners]
        assert scores == sorted(scores, reverse=True)
        plain, unlike_ = ([c.path for c in of] for of in (ranked[:4], result.winners))
        assert apart(unlike_) > apart(plain)
    again = ns.resume(out, model=MixtureModel())
    assert again.json()["searches"][0]["winners"] == results.json()["searches"][0]["winners"]
    swept = ns.search(["one", "two", "three"], model=MixtureModel(), verifier="brightness",
                      budget="48candidates", top=4, rows=4, keep="winners",
                      out=tmp_path / "swept")  # fmt: skip
    keys = [[w.trajectory for w in r.winners] for r in swept]
    assert keys == [[w.trajectory for w in r.winners] for r in results]
    assert len(list((tmp_path / "swept" / "samples").glob("*.png"))) <= 3 * 5
    resumed = ns.resume(tmp_path / "swept", model=MixtureModel())
    assert [[w.trajectory for w in r.winners] for r in resumed] == keys, "the pictures are gone"
