"""`evaluate` as its users run it: the table, the JSON, the file, and one sentence for mistakes."""

from __future__ import annotations

import json

import numpy as np
from command_line import Tool
from PIL import Image


def test_a_folder_of_anybodys_images(tool: Tool) -> None:
    (tool.cwd / "images").mkdir()
    draw = np.random.default_rng(0)
    for i in range(6):
        pixels = draw.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tool.cwd / "images" / f"a red circle_{i:06}.png")
    measured = ["evaluate", "images", "--metrics", "vivid.py:vivid"]
    table, written, wrong, broken = tool.batch(
        measured,
        [*measured, "--json", "--out", "figures.json"],
        [*measured, "--prompts", "vivid.py"],
        ["evaluate", "none", "--metrics", "fid"],
    )
    assert table.status == 0, table.err
    assert "images (6)" in table.out and "vivid" in table.out and "diversity" in table.out
    assert "features: pixels" in table.out and "recall is not measured" in table.err
    content = written.json()
    assert content == json.loads((tool.cwd / "figures.json").read_text())
    (found,) = content["sets"]
    each = [image["vivid"] for image in found["each"]]
    assert [image["prompt"] for image in found["each"]] == ["a red circle"] * 6
    assert abs(found["figures"]["vivid"]["mean"] - sum(each) / 6) < 1e-9
    assert isinstance(found["figures"]["diversity"], float)
    wrong.refused("6 images and --prompts has")
    broken.refused("none does not exist")
