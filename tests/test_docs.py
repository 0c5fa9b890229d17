"""Pages that follow from the code follow from the code of today."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_on_algorithms_is_generated() -> None:
    written = (DOCS / "algorithms.md").read_text("utf-8")
    made = runpy.run_path(str(DOCS / "generate.py"))["algorithms"]()
    assert made == written, "run: python docs/generate.py"


def test_the_node_for_comfyui() -> None:
    """Called as ComfyUI calls nodes and noise, with what its LoadLatent makes of our file."""
    page = (DOCS / "your-own-noise.md").read_text("utf-8")
    (source,) = re.findall(r"```python\n(class Noise:.*?)```", page, re.DOTALL)
    known: dict[str, Any] = {}
    exec(source, known)
    node = known["NODE_CLASS_MAPPINGS"]["NoiseFromLatent"]
    (name,) = node.INPUT_TYPES()["required"]
    samples = torch.randn(1, 4, 8, 8)
    held = load(save({"latent_tensor": samples, "latent_format_version_0": torch.zeros(0)}))
    given = {name: {"samples": held["latent_tensor"].float()}}
    (noise,) = getattr(node(), node.FUNCTION)(**given)
    assert isinstance(noise.seed, int)
    assert torch.equal(noise.generate_noise({"samples": torch.zeros(1, 4, 8, 8)}), samples)
    assert len(node.RETURN_TYPES) == 1
