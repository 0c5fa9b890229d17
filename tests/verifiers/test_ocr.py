"""Text in quotes against text that is read: the comparison, and RapidOCR as published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from photographs import installed, photograph, seen
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.files.pictures import Picture
from noisesearch.setup import selection
from noisesearch.testing import VerifierContract
from noisesearch.verifiers.packaged.ocr import Ocr, OcrVerifier, distance, likeness, quoted
from noisesearch.verifiers.protocol import Views


def brightness_read(picture: Picture) -> list[str]:
    """Reads a brightness, with one line of noise before it."""
    return ["~", f"level {int(picture.mean())}"]


class TestComparison(VerifierContract):
    @pytest.fixture
    def verifier(self) -> OcrVerifier:
        return OcrVerifier(brightness_read, "")

    @pytest.fixture
    def conditions(self) -> Sequence[Condition]:
        return [Condition(text=f'a sign that says "level {i}"') for i in range(124, 132)]


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ('a sign "OPEN" above a door', ["OPEN"]),
        ("a sign “OPEN” and „ZU“ and «OUVERT»", ["OPEN", "ZU", "OUVERT"]),
        ("a 'don't walk' isn't ‘it’", ["don't walk", "it"]),
        ("the dog's ball and the cats' toys", []),
        ('a box " " and ""', []),
        ("a cat", []),
        (None, []),
    ],
)
def test_what_is_asked_for(prompt: str | None, texts: list[str]) -> None:
    assert quoted(prompt) == texts


@pytest.mark.parametrize(
    ("asked", "lines", "score"),
    [
        ("Hello World", ["HELLOWORLD"], 1),
        ("open from nine to five", ["Shop", "OPEN", "FROM NINE", "TOFIVE", "2024"], 1),
        ("cafe", ["cofe"], 0.75),
        ("cafe", ["cafeteria"], 4 / 9),
        ("abc", ["xyz"], 0),
        ("abc", [], 0),
        ("ﬁn", ["fin"], 1),
    ],
)
def test_likeness(asked: str, lines: list[str], score: float) -> None:
    assert likeness(asked, lines) == pytest.approx(score)


def test_distance() -> None:
    pairs = {("kitten", "sitting"): 3, ("", "abc"): 3, ("abc", ""): 3, ("flaw", "lawn"): 2}
    assert {pair: distance(*pair) for pair in pairs} == pairs


def test_several_texts_and_none() -> None:
    verifier = OcrVerifier(lambda picture: ["open", "late"], "")
    prompts = ['"open" and "shut"', "a door", '"late"']
    views = Views(torch.zeros(3, 3, 8, 8), [Condition(text=p) for p in prompts])
    both, none, one = verifier(views)["ocr"].tolist()
    assert both == pytest.approx((1 + likeness("shut", ["open", "late"])) / 2)
    assert np.isnan(none) and one == 1
    fixed = OcrVerifier(lambda picture: ["open"], "", text="open")
    assert fixed(views)["ocr"].tolist() == [1, 1, 1]


def test_a_prompt_without_quotes_is_refused_before_a_run() -> None:
    wanted, none = Condition(text='a "door"'), Condition(text="a door")
    OcrVerifier(brightness_read, "").check([wanted])
    OcrVerifier(brightness_read, "", text="open").check([none])
    with pytest.raises(ConfigError, match=r"'a door' has none; quote it"):
        OcrVerifier(brightness_read, "").check([wanted, none])


def test_colours_come_blue_first() -> None:
    got: list[Picture] = []
    verifier = OcrVerifier(lambda picture: got.append(picture) or [], "", text="x")
    verifier(seen(torch.tensor([1.0, 0.5, 0]).view(1, 3, 1, 1)))
    assert got[0].tolist() == [[[0, 128, 255]]]


def test_without_the_package_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"run: pip install 'noisesearch\[ocr\]'"):
        selection.verifier_of("ocr", None)


@pytest.fixture(scope="module")
def published() -> OcrVerifier:
    installed("rapidocr_onnxruntime", "onnxruntime", "cv2")
    return Ocr().open()


def painted(text: str) -> Tensor:
    image = Image.new("RGB", (448, 224), (230, 230, 210))
    font = ImageFont.load_default(40)
    ImageDraw.Draw(image).multiline_text((30, 30), text, fill=(10, 10, 80), font=font)
    return torch.from_numpy(np.array(image)).movedim(-1, 0)[None].float() / 255


@pytest.mark.parametrize("text", ["HELLO WORLD", "Noise 42", "OPEN\nFROM NINE\nTO FIVE"])
def test_painted_text_is_read(text: str, published: OcrVerifier) -> None:
    asked = f"a wall with “{text}” on it"
    assert published(seen(painted(text), asked))["ocr"].item() == 1
    assert published(seen(painted("QX" + text[2:]), asked))["ocr"].item() < 1


def test_photographs(published: OcrVerifier) -> None:
    asked = "a page that says 'Region-based segmentation'"
    assert published(seen(photograph("page.png"), asked))["ocr"].item() == 1
    assert published(seen(photograph("coffee.png"), asked))["ocr"].item() == 0
