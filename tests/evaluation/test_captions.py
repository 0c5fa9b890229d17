"""Where prompts of a folder's images are found, and what is said of folders that will not do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from noisesearch import ConfigError
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import Trajectory, nodes
from noisesearch.evaluation.images import of_folder
from noisesearch.files import pictures


def paint(path: Path, size: int = 8, **texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (size, size), "red").save(path, pnginfo=info)
    return path


def test_prompts_of_a_data_set_stand_in_a_table(tmp_path: Path) -> None:
    """JSON lines or CSV, in the folder or above the image; files in any order."""
    for name in ("b.png", "a.png", "deep/c.png"):
        paint(tmp_path / "lines" / name)
        paint(tmp_path / "table" / name)
    rows = [("b.png", "two, b"), ("a.png", "one a"), ("deep/c.png", "class:7")]
    (tmp_path / "lines" / "metadata.jsonl").write_text(
        "\n".join(json.dumps({"file_name": name, "text": prompt}) for name, prompt in rows)
    )
    (tmp_path / "table" / "metadata.csv").write_text(
        "file_name,prompt\n" + "".join(f'{name},"{prompt}"\n' for name, prompt in rows)
    )
    for kind in ("lines", "table"):
        found = of_folder(tmp_path / kind)
        assert [p.name for p in found.paths] == ["a.png", "b.png", "c.png"]
        assert found.prompts == ["one a", "two, b", None]
        assert found.conditions[2] == Condition(label=7)


def test_a_table_with_one_prompt_is_of_all_below_it(tmp_path: Path) -> None:
    """As GenEval keeps images: a folder for each prompt."""
    for number, prompt in enumerate(["a bench", "two clocks"]):
        folder = tmp_path / f"{number:05}"
        for sample in range(2):
            paint(folder / "samples" / f"{sample:04}.png")
        line = {"tag": "single_object", "include": [{"class": "bench"}], "prompt": prompt}
        (folder / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    assert of_folder(tmp_path).prompts == ["a bench", "a bench", "two clocks", "two clocks"]


def test_prompts_in_the_images_themselves(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", prompt="a plain field")
    paint(tmp_path / "b.png", parameters="a cat, sitting\nNegative prompt: dog\nSteps: 20")
    paint(tmp_path / "c.png", prompt=json.dumps({"3": {"class_type": "KSampler"}}))
    paint(tmp_path / "d.png", parameters="a bird\nSteps: 20, Sampler: Euler")
    trajectory = Trajectory.begin(Condition(label=3), gaussian(0), 4).denoise()
    recipe = {"nodes": [{"node": n.key, **n.line()} for n in nodes(trajectory, set())]}
    ours = pictures.png(np.zeros((8, 8, 3), np.uint8), recipe=json.dumps(recipe))
    (tmp_path / "e.png").write_bytes(ours)
    found = of_folder(tmp_path)
    assert found.prompts == ["a plain field", "a cat, sitting", None, "a bird", None]
    assert found.conditions[4] == Condition(label=3) and found.conditions[2] is None


def test_prompts_in_the_names_of_files(tmp_path: Path) -> None:
    """As T2I-CompBench has them; a name without a space says nothing."""
    for name in ("a red circle_000001", "a red circle_000002", "image_000003", "00004"):
        paint(tmp_path / f"{name}.png")
    assert of_folder(tmp_path).prompts == [None, "a red circle", "a red circle", None]


def test_prompts_that_are_given_come_first(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4"):
        paint(tmp_path / f"{name}.png", prompt="other")
    assert of_folder(tmp_path, ["a", "b"]).prompts == ["a", "a", "b", "b"]
    with pytest.raises(ConfigError, match="4 images and --prompts has 3 prompts"):
        of_folder(tmp_path, ["a", "b", "c"])


def test_folders_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none does not exist"):
        of_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no images"):
        of_folder(tmp_path / "empty")
    good, larger = paint(tmp_path / "two" / "a.png"), paint(tmp_path / "two" / "b.png", 9)
    with pytest.raises(ConfigError, match=r"a\.png is 8x8 and b\.png is 9x9"):
        of_folder(good.parent)
    larger.write_text("no picture")
    with pytest.raises(ConfigError, match=r"1 of 2 images cannot be read \(b\.png\)"):
        of_folder(good.parent)
    Image.effect_noise((8, 8), 99).save(larger)
    larger.write_bytes(larger.read_bytes()[:-30])  # its head is whole
    with pytest.raises(ConfigError, match=r"b\.png is broken"):
        of_folder(good.parent).picture(1)
    larger.unlink()
    for text, words in (("{", "cannot be read"), ('{"file_name": "a.png"}', "no prompt in rec")):
        (good.parent / "metadata.jsonl").write_text(text)
        with pytest.raises(ConfigError, match=words):
            of_folder(good.parent)


@pytest.mark.parametrize(
    "recipe",
    [
        {"nodes": 7},
        {"nodes": [7, None, "condition"]},
        {"nodes": {"condition": 1}},
        {"nodes": [{"condition": 7}]},
        {"nodes": [{"condition": {"text": 7}}]},
        {"nodes": [{"condition": {"nosuch": 1}}]},
        {"nodes": [{"condition": {"label": "x"}}]},
    ],
)
def test_a_recipe_that_nobody_wrote_says_nothing(recipe: object, tmp_path: Path) -> None:
    """The next place is looked at, as in a picture without one."""
    paint(tmp_path / "a.png", prompt="a plain field", **{"noisesearch:recipe": json.dumps(recipe)})
    assert of_folder(tmp_path).prompts == ["a plain field"]
