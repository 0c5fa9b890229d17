"""Parts that a verifier reports beside the one that it is chosen for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import Tensor

import noisesearch as ns
from noisesearch.verifiers.protocol import Views


class Bright:
    """Says how bright an image is, and besides, ten times over, how dark."""

    name = "bright"
    parts = ("bright", "bright.dark")
    reported = ("bright.dark",)
    scale: Mapping[str, float] = {"bright": 1.0, "bright.dark": 1.0}
    differentiable = False
    rows = None
    fingerprint = ""

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        bright = views.images.mean((1, 2, 3))
        return {"bright": bright, "bright.dark": -10 * bright}


@pytest.mark.parametrize("objective", ["", "part(bright.dark)"])
def test_they_are_wanted_only_where_they_are_named(objective: str, tmp_path: Path) -> None:
    result = ns.search(
        "a red circle", model="shapes-small", verifier=Bright(), algorithm=ns.RandomSearch(),
        objective=objective, budget="4candidates", steps=2, out=tmp_path,
    )  # fmt: skip
    part = "bright.dark" if objective else "bright"
    assert result.winner.score == result.winner.parts[part] > result.baseline.parts[part]
    assert set(result.winner.parts) == {*Bright.parts}
