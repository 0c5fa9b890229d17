"""What ``fixed=true`` puts right, each beside what the published rule makes of it."""

from __future__ import annotations

import math

import pytest
from taggers import english

from noisesearch.evaluation.compbench import attributes, numeracy, spatial
from noisesearch.evaluation.compbench import repaired_rules as repaired
from noisesearch.evaluation.compbench.detections import Box, Detection
from noisesearch.evaluation.compbench.words import Chunk, Parsed, Word

LEFT, RIGHT = (0.0, 100.0, 100.0, 200.0), (300.0, 100.0, 400.0, 200.0)
ABOVE, BELOW = (100.0, 0.0, 200.0, 100.0), (100.0, 200.0, 200.0, 300.0)
NOUNS = numeracy.Nouns(
    {"cars": "car", "dogs": "dog", "girls": "girl", "teddy bears": "teddy bear"}
)


def sentence(text: str, *heads: str) -> Parsed:
    """Parsed as a tagger would: ``heads`` are written ``first word:head``, in their order."""
    words = text.split()
    chunks = []
    for head in heads:
        first, _, root = head.partition(":")
        start = words.index(first, chunks[-1].start + 1 if chunks else 0)
        end = words.index(root or first, start)
        chunks.append(Chunk(" ".join(words[start : end + 1]), root or first, start))
    roots = {chunk.root for chunk in chunks}
    return Parsed(tuple(Word(w, "NOUN" if w in roots else "X") for w in words), tuple(chunks))


def see(*things: tuple[str, Box], score: float = 0.8) -> list[Detection]:
    return [Detection(label, box, score) for label, box in things]


def published(found: list[Detection], parsed: Parsed) -> float:
    text = " ".join(word.text for word in parsed.words)
    return spatial.score(found, spatial.simple_objects(parsed), spatial.locality(text))


@pytest.mark.parametrize(("parsed", "found", "was"), [
    # on top of
    (sentence("a cat on top of a car", "a:cat", "a:car"), see(("cat", ABOVE), ("car", BELOW)), 0),
    # names of several words, and with numbers
    (sentence("a cow near a mouse", "a:cow", "a:mouse"),
     see(("cattle, cow", LEFT), ("mouse1", (110.0, 100.0, 210.0, 200.0))), 0),
    (sentence("a girl on the left of a sofa", "a:girl", "left", "a:sofa"),
     see(("girl", LEFT), ("couch", RIGHT)), 0),
    # the head of a noun, which the published rule takes for two
    (sentence("a hat on the left of a coat rack", "a:hat", "left", "a:rack"),
     see(("hat", LEFT), ("rack", RIGHT), ("coat", ABOVE)), None),
    # the first dog is not the one that is meant
    (sentence("a dog on the left of a chair", "a:dog", "left", "a:chair"),
     see(("dog", (420.0, 100.0, 470.0, 200.0)), ("chair", RIGHT), ("dog", LEFT)), 0),
    # two of one kind
    (sentence("a dog on the left of a dog", "a:dog", "left", "a:dog"),
     see(("dog", RIGHT), ("dog", LEFT)), 0),
])  # fmt: skip
def test_places(parsed: Parsed, found: list[Detection], was: float | None) -> None:
    assert repaired.spatial_score(found, parsed) == pytest.approx(0.25 * 1.6 + 0.5)
    if was is not None:
        assert published(found, parsed) == was


def test_the_wrong_place_is_still_wrong() -> None:
    parsed = sentence("a dog on the left of a chair", "a:dog", "left", "a:chair")
    assert repaired.spatial_score(see(("dog", RIGHT), ("chair", LEFT)), parsed) == 0
    assert repaired.spatial_score(see(("dog", LEFT)), parsed) == 0
    assert repaired.spatial_score([], parsed) == 0
    hot = sentence("a dog near a chair", "a:dog", "a:chair")
    assert repaired.spatial_score(see(("hot dog", LEFT), ("chair", LEFT)), hot) == 0


