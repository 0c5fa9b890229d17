"""2D-spatial: two objects, and where the first is, as UniDet_eval/2D_spatial_eval.py scores."""

from __future__ import annotations

from collections.abc import Sequence

from .detections import Box, Detection, overlap
from .words import Parsed

# In the order in which they are looked for. `on top of` is found, but no position is right for it.
LOCALITIES = ("on side of", "next to", "near", "on the left of", "on the right of",
              "on the bottom of", "on the top of", "on top of")  # fmt: skip
NEAR = ("next to", "on side of", "near")
# Which axis counts, and the sign of the way there from the first object to the second.
SIDES = {"on the right of": (0, -1), "on the left of": (0, 1),
         "on the bottom of": (1, -1), "on the top of": (1, 1)}  # fmt: skip
# What stands between the two objects of a longer sentence.
PREPOSITIONS = ("on top of", "on bottom of", "on the left", "on the right", "next to",
                "on side of", "near")  # fmt: skip
PERSONS = ("girl", "boy", "man", "woman")
REACH = 150  # pixels that things next to each other may be apart
TOUCH = 0.1  # intersection over union from which on things cover each other
LEAST = 0.5  # scores below are 0

Pair = tuple[str | None, str | None]


def locality(prompt: str) -> str | None:
    """The words that say where, the first of :data:`LOCALITIES` that the prompt has."""
    return next((words for words in LOCALITIES if words in prompt), None)


def simple_objects(parsed: Parsed) -> Pair:
    """The first noun and the last one, girls and men as persons."""
    nouns = [word.text for word in parsed.words if word.pos == "NOUN"]
    return _persons(nouns[0], nouns[-1]) if nouns else (None, None)


def complex_objects(parsed: Parsed) -> Pair:
    """The nouns before and after each preposition, if there are just two of them."""
    words, found = parsed.words, list[str]()
    for i in range(len(words)):
        lengths = (3, 2, 1)
        phrases = (" ".join(word.text for word in words[i : i + n]) for n in lengths)
        length = next((n for n, p in zip(lengths, phrases, strict=True) if p in PREPOSITIONS), 0)
        if not length:
            continue
        before = [word.text for word in words[:i] if word.pos in ("NOUN", "PROPN")]
        after = [word.text for word in words[i + length :] if word.pos == "NOUN"]
        found += before[-1:] + (after or _names(parsed, i + length))[:1]
    return _persons(*found) if len(found) == 2 else (None, None)


def score(found: Sequence[Detection], pair: Pair, where: str | None) -> float:
    """A quarter of the sureness of each object, and half for their position; below 0.5 it is 0.

    ``found`` in the frame of :func:`.detections.framed`, the surest first, which is the one that
    counts.
    """
    firsts = {each.label: each for each in reversed(found)}
    seen = [firsts[name] for name in pair if name in firsts]
    total = sum(0.25 * each.score for each in seen)
    if len(seen) == 2:
        total += position(where, seen[0].box, seen[1].box) / 2
    return total if total >= LEAST else 0.0


def position(where: str | None, first: Box, second: Box) -> float:
    """How right the place of the first box is, from 0 to 1."""
    way = [(second[i] + second[i + 2]) / 2 - (first[i] + first[i + 2]) / 2 for i in (0, 1)]
    if where in NEAR:
        # One of both distances is enough to be near.
        if min(abs(way[0]), abs(way[1])) < REACH:
            return 1.0
        return REACH / max(abs(way[0]), abs(way[1]))
    if where not in SIDES:
        return 0.0
    axis, sign = SIDES[where]
    if way[axis] * sign <= 0 or abs(way[axis]) <= abs(way[1 - axis]):
        return 0.0
    both, *areas = overlap(first, second)
    share = both / (sum(areas) - both) if both else 0.0
    return 1.0 if share < TOUCH else TOUCH / share


def _names(parsed: Parsed, start: int) -> list[str]:
    """Proper names from there on, of each the last word, if another word follows it."""
    words = parsed.words
    return [
        words[i].text
        for i in range(start, len(words) - 1)
        if words[i].pos == "PROPN" and words[i + 1].pos != "PROPN"
    ]


def _persons(first: str, second: str) -> Pair:
    return tuple("person" if name in PERSONS else name for name in (first, second))  # type: ignore[return-value]
