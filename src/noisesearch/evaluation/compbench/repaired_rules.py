"""The same scores with what the published code hardly meant put right: ``fixed=true``.

* *On top of* is on the top of, and so on for every phrase of :data:`RELATIONS`.
* Objects are the heads of the noun phrases on both sides of it, as the tagger sees them: a *coat
  rack* is a rack, a *round table* a table.
* A label fits a noun by whole words: *cattle, cow* is a cow, *mouse1* a mouse, a *sports car* a
  car; a carrot is none. A girl may be called girl or person.
* Of several detections the best pair counts, not the first of each; two of one kind are two.
* To be near takes both distances, not one of them; equal distances are no longer wrong.
* A number before a noun of two words counts, and words may begin with a capital.
* Probabilities are not rounded on the way, and a picture that nothing is asked about has no score.

Weights, thresholds and the mixing of 3-in-1 are as published.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from . import numeracy, spatial
from .detections import Box, Detection, overlap
from .words import Chunk, Parsed

# What is written, and which of the published relations that is; longer phrases first.
RELATIONS = {
    **{f"on the {side} of": f"on the {side} of" for side in ("left", "right", "top", "bottom")},
    **{f"to the {side} of": f"on the {side} of" for side in ("left", "right")},
    **{f"on {side} of": f"on the {side} of" for side in ("top", "bottom")},
    "on the side of": "on side of", "on side of": "on side of", "next to": "next to",
    "on the left": "on the left of", "on the right": "on the right of", "near": "near",
}  # fmt: skip
# Further names that detectors have for things; those of the published code among them.
ALSO = {**numeracy.CALLED, "sofa": "couch", "couch": "sofa", "television": "tv", "cow": "cattle",
        "airplane": "plane", "bicycle": "bike", "phone": "telephone"}  # fmt: skip
OTHERS = ("hot dog", "sea lion", "guinea pig")  # whose last word does not say what they are


def relation(parsed: Parsed) -> tuple[str, int, int] | None:
    """The first phrase that says where: its published relation, its first word, its end."""
    words = [word.text.lower() for word in parsed.words]
    for i in range(len(words)):
        for phrase in RELATIONS:
            parts = phrase.split()
            if words[i : i + len(parts)] == parts:
                return RELATIONS[phrase], i, i + len(parts)
    return None


def objects(parsed: Parsed) -> spatial.Pair:
    """The heads of the nouns next to that phrase; without one the first and the last."""
    where = relation(parsed)
    start, end = where[1:] if where else (len(parsed.words), 0)
    before = [chunk for chunk in parsed.chunks if chunk.start < start]
    after = [chunk for chunk in parsed.chunks if chunk.start >= end]
    if where is None:
        before, after = before[:1], after[-1:]
    return _head(before[-1:]), _head(after[:1])


def spatial_score(found: Sequence[Detection], parsed: Parsed) -> float:
    """As :func:`.spatial.score`, of the two detections that it is the largest of."""
    pair, where = objects(parsed), relation(parsed)
    of = [[each for each in found if name and fits(each.label, name)] for name in pair]
    both = (
        0.25 * (a.score + b.score) + 0.5 * position(where[0] if where else None, a.box, b.box)
        for a, b in itertools.product(*of)
        if a is not b
    )
    alone = (0.25 * each.score for each in (*of[0], *of[1]))
    total = max(itertools.chain(both, alone), default=0.0)
    return total if total >= spatial.LEAST else 0.0


def position(where: str | None, first: Box, second: Box) -> float:
    """How right the place of the first box is, from 0 to 1."""
    way = [(second[i] + second[i + 2]) / 2 - (first[i] + first[i + 2]) / 2 for i in (0, 1)]
    if where in spatial.NEAR:
        return min(1.0, spatial.REACH / max(*map(abs, way), 1e-9))
    if where not in spatial.SIDES:
        return 0.0
    axis, sign = spatial.SIDES[where]
    if way[axis] * sign <= 0 or abs(way[axis]) < abs(way[1 - axis]):
        return 0.0
    both, *areas = overlap(first, second)
    return min(1.0, spatial.TOUCH * (sum(areas) - both) / both) if both else 1.0


def counts(words: Sequence[str], nouns: numeracy.Nouns) -> numeracy.Counts:
    """Each number with the object right behind it, in the singular."""
    words = [word.lower() for word in words]
    found: numeracy.Counts = []
    for i, word in enumerate(words):
        names = (" ".join(words[i + 1 : i + 1 + length]) for length in (2, 1))
        name = next((name for name in names if name in nouns), None)
        if word in numeracy.NUMBERS and name is not None:
            found.append((nouns.singular.get(name, name), numeracy.NUMBERS[word]))
    return found


def numeracy_score(found: Sequence[Detection], wanted: numeracy.Counts) -> float:
    """As :func:`.numeracy.score`, by whole words."""
    labels = [each.label for each in numeracy.once(found)]
    seen = [sum(fits(label, name) for label in labels) for name, _ in wanted]
    total = [0.5 * (n > 0) + 0.5 * (n == number)
             for n, (_, number) in zip(seen, wanted, strict=True)]  # fmt: skip
    return sum(total) / len(wanted) if wanted else math.nan


def attribute_score(yes: Sequence[float]) -> float:
    return math.prod(yes) if yes else math.nan


def fits(label: str, noun: str) -> bool:
    """Whether a detector's label is a name of what the noun means."""
    nouns = {noun.lower(), ALSO.get(noun.lower(), noun.lower())}
    names = [name.strip().lower().rstrip("0123456789") for name in label.split(",")]
    heads = {name if name in OTHERS else name.split()[-1] for name in names if name}
    return bool(nouns & {*names, *heads})


def _head(chunks: Sequence[Chunk]) -> str | None:
    return chunks[0].root.lower() if chunks else None
