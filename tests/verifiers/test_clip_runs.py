"""Whole searches with CLIP's verifiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import noisesearch as ns
from noisesearch.testing import tiny_clip, tiny_pipeline
from noisesearch.verifiers.clip.aesthetic import Aesthetic
from noisesearch.verifiers.clip.scores import ClipScore

pytest.importorskip("transformers")
pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[ClipScore, Aesthetic]:
    """CLIPScore and the aesthetic predictor on one backbone."""
    beauty = tiny_clip.make_aesthetic(tmp_path_factory.mktemp("clip"))
    return ClipScore(weights=beauty.backbone), beauty


@pytest.fixture(scope="module")
def flux() -> Any:
    return tiny_pipeline("flux")


def test_a_search_looks_once_at_each_batch(
    pair: tuple[ClipScore, Aesthetic], flux: Any, tmp_path: Path
) -> None:
    looks: list[int] = []
    tower = pair[0].open().image_tower.network
    hook = tower.register_forward_hook(lambda _, given, kept: looks.append(len(given[0])))
    try:
        found = ns.search(
            "a red circle", model=flux, verifier=list(pair), algorithm="random",
            budget="8candidates", rows=4, seed=3, out=tmp_path / "run",
        )  # fmt: skip
    finally:
        hook.remove()
    assert set(found.winner.parts) == {"clipscore", "aesthetic"}
    assert looks and set(looks) == {4}
    # The winner, and the baseline, were looked at with the others.
    assert sum(looks) == 8
    assert found.ledger["verifiers"]["aesthetic"]["samples"] == 8
    (again,) = ns.resume(tmp_path / "run", model=flux)
    assert again.winner.parts == found.winner.parts


def test_a_search_along_the_gradient(pair: tuple[ClipScore, Aesthetic], flux: Any) -> None:
    """Scores come first, in inference mode; what is kept of them must not stand in its way."""
    found = ns.search(
        "a red circle", model=flux, verifier=pair[0], algorithm=ns.FirstOrder(), budget=40, seed=1
    )
    assert found.ledger["backward"] > 0
    assert found.winner.score >= found.baseline.score
    assert torch.isfinite(torch.tensor(found.winner.score))
