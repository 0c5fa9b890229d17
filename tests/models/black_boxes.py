"""What the tests of black boxes share: an image, a mask, a snapshot of a pipeline."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from PIL import Image

from noisesearch.models.pipelines import from_object

IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
MASK = Image.fromarray(np.where(np.arange(32)[:, None] > 12, 255, 0).repeat(32, 1).astype("uint8"))
GIVEN: dict[str, dict[str, Any]] = {
    "sd-inpaint": {"image": IMAGE, "mask": MASK},
    "sd-img2img": {"image": IMAGE, "strength": 0.6},
}


def snapshot(pipeline: Any) -> dict[str, Any]:
    """All that a call could have changed about a pipeline."""
    modules = {n: m for n, m in pipeline.components.items() if isinstance(m, torch.nn.Module)}
    inner = [m for module in modules.values() for m in module.modules()]
    schedulers = {n: s for n, s in pipeline.components.items() if hasattr(s, "set_timesteps")}
    return {
        "own": {n: id(v) for n, v in vars(pipeline).items()},
        "config": dict(pipeline.config),
        "weights": from_object(pipeline).fingerprint,
        "schedulers": {n: (type(s), repr(sorted(vars(s).items()))) for n, s in schedulers.items()},
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in inner],
        "forwards": [vars(m).get("forward") for m in inner],
        "modes": [m.training for m in inner],
        "places": [(p.device, p.dtype, p.requires_grad) for m in inner for p in m.parameters()],
        "bar": copy.copy(getattr(pipeline, "_progress_bar_config", None)),
        "draws": torch.get_rng_state().tolist(),
    }
