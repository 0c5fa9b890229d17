"""T2I-CompBench's metrics of sets of images: real tiny networks, and what they are asked."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from picture_sets import Pictures, noise

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.evaluation.compbench import detectors, networks, words
from noisesearch.evaluation.compbench.detections import Box, Detection
from noisesearch.evaluation.compbench.metrics import Attributes, Complex, Numeracy, Spatial
from noisesearch.evaluation.compbench.numeracy import tokens
from noisesearch.evaluation.compbench.words import Chunk, Parsed, Word
from noisesearch.evaluation.protocol import check
from noisesearch.files.pictures import Picture
from noisesearch.names.options import settings
from noisesearch.testing.tiny_blip import make_vqascore
from noisesearch.testing.tiny_clip import make_clipscore
from noisesearch.verifiers.protocol import Views
from noisesearch.verifiers.vqa.vqascore import VqaScore
from support.tiny_detectors import LABELS, make_asked_detector, make_detector

PROMPTS = ("a red dog and a blue cat", "a green chair", "a dog on the left of a cat", "sunshine")
PLACES = ("dog", "cat", "chair", "lamp")  # the nouns that the tagger of these tests knows
COLORS = ("red", "green", "blue")


def parse(prompt: str) -> Parsed:
    """What a tagger finds in such prompts: a noun, and what stands before it from its article."""
    texts, chunks = tokens(prompt), []
    for i, text in enumerate(texts):
        if text in PLACES:
            start = max(k for k in range(i) if texts[k].lower() == "a")
            chunks.append(Chunk(" ".join(texts[start : i + 1]), text, start))
    kinds = {**dict.fromkeys(PLACES, "NOUN"), **dict.fromkeys(COLORS, "ADJ")}
    return Parsed(tuple(Word(text, kinds.get(text, "X")) for text in texts), tuple(chunks))


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "parser", lambda model: parse)


@dataclass(frozen=True)
class Found:
    """A detector that finds what it was given, whatever the picture; ``asked`` keeps for what."""

    detections: Sequence[Detection]
    labels: frozenset[str] | None = None
    fingerprint: str = ""
    asked: list[list[str]] = field(default_factory=list)

    def __call__(self, picture: Picture, wanted: Sequence[str]) -> list[Detection]:
        self.asked.append(list(wanted))
        return list(self.detections)


Finding = Callable[..., Found]


@pytest.fixture
def finding(monkeypatch: pytest.MonkeyPatch) -> Finding:
    """Puts such a detector in the place of all."""

    def put(*things: tuple[str, Box], labels: frozenset[str] | None = None) -> Found:
        found = Found([Detection(label, box, 0.8) for label, box in things], labels)
        monkeypatch.setattr(detectors, "opened", lambda *of: found)
        return found

    return put


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("networks")
    make_clipscore(place / "clip")
    return {
        "blip": make_vqascore(place / "blip"),
        "own": make_detector(place / "own"),
        "asked": make_asked_detector(place / "asked"),
        "clip": place / "clip",
    }


def test_a_detector_with_labels_of_its_own(folders: dict[str, Path]) -> None:
    """The boxes and probabilities that its network gives, in pixels of the picture."""
    detector = detectors.opened(str(folders["own"]), 0.3, "cpu")
    assert detector.labels == set(LABELS)
    [picture] = noise([None]).pictures
    got = detector(picture, [])
    inputs = detector.processor(images=picture, return_tensors="pt")  # type: ignore[attr-defined]
    with torch.inference_mode():
        seen = detector.network(**inputs)  # type: ignore[attr-defined]
    sure, label = seen.logits[0].softmax(-1)[:, :-1].max(-1)
    wanted = sorted((round(float(s), 5), LABELS[n]) for s, n in zip(sure, label, strict=True)
                    if s > 0.3)[::-1]  # fmt: skip
    assert wanted and [(round(each.score, 5), each.label) for each in got] == wanted
    x, y, width, height = seen.pred_boxes[0][sure.argmax()].tolist()
    assert got[0].box == pytest.approx(
        (48 * (x - width / 2), 40 * (y - height / 2), 48 * (x + width / 2), 40 * (y + height / 2)),
        abs=1e-3,
    )


def test_a_detector_that_is_told_what_to_look_for(folders: dict[str, Path]) -> None:
    detector = detectors.opened(str(folders["asked"]), 0.0, "cpu")
    [picture] = noise([None]).pictures
    assert detector.labels is None and detector(picture, []) == []
    got = detector(picture, ["dog", "lamp"])
    assert {each.label for each in got} <= {"dog", "lamp"} and got
    assert [each.score for each in got] == sorted((e.score for e in got), reverse=True)
    for i, one in enumerate(got):
        assert all(detectors._share(one, other) <= detectors.SAME or one.label != other.label
                   for other in got[:i])  # fmt: skip


@pytest.mark.parametrize(("make", "said"), [
    (lambda place: place / "nothing", "no folder .*nothing with a detector; give a folder"),
    (lambda place: place, "cannot be opened by transformers as a detector"),
    (lambda place: make_vqascore(place), "cannot be opened by transformers as a detector"),
])  # fmt: skip
def test_what_is_no_detector(make: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        detectors.opened(str(make(tmp_path)), None, "cpu")


def test_a_detector_without_all_its_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for path in folders["own"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.safetensors"
    kept = {k: v for k, v in load_file(weights).items() if "bbox_predictor" not in k}
    save_file(kept, weights, {"format": "pt"})
    with pytest.raises(ConfigError, match=r"no whole detector: it lacks 6 weights \(bbox_pred"):
        detectors.opened(str(tmp_path), None, "cpu")


def metric(kind: type, folders: dict[str, Path], **more: Any) -> Any:
    """With the tiny networks, on the processor."""
    of = {"blip": folders["blip"], "detector": folders["own"], "clip": folders["clip"], **more}
    fields = kind.model_fields  # type: ignore[attr-defined]
    given = {name: str(value) for name, value in of.items() if name in fields}
    return settings("metric", kind.name, kind, {**given, "device": "cpu"})  # type: ignore[attr-defined]


@pytest.mark.usefixtures("tagger")
def test_attributes(folders: dict[str, Path]) -> None:
    """The product of BLIP-VQA's probabilities of yes to each noun; without a noun 1."""
    images = noise(PROMPTS, ((40, 48), (32, 32)))
    of = metric(Attributes, folders)
    check([of], images)
    got = of.measure(images)["compbench-attribute"]

    def yes(i: int, question: str) -> float:
        verifier = VqaScore(weights=str(folders["blip"]), question=question, against="no").open()
        picture = torch.from_numpy(images.picture(i)).movedim(-1, 0)[None] / 255
        views = Views(picture.repeat(networks.ROWS, 1, 1, 1), [Condition()] * networks.ROWS)
        with torch.inference_mode():
            return float(verifier(views)["vqascore"][0])

    wanted = [
        yes(0, "a red dog?") * yes(0, "a blue cat?"),
        yes(1, "a green chair?"),
        yes(2, "a dog?") * yes(2, "a cat?"),
        1.0,
    ]
    assert got == pytest.approx(wanted, abs=1.1e-4)
    assert all(round(score, 4) == score for score in got)
    exact = metric(Attributes, folders, fixed=True).measure(images)["compbench-attribute"]
    assert exact[:3] == pytest.approx(wanted[:3], abs=1e-6) and math.isnan(exact[3])


