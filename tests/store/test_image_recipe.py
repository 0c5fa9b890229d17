"""Pictures that say how they were made, and are made again from that alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import noisesearch as ns
from noisesearch import ConfigError, StoreError
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.files import pictures
from noisesearch.runs.remake import remake
from noisesearch.store.picture_recipe import MOST, RECIPE, Pictured, fields_of
from noisesearch.testing import MixtureModel


def made(folder: Path, **settings: Any) -> ns.Result:
    common: dict[str, Any] = {"budget": "9candidates", "rows": 4, "algorithm": "zero-order"}
    return ns.search("a «red» circle", model=MixtureModel(), verifier="ensemble", out=folder,
                     **{**common, **settings})  # fmt: skip


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ns.Result:
    return made(tmp_path_factory.mktemp("recipe") / "run")


@pytest.fixture
def alone(result: ns.Result, tmp_path: Path) -> Path:
    """The winner's picture, far from its run."""
    result.winner.save(tmp_path / "winner.png")
    return tmp_path / "winner.png"


def test_what_a_picture_says(result: ns.Result, alone: Path) -> None:
    known = Pictured.read(alone)
    assert known.trajectory.key == result.winner.trajectory
    assert known.trajectory.condition == result.condition
    assert known.folder is None and known.parts == {}
    said = known.about()
    assert said["condition"] == "a «red» circle"
    assert "scores" not in said
    assert json.loads(json.dumps(known.json()))["recipe"][-1]["node"] == result.winner.trajectory


def test_in_its_run_it_has_scores(result: ns.Result) -> None:
    for candidate in result.candidates:
        assert candidate.path is not None
        assert Pictured.read(candidate.path).parts == candidate.parts
    best = Pictured.read(result.run / "best.png")
    assert best.parts == result.winner.parts
    assert f"brightness {result.winner.parts['brightness']:.3f}" in best.about()["scores"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"algorithm": "paths", "parameters": {"paths": 2, "width": 2}, "budget": 200},
        {"solver": "ddim-ancestral"},
        {"steps": 4, "final_steps": 9},
        {"negative": "blue"},
    ],
    ids=["zero-order", "paths", "stochastic", "finished elsewhere", "negative"],
)
def test_made_again_from_the_file_alone(settings: dict[str, Any], tmp_path: Path) -> None:
    result = made(tmp_path / "run", **settings)
    result.winner.save(tmp_path / "winner.png")
    wanted = result.winner.pixels
    shutil.rmtree(tmp_path / "run")
    done = remake(tmp_path / "winner.png", tmp_path / "again.png", MixtureModel())
    assert done.pixels == 0.0
    assert np.array_equal(pictures.read(done.file), wanted)
    assert pictures.texts(done.file) == pictures.texts(tmp_path / "winner.png")


def test_the_enlarged_best_is_the_same_picture(result: ns.Result, tmp_path: Path) -> None:
    best = result.run / "best.png"
    assert pictures.read(best).shape != result.winner.pixels.shape
    assert remake(best, tmp_path / "again.png", MixtureModel()).pixels == 0.0


def test_a_changed_picture_is_found_out(alone: Path, tmp_path: Path) -> None:
    pixels = pictures.read(alone).copy()
    pixels[0, 0, 0] ^= 8
    alone.write_bytes(pictures.png(pixels, **pictures.texts(alone)))
    assert remake(alone, tmp_path / "again.png", MixtureModel()).pixels == 8.0
    alone.write_bytes(pictures.png(pixels[:3, :2], **pictures.texts(alone)))
    assert remake(alone, tmp_path / "again.png", MixtureModel()).pixels is None


def test_gradients_need_the_run(tmp_path: Path) -> None:
    """Their arrays are in the run folder, which is said."""
    result = made(tmp_path / "run", algorithm="first-order", budget=300)
    assert result.winner.trajectory != result.baseline.trajectory
    result.winner.save(tmp_path / "winner.png")
    with pytest.raises(StoreError, match="its run folder alone has"):
        remake(tmp_path / "winner.png", tmp_path / "again.png", MixtureModel())
    assert not (tmp_path / "again.png").exists()
    inside = result.winner.path
    assert inside is not None
    assert remake(inside, tmp_path / "again.png", MixtureModel()).pixels == 0.0


