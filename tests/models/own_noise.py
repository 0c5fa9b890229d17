"""Quick searches on tiny pipelines, and how much two pictures differ."""

from __future__ import annotations

from typing import Any

import numpy as np

import noisesearch as ns
from noisesearch.testing.mixture_model import brightness

ALL = ["flux", "flux-schnell", "sd3", "sana", "sdxl", "sd", "pixart"]
PROMPTS = ["a red circle", "two blue squares"]


def differ(a: Any, b: Any) -> int:
    """The largest difference of two pictures, of 255."""
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max())


def search(prompts: Any, model: Any, **settings: Any) -> Any:
    common = {"verifier": brightness(), "budget": "3candidates", "dtype": "float32",
              "algorithm": "random"}  # fmt: skip
    return ns.search(prompts, model=model, **{**common, **settings})
