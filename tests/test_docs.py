"""Pages that follow from the code follow from the code of today."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

DOCS = Path(__file__).parents[1] / "docs"


def test_pages_that_follow_from_the_code() -> None:
    pages = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]
    for name, made in pages.items():
        assert made() == (DOCS / name).read_text("utf-8"), f"{name}: run python docs/generate.py"


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for name in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(name)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run([*command, DOCS, tmp_path / "site", "-d", tmp_path / "cache"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "Search for a better image of each condition" in (
        tmp_path / "site" / "api.html"
    ).read_text("utf-8")


def test_every_page_is_in_the_tree() -> None:
    tree = (DOCS / "index.md").read_text("utf-8").splitlines()
    pages = {str(p.relative_to(DOCS).with_suffix("")) for p in DOCS.rglob("*.md")}
    assert pages - {"index"} == {line for line in tree if line in pages}


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