def test_a_long_recipe_is_left_to_the_journal(result: ns.Result, tmp_path: Path) -> None:
    """Readers of PNG refuse long texts: a picture must open after any number of rounds."""
    known = Pictured.read(result.run / "best.png")

    def rounds(count: int) -> Trajectory:
        noise = ns.gaussian(0)
        for i in range(count):
            noise = ns.neighbour(noise, 2**63 + i, 0.95)
        return Trajectory.begin(Condition("x"), noise, 8).denoise()

    picture = np.zeros((2, 2, 3), np.uint8)
    for count, whole in ((1000, True), (10_000, False)):
        said = fields_of(rounds(count), known.spec)
        assert (RECIPE in said) is whole
        file = tmp_path / "long.png"
        file.write_bytes(pictures.png(picture, **said))
        assert pictures.texts(file) == said
        assert file.stat().st_size < MOST / 4
    with pytest.raises(ConfigError, match=r"names its trajectory .* in the journal"):
        Pictured.read(tmp_path / "long.png")


def test_one_without_a_recipe_reads_its_run(result: ns.Result) -> None:
    """As pictures of long recipes are, and those of runs before there were recipes in them."""
    candidate = result.candidates[-1]
    assert candidate.path is not None
    other = result.run / "samples" / "other.png"
    other.write_bytes(pictures.png(candidate.pixels, trajectory=candidate.trajectory))
    try:
        known = Pictured.read(other)
    finally:
        other.unlink()
    assert known.lines == Pictured.read(candidate.path).lines


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """The same picture with another recipe."""

    def write(file: Path) -> None:
        said = pictures.texts(file)
        recipe = json.loads(said[RECIPE])
        change(recipe)
        text = {**said, RECIPE: json.dumps(recipe)}
        file.write_bytes(pictures.png(pictures.read(file), **text))

    return write


def resaved(file: Path) -> None:
    Image.open(file).convert("RGB").copy().save(file, pnginfo=PngInfo())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (resaved, "carries no recipe"),
        (lambda file: file.write_bytes(b"no picture"), "cannot be read .*no picture"),
        (rewritten(lambda r: r.pop("nodes")), "recipe in .* cannot be read"),
        (rewritten(lambda r: r["nodes"].pop()), "no trajectory with key"),
        (rewritten(lambda r: r["nodes"][0].update(numbers=[7])), "does not match its content"),
        (rewritten(lambda r: r["settings"].pop("steps")), "settings in .* cannot be read"),
        (rewritten(lambda r: r["settings"].update(guidance="x")), "settings in .* cannot be read"),
    ],
)
def test_files_that_cannot_be_read(
    alone: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(alone)
    with pytest.raises(ConfigError, match=words):
        Pictured.read(alone)


def test_of_a_sheet_its_pictures_are_named(tmp_path: Path) -> None:
    """Of a run with several conditions best.png is one; what is named can be read."""
    results = ns.search(["red", "blue"], model=MixtureModel(), verifier="brightness", rows=4,
                        budget="2candidates", out=tmp_path / "run")  # fmt: skip
    with pytest.raises(ConfigError, match="shows several pictures") as refusal:
        Pictured.read(tmp_path / "run/best.png")
    named = str(refusal.value).partition("give one: ")[2].split(", ")
    assert {Pictured.read(Path(n)).trajectory.key for n in named} == {
        r.winner.trajectory for r in results
    }


def test_a_picture_starts_no_code(alone: Path, tmp_path: Path) -> None:
    """A file may come from anybody: what it names as a model is not imported."""
    (tmp_path / "bad.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nModel = None\n")
    name = f"{tmp_path / 'bad.py'}:Model"
    rewritten(lambda r: r["settings"].update(model=name, objects={}))(alone)
    with pytest.raises(ConfigError, match=r"must not start any.*--model"):
        remake(alone, tmp_path / "again.png")
    rewritten(lambda r: r["settings"].update(model="shapes", solver=name))(alone)
    with pytest.raises(ConfigError, match=r"a solver that is code .*must not start any"):
        remake(alone, tmp_path / "again.png", MixtureModel())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: None, r"noisesearch.remake\(.*model="),
        (lambda s: s.update(version="0.0.1"), "pip install noisesearch==0.0.1"),
        (lambda s: s.update(objects={}, model="shapes"), "other weights"),
    ],
    ids=["object", "version", "weights"],
)
def test_what_cannot_be_made_again(
    alone: Path, change: Callable[[dict[str, Any]], object], words: str, tmp_path: Path
) -> None:
    rewritten(lambda r: change(r["settings"]))(alone)
    with pytest.raises((ConfigError, StoreError), match=words):
        remake(alone, tmp_path / "again.png")
    assert not (tmp_path / "again.png").exists()


def test_out_is_another_png(alone: Path) -> None:
    with pytest.raises(ConfigError, match="the picture itself"):
        remake(alone, alone, MixtureModel())
    with pytest.raises(ConfigError, match=r"written as \.png"):
        remake(alone, alone.with_suffix(".jpg"), MixtureModel())


def test_saved_as_png_or_not_at_all(result: ns.Result, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"image\.save"):
        result.winner.save(tmp_path / "winner.jpg")
