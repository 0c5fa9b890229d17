"""Photographs that come with scikit-image, for verifiers with real weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.verifiers.protocol import Views


def installed(*modules: str) -> None:
    """Skip, saying so, where one of the packages is not here; they are not imported."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"the package {module} is not installed")


def photograph(name: str, side: int | None = None) -> Tensor:
    """[1, 3, H, W] in [0, 1]; ``side`` of the longer side, where that is smaller."""
    installed("skimage")
    spec = importlib.util.find_spec("skimage")
    assert spec is not None and spec.submodule_search_locations is not None
    with Image.open(Path(spec.submodule_search_locations[0]) / "data" / name) as opened:
        image = opened.convert("RGB")
    if side is not None:
        image.thumbnail((side, side))
    return torch.from_numpy(np.array(image)).movedim(-1, 0)[None].float() / 255


def seen(image: Tensor, text: str | None = None, label: int | None = None) -> Views:
    """One picture and what it should show."""
    return Views(image, [Condition(text=text, label=label)])
