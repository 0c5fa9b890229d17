"""The checker: accepts what was painted as asked, refuses all else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from noisesearch.errors import ConfigError
from noisesearch.worlds.shapes.checker import DetectedThing, check, judge, read
from noisesearch.worlds.shapes.prompts import parse
from noisesearch.worlds.shapes.render import render
from noisesearch.worlds.shapes.scene import PALETTE, Scene, Spec, Thing, ThingGroup, sample_scene

SCRIPT = Path(__file__).parents[2] / "training" / "measure_checker.py"
WHITE = (245, 245, 250)


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    """The measuring script, whose wrong prompts the tests share."""
    spec = importlib.util.spec_from_file_location("measure_checker", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure_checker"] = module
    spec.loader.exec_module(module)
    return module


def seen(shape: str, colour: str, x: float = 0.5, y: float = 0.5) -> DetectedThing:
    return DetectedThing(shape, colour, x, y, 0.3, 1.0)


def paint(*things: Thing, size: int = 32) -> np.ndarray:
    return render(Scene(things, WHITE), size)


def test_error_rates_are_below_one_percent(measure: ModuleType) -> None:
    result = measure.measure_world(300, seed=3)
    assert max(result["true prompt refused"].values()) < 0.01
    for accepted in result["wrong prompt accepted"].values():
        assert max(accepted.values()) < 0.01
    assert min(result["wrong aspect named by the verdict"].values()) > 0.95


def test_easy_vqa_is_named_when_absent(
    measure: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install easy-vqa"):
        measure.measure_easy_vqa("test")


def test_answers_tell_the_truth(measure: ModuleType) -> None:
    assert measure.asserted("is there a blue shape?", "yes") == ["blue"]
    assert measure.asserted("is there a blue shape?", "no") == []
    assert measure.asserted("is no circle present?", "no") == ["circle"]
    assert measure.asserted("what is the red shape?", "circle") == ["red", "circle"]


def test_what_is_read_is_what_was_painted() -> None:
    image = paint(Thing("ring", "teal", 0.3, 0.6, 0.3), Thing("cross", "grey", 0.7, 0.3, 0.35))
    for size, picture in ((32, image), (64, paint(Thing("ring", "teal", 0.3, 0.6, 0.3), size=64))):
        ring = next(thing for thing in read(picture) if thing.shape == "ring")
        assert ring.colour == "teal"
        assert (ring.x, ring.y, ring.size) == pytest.approx((0.3, 0.6, 0.3), abs=0.5 / size)
        assert ring.confidence > 0.7
    assert read(image) == pytest.approx(read(image / 255.0))


@pytest.mark.parametrize(
    "image",
    [
        np.full((32, 32, 3), 255, np.uint8),
        np.zeros((32, 32, 3)),
        np.full((32, 32, 3), PALETTE["red"], np.uint8),
        np.random.default_rng(0).random((32, 32, 3)),
        np.full((32, 32, 3), np.nan),
        np.tile(np.linspace(0, 1, 32)[:, None, None], (1, 32, 3)),
    ],
)
def test_pictures_of_nothing_never_pass(image: np.ndarray) -> None:
    for prompt in ("a circle", "a red circle", "three squares", "a ring above a cross"):
        verdict = check(image, prompt)
        assert not verdict.full and verdict.score < 0.8


def test_an_image_of_another_form_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\(3, 32, 32\)"):
        read(np.zeros((3, 32, 32)))


def test_malformed_things_are_unknown() -> None:
    half = paint(Thing("circle", "red", 0.5, 0.5, 0.4))
    half[:, 16:] = WHITE
    assert [thing.shape for thing in read(half)] == ["unknown"]
    drawn_out = paint(Thing("square", "red", 0.5, 0.5, 0.3)).repeat(2, axis=1)
    assert [thing.shape for thing in read(drawn_out)] == ["unknown"]
    assert [thing.shape for thing in read(drawn_out, max_aspect=3)] == ["square"]
    pink = paint(Thing("circle", "red", 0.5, 0.5, 0.4, rgb=(255, 150, 190)))
    assert [thing.colour for thing in read(pink)] == ["unknown"]


def test_touching_things_are_told_apart() -> None:
    two_colours = paint(
        Thing("square", "red", 0.3, 0.5, 0.36), Thing("square", "blue", 0.62, 0.5, 0.36)
    )
    assert check(two_colours, "a red square left of a blue square").full
    same_colour = paint(
        Thing("circle", "red", 0.3, 0.5, 0.36), Thing("circle", "red", 0.665, 0.5, 0.36)
    )
    assert check(same_colour, "two red circles").full


def test_aspects_fail_one_by_one() -> None:
    asked = parse("a red circle left of two blue squares")
    right = [
        seen("circle", "red", 0.2),
        seen("square", "blue", 0.6),
        seen("square", "blue", 0.8),
    ]
    assert judge(right, asked).full and judge(right, asked).score == 1
    cases = {
        "colour": [seen("circle", "green", 0.2), *right[1:]],
        "shape": [seen("unknown", "red", 0.2), *right[1:]],
        "number": right[:2],
        "relation": [seen("circle", "red", 0.7), *right[1:]],
    }
    for aspect, things in cases.items():
        verdict = judge(things, asked)
        failed = {a for a in cases if not getattr(verdict, a)}
        assert failed == {aspect}
        assert not verdict.full and 0.5 < verdict.score < 1


def test_swapped_colours_are_not_a_full_answer() -> None:
    things = [seen("circle", "blue"), seen("square", "red")]
    assert not judge(things, parse("a red circle and a blue square")).full
    assert judge(things, parse("a blue circle and a red square")).full


def test_things_to_spare_and_none_at_all() -> None:
    ring = parse("a ring")
    assert not judge([seen("ring", "red"), seen("ring", "red")], ring).number
    many = judge([seen("ring", "red")] * 40, ring)
    assert not many.number and many.score < 0.8
    nothing = judge([], ring)
    assert not nothing.full and nothing.score == 0


def test_score_rises_with_what_is_right() -> None:
    spec = Spec((ThingGroup(3, "red", "circle"),))
    scores = [judge([seen("circle", "red")] * count, spec).score for count in range(4)]
    assert scores == sorted(scores) and scores[-1] == 1 and len(set(scores)) == 4


def test_prompt_and_spec_agree() -> None:
    prompt = "two purple diamonds below an orange ring"
    image = render(sample_scene(np.random.default_rng(4), parse(prompt)))
    assert check(image, prompt) == check(image, parse(prompt))
    assert check(image, prompt).full