@pytest.mark.usefixtures("tagger")
def test_a_picture_scores_alone_as_among_others(folders: dict[str, Path]) -> None:
    images = noise([PROMPTS[i % 3] for i in range(11)])
    for kind in (Attributes, Spatial):
        of = metric(kind, folders, fixed=True)
        together = of.measure(images)[of.name]
        for i in (0, 5, 10):
            alone = Pictures([images.picture(i)], [images.prompts[i]])
            assert of.measure(alone)[of.name] == [together[i]]


@pytest.mark.usefixtures("tagger")
def test_places_are_measured_in_the_published_frame(finding: Finding) -> None:
    """Pixels of a large picture are not those that 150 is meant in."""
    finding(("dog", (0.0, 0.0, 100.0, 100.0)), ("cat", (300.0, 300.0, 400.0, 400.0)))
    near = ["a dog near a cat"] * 2
    small, large = (np.zeros((side, side, 3), np.uint8) for side in (479, 1024))
    got = Spatial().measure(Pictures([small, large], near))["compbench-spatial"]
    assert got == pytest.approx([0.4 + 0.5 * 150 / 300, 0.4 + 0.5])


@pytest.mark.usefixtures("tagger")
def test_nouns_that_the_detector_does_not_know_are_counted(finding: Finding) -> None:
    images = noise(["a dog near a cat", "a dog near a lamp", "a dog near a chair"])
    asked = finding(labels=frozenset({"dog", "cat", "dining chair"})).asked
    assert Spatial().measure(images)["compbench-spatial.unknown"] == 2
    assert asked == [["cat", "dog"], ["dog", "lamp"], ["chair", "dog"]]
    assert Spatial(fixed=True).measure(images)["compbench-spatial.unknown"] == 1
    finding()
    assert Spatial().measure(images)["compbench-spatial.unknown"] == 0


def test_numbers(finding: Finding, tmp_path: Path) -> None:
    (tmp_path / "new_objects.txt").write_text("dog - dogs\nboy - boys\ncar - cars")
    boxes = [(float(i), 0.0, float(i + 10), 10.0) for i in (0, 20, 40)]
    images = noise(["two dogs and a boy", "three cars", "silence"])
    found = finding(("dog", boxes[0]), ("dog", boxes[1]), ("person", boxes[2]),
                    labels=frozenset({"dog", "person", "carrot"}))  # fmt: skip
    got = Numeracy(prompts=str(tmp_path)).measure(images)
    assert got["compbench-numeracy"][:2] == [1.0, 0.0]  # type: ignore[index]
    assert math.isnan(got["compbench-numeracy"][2])  # type: ignore[index]
    assert found.asked == [["dog", "person"], ["car"], []]
    assert got["compbench-numeracy.unknown"] == 0  # a carrot is a car, as published
    fixed = Numeracy(prompts=str(tmp_path), fixed=True).measure(images)
    assert fixed["compbench-numeracy.unknown"] == 1


