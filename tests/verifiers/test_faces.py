"""MTCNN as a verifier: tiny through the public loading path, and as published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from photographs import installed, photograph, seen

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.setup import selection
from noisesearch.testing import VerifierContract
from noisesearch.testing.tiny_packaged import make_faces
from noisesearch.verifiers.packaged.faces import Faces, FacesVerifier, asked_for
from noisesearch.verifiers.packaged.mtcnn import surest
from noisesearch.verifiers.protocol import Views


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"))


def opened(text: str) -> FacesVerifier:
    verifier = selection.verifier_of(text, None)
    assert isinstance(verifier, FacesVerifier)
    return verifier


class TestTiny(VerifierContract):
    @pytest.fixture
    def verifier(self, folder: Path) -> FacesVerifier:
        return opened(f"faces(weights={folder}, count=1)")


def test_a_score_is_how_far_the_number_is_off(folder: Path) -> None:
    image = torch.rand(1, 3, 48, 48, generator=torch.manual_seed(0))
    number = opened(f"faces(weights={folder}, count=any)")(seen(image))["faces"].item()
    assert number >= 1
    for count in (0, 1, 2):
        score = opened(f"faces(weights={folder}, count={count})")(seen(image))["faces"].item()
        assert score == -abs(number - count)
    prompts = [Condition(text=t) for t in ("two women", "a cat")]
    scores = opened(f"faces(weights={folder})")(Views(image.expand(2, 3, 48, 48), prompts))
    assert scores["faces"][0] == -abs(number - 2) and scores["faces"][1].isnan()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("two men and a girl", 3),
        ("a portrait of a woman", 1),
        ("a woman's face", 1),
        ("two portraits, oil on canvas", 2),
        ("3 people on a bench", 3),
        ("A smiling young woman", 1),
        ("two very tall thin men", 2),
        ("two black dogs and three kids", 3),
        ("a red car and a man", 1),
        ("a crowd of people", None),
        ("two cars and men", None),
        ("a cat", None),
        ("a mandolin", None),
        (None, None),
    ],
)
def test_what_a_prompt_asks_for(text: str | None, count: int | None) -> None:
    assert asked_for(text) == count


def test_a_prompt_without_a_number_is_refused_before_a_run(folder: Path) -> None:
    two, cat = Condition(text="two men"), Condition(text="a cat")
    opened(f"faces(weights={folder})").check([two])
    opened(f"faces(weights={folder}, count=any)").check([cat])
    with pytest.raises(ConfigError, match=r"'a cat' says none.*faces\(count=2\)"):
        opened(f"faces(weights={folder})").check([two, cat])


def test_of_boxes_that_overlap_the_surest_stays() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [22, 2, 26, 6]]).float()
    sure = torch.tensor([0.8, 0.9, 0.7, 0.6])
    assert surest(boxes, sure).tolist() == [1, 2, 3]
    assert surest(boxes, sure, of_smaller=True).tolist() == [1, 2]
    assert surest(boxes[:0], sure[:0]).tolist() == []


def test_what_cannot_be_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be a number, prompt or any"):
        opened(f"faces(weights={folder}, count=few)")
    with pytest.raises(ConfigError, match=r"rnet\.pt, onet\.pt.*pip install --no-deps facenet"):
        (tmp_path / "pnet.pt").write_bytes((folder / "pnet.pt").read_bytes())
        opened(f"faces(weights={tmp_path})")
    for name in ("rnet.pt", "onet.pt"):
        (tmp_path / name).write_bytes((folder / "pnet.pt").read_bytes())
    with pytest.raises(ConfigError, match="no whole checkpoint"):
        opened(f"faces(weights={tmp_path})")


@pytest.fixture(scope="module")
def published() -> FacesVerifier:
    installed("facenet_pytorch")
    return Faces(count="any").open()


# Boxes and probabilities are those of facenet-pytorch 2.6.0's own detector.
FOUND = {
    "astronaut.png": [([181.0514, 62.1561, 267.7473, 172.0502], 1.0)],
    "camera.png": [([199.2163, 118.9256, 254.2662, 192.2697], 0.9991)],
    "motorcycle_left.png": [([576.9065, 331.8474, 654.7903, 436.2739], 0.929),
                            ([565.1772, 293.7533, 603.7433, 343.8394], 0.7163)],
    "chelsea.png": [],
    "coffee.png": [],
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_boxes_are_those_of_the_package(name: str, published: FacesVerifier) -> None:
    image = photograph(name)
    with torch.inference_mode():
        boxes, sure = published.network(image[0])
        score = published(seen(image))["faces"].item()
    assert len(boxes) == len(FOUND[name])
    for box, probability, (reference, of_it) in zip(boxes, sure, FOUND[name], strict=True):
        assert box.tolist() == pytest.approx(reference, abs=0.01)
        assert probability.item() == pytest.approx(of_it, abs=1e-4)
    assert score == (name in ("astronaut.png", "camera.png"))
