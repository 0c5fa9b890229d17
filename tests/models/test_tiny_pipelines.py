"""Tiny pipelines: the same at every call, from memory and from disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from noisesearch import ConfigError
from noisesearch.testing import tiny_pipeline

# Some classes of diffusers use what others of it deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")
ALL = ["flux", "flux-schnell", "sd3", "sana", "sdxl", "sd", "pixart",
       "sd-pndm", "sd-inpaint", "sd-img2img", "lcm", "auraflow", "lumina2", "chroma", "kandinsky",
       "ltx"]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_tiny_pipelines_are_the_same_from_disk(name: str, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    built, loaded = tiny_pipeline(name), tiny_pipeline(name, tmp_path)
    assert torch.equal(torch.get_rng_state(), before), "the user's generator is left alone"
    assert type(built) is type(loaded)
    for part, module in built.components.items():
        if isinstance(module, torch.nn.Module):
            other = getattr(loaded, part).state_dict()
            assert all(torch.equal(w, other[n]) for n, w in module.state_dict().items()), part
        elif hasattr(module, "get_vocab"):
            text = "a red circle, Purple zebra!"
            assert module(text).input_ids == getattr(loaded, part)(text).input_ids


def test_an_unknown_tiny_pipeline() -> None:
    with pytest.raises(ConfigError, match="did you mean 'flux'"):
        tiny_pipeline("flucks")