@pytest.mark.usefixtures("tagger")
def test_complex_prompts(folders: dict[str, Path], tmp_path: Path) -> None:
    """Each part is the other metric's, and each prompt has the mean of its own parts."""
    prompts = (
        "A green chair near a dog. And more",
        "a red dog and a blue cat",
        "a dog near a cat",
    )
    (tmp_path / "complex_val_spatial.txt").write_text("a green chair near a dog.\n")
    (tmp_path / "complex_val_action.txt").write_text("A red dog and a blue cat.")
    images = noise(prompts)
    of = metric(Complex, folders, prompts=tmp_path, threshold=0.2)
    check([of], images)
    got = of.measure(images)
    attribute, places, action = (got[f"compbench-complex.{part}"]
                                 for part in ("attribute", "spatial", "action"))  # fmt: skip
    assert attribute == metric(Attributes, folders).measure(images)["compbench-attribute"]
    apart = metric(Spatial, folders, threshold=0.2, complex=True)
    assert places == apart.measure(images)["compbench-spatial"]
    clip = networks.Cosine.opened(str(folders["clip"]))
    bare = ["A chair near a dog . And more", "a dog and a cat", "a dog near a cat"]
    assert action == networks.scored(clip, images, bare, "cpu")
    assert all(-1 <= cosine <= 1 for cosine in action) and len(set(action)) == 3
    mixed = [(attribute[0] + places[0]) / 2, (attribute[1] + action[1]) / 2,
             (attribute[2] + places[2] + action[2]) / 3]  # fmt: skip
    assert got["compbench-complex"] == pytest.approx(mixed)


@pytest.mark.parametrize(("make", "prompts", "said"), [
    (Attributes, ["a dog", None], "compares images with their prompts, and 1.png has none"),
    (lambda: Attributes(blip="/nothing"), ["a dog"], "its setting blip=/path/to/folder"),
    (lambda: Spatial(detector="/nothing"), ["a dog"], "no folder /nothing with a detector"),
    (Numeracy, ["a dog"], r"clone https://.* --metrics 'compbench-numeracy\(prompts=FOLDER\)'"),
    (lambda: Numeracy(prompts="/nothing"), ["a dog"], "no prompts of T2I-CompBench at /nothing"),
    (Complex, ["a dog"], r"'compbench-complex\(prompts=FOLDER\)'"),
    (lambda: Complex(prompts="{}"), ["a dog"], "complex_val_spatial.txt cannot be read"),
])  # fmt: skip
@pytest.mark.usefixtures("tagger")
def test_what_is_missing_is_said_before_anything_is_measured(
    make: Callable[[], Any], prompts: list[str | None], said: str, tmp_path: Path
) -> None:
    of = make()
    if getattr(of, "prompts", "") == "{}":
        of = Complex(prompts=str(tmp_path))
    with pytest.raises(ConfigError, match=said):
        check([of], noise(prompts))


def test_what_the_tagger_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each prompt is parsed once."""
    dog = SimpleNamespace(text="dog", pos_="NOUN")
    chunk = SimpleNamespace(text="a dog", root=dog, start=1)
    prompts = []

    class Document(list[SimpleNamespace]):
        noun_chunks = (chunk,)

    def language(prompt: str) -> Document:
        prompts.append(prompt)
        return Document([SimpleNamespace(text="see", pos_="VERB"), dog])

    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=lambda model: language))
    read = words.parser("a model of this test")
    assert read("see a dog") == read("see a dog")
    assert read("see a dog").words == (Word("see", "VERB"), Word("dog", "NOUN"))
    assert read("see a dog").chunks == (Chunk("a dog", "dog", 1),)
    assert prompts == ["see a dog"]


def test_without_a_tagger(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(model: str) -> None:
        raise OSError(f"no {model}")

    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=load))
    with pytest.raises(ConfigError, match="python -m spacy download en_core_web_sm, or name"):
        words.parser("no-such-model")
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ConfigError, match=r"pip install 'noisesearch\[compbench\]'"):
        words.parser("no-such-model")


def test_settings() -> None:
    with pytest.raises(ConfigError, match="did you mean 'threshold'"):
        settings("metric", "compbench-spatial", Spatial, {"treshold": "0.3"})
    with pytest.raises(ConfigError, match="less than or equal to 1"):
        settings("metric", "compbench-spatial", Spatial, {"threshold": "3"})
    made = settings("metric", "compbench-spatial", Spatial, {"threshold": "0.3", "fixed": "true"})
    assert made.threshold == 0.3 and made.fixed