def test_near_in_one_direction_is_not_near() -> None:
    far = (10.0, 300.0, 110.0, 400.0)
    first = (0.0, 0.0, 100.0, 100.0)
    assert spatial.position("near", first, far) == 1
    assert repaired.position("near", first, far) == pytest.approx(150 / 300)
    assert repaired.position("near", first, (60.0, 60.0, 160.0, 160.0)) == 1


def test_the_positions_agree_where_nothing_is_wrong() -> None:
    for where in spatial.SIDES:
        for boxes in ((LEFT, RIGHT), (RIGHT, LEFT), (ABOVE, BELOW), (BELOW, ABOVE),
                      ((0.0, 0.0, 100.0, 100.0), (60.0, 0.0, 160.0, 100.0))):  # fmt: skip
            assert repaired.position(where, *boxes) == spatial.position(where, *boxes)


def test_equal_distances() -> None:
    boxes = ((0.0, 0.0, 100.0, 100.0), (200.0, 200.0, 300.0, 300.0))
    assert spatial.position("on the left of", *boxes) == 0
    assert repaired.position("on the left of", *boxes) == 1


@pytest.mark.parametrize(("prompt", "objects", "was"), [
    ("The fluffy cat is on the left of the soft pillow", ("cat", "pillow"), ("cat", "pillow")),
    ("The red hat was on top of the brown coat rack.", ("hat", "rack"), ("hat", "coat")),
    ("The wooden chair is on the right of the round table", ("chair", "table"),
     ("chair", "round")),
    ("The square book was next to the green notebook", ("book", "notebook"),
     ("book", "notebook")),
    ("a mouse on side of a key", ("mouse", "key"), ("mouse", "key")),
])  # fmt: skip
def test_objects_of_sentences(prompt: str, objects: spatial.Pair, was: spatial.Pair) -> None:
    """As spaCy tags them."""
    parsed = english()(prompt)
    assert repaired.objects(parsed) == objects
    assert spatial.complex_objects(parsed) == was


@pytest.mark.parametrize(("labels", "prompt", "was", "now"), [
    (["carrot", "carrot"], "two cars", 1.0, 0.0),
    (["car", "sports car"], "two cars", 0.5, 1.0),
    (["girl"], "one girl", 0.0, 1.0),
    (["dog"], "A dog", math.nan, 1.0),
    (["teddy bear", "teddy bear"], "two teddy bear", 0.5, 1.0),
    (["dog"], "some music", math.nan, math.nan),
])  # fmt: skip
def test_numbers(labels: list[str], prompt: str, was: float, now: float) -> None:
    found = [Detection(label, (200.0 * i, 0.0, 200.0 * i + 100, 100.0), 0.9)
             for i, label in enumerate(labels)]  # fmt: skip
    words = numeracy.tokens(prompt)
    old = numeracy.score(found, numeracy.counts(words, NOUNS))
    new = repaired.numeracy_score(found, repaired.counts(words, NOUNS))
    assert (old, new) == pytest.approx((was, now), nan_ok=True)


def test_probabilities() -> None:
    assert attributes.score([0.33333, 0.5]) == 0.1666
    assert repaired.attribute_score([0.33333, 0.5]) == pytest.approx(0.166665)
    assert attributes.score([]) == 1
    assert math.isnan(repaired.attribute_score([]))


@pytest.mark.parametrize(("label", "noun", "fit"), [
    ("cattle, cow", "cow", True), ("mouse1", "mouse", True), ("dining table", "table", True),
    ("person", "woman", True), ("woman", "woman", True), ("boat", "ship", True),
    ("carrot", "car", False), ("hot dog", "dog", False), ("hot dog", "hot dog", True),
    ("", "dog", False), ("watercraft, boat", "boat", True),
])  # fmt: skip
def test_labels(label: str, noun: str, fit: bool) -> None:
    assert repaired.fits(label, noun) == fit
