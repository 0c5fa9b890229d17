"""Saying a Spec in plain English, and reading it back."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError
from .scene import AND, Spec, ThingGroup

PROMPT_LENGTH = 16

# The first word of each row is the plain one; the others mean the same.
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "golden"),
    "green": ("green", "emerald"),
    "teal": ("teal", "turquoise", "cyan"),
    "blue": ("blue", "azure"),
    "purple": ("purple", "violet"),
    "brown": ("brown",),
    "grey": ("grey", "gray"),
    "black": ("black",),
}
SHAPE_WORDS: dict[str, tuple[tuple[str, str], ...]] = {  # one of it, several of it
    "circle": (("circle", "circles"), ("disc", "discs"), ("disk", "disks")),
    "square": (("square", "squares"), ("box", "boxes")),
    "triangle": (("triangle", "triangles"),),
    "ring": (("ring", "rings"), ("hoop", "hoops"), ("donut", "donuts")),
    "cross": (("cross", "crosses"), ("plus", "pluses"), ("plus sign", "plus signs")),
    "diamond": (("diamond", "diamonds"), ("rhombus", "rhombuses")),
}
COUNT_WORDS: dict[int, tuple[str, ...]] = {
    1: ("a", "an", "one", "1"),
    2: ("two", "2", "a pair of"),
    3: ("three", "3"),
}
RELATION_WORDS: dict[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath", "underneath"),
    AND: ("and", "next to", "beside", "with"),
}
OPENINGS = ("there is", "there are", "a picture of")
VERBS = ("is", "are", "there is", "there are")
EXAMPLE = "a blue square above two yellow rings"
_TURNED = {"left of": "right of", "above": "below", AND: AND}


def _all_phrases() -> list[str]:
    shapes = [word for row in SHAPE_WORDS.values() for pair in row for word in pair]
    tables: tuple[dict[Any, tuple[str, ...]], ...] = (COLOUR_WORDS, COUNT_WORDS, RELATION_WORDS)
    rest = [word for table in tables for row in table.values() for word in row]
    return [*shapes, *rest, *OPENINGS, *VERBS]


VOCABULARY: tuple[str, ...] = (
    "<pad>",
    "<none>",
    *sorted({word for phrase in _all_phrases() for word in phrase.split()}),
)
_IDS = {word: index for index, word in enumerate(VOCABULARY)}


# ---- saying -----------------------------------------------------------------------------


def canonical(spec: Spec) -> str:
    """The Spec in its plainest words."""
    groups = [_say_group(group) for group in spec.groups]
    return groups[0] if len(groups) == 1 else f"{groups[0]} {spec.relation} {groups[1]}"


def describe(spec: Spec, rng: np.random.Generator) -> str:
    """The Spec in words drawn at random, at most PROMPT_LENGTH of them."""
    while True:
        text = _say(spec, rng)
        if len(text.split()) <= PROMPT_LENGTH:
            return text


def _say(spec: Spec, rng: np.random.Generator) -> str:
    groups = list(spec.groups)
    if len(groups) == 1:
        return _say_opening(groups[0], rng) + _say_group(groups[0], rng)
    relation = str(spec.relation)
    if rng.random() < 0.5:
        groups, relation = groups[::-1], _TURNED[relation]
    first, second = (_say_group(group, rng) for group in groups)
    words = _choose(RELATION_WORDS[relation], rng)
    are = _be(groups[0])
    order = rng.random()
    if relation == AND or order < 0.7:
        return f"{_say_opening(groups[0], rng)}{first} {words} {second}"
    if order < 0.8:
        return f"{first} {are} {words} {second}"
    if order < 0.9:
        return f"{words} {second} {are} {first}"
    return f"{words} {second} there {are} {first}"


def _be(group: ThingGroup) -> str:
    return "is" if group.count == 1 else "are"


def _say_opening(group: ThingGroup, rng: np.random.Generator) -> str:
    roll = rng.random()
    if roll < 0.75:
        return ""
    return f"there {_be(group)} " if roll < 0.9 else "a picture of "


def _say_group(group: ThingGroup, rng: np.random.Generator | None = None) -> str:
    """The group in words drawn at random, or in the plain ones without a generator."""
    pair = _choose(SHAPE_WORDS[group.shape], rng)
    rest = [pair[group.count > 1]]
    if group.colour is not None:
        rest.insert(0, _choose(COLOUR_WORDS[group.colour], rng))
    if group.count > 1:
        return " ".join([_choose(COUNT_WORDS[group.count], rng), *rest])
    article = "an" if rest[0][0] in "aeiou" else "a"
    return " ".join([_choose((article, "one", "1"), rng), *rest])


def _choose(options: Any, rng: np.random.Generator | None) -> Any:
    """The plain word two times in three, so that it is the one best learned."""
    if rng is None or len(options) == 1 or (roll := rng.random() * 3) < 2:
        return options[0]
    return options[1 + int((roll - 2) * (len(options) - 1))]


# ---- reading ----------------------------------------------------------------------------


def parse(prompt: str) -> Spec:
    """The Spec a prompt asserts; ConfigError says which word or order was not understood."""
    words = _words(prompt)
    reader = _Reader(words)
    spec = reader.sentence()
    if spec is None or reader.left():
        raise ConfigError(
            f"Could not read the prompt {prompt!r}; say one or two groups of things, such as "
            f"{EXAMPLE!r}: a number, a colour and a shape, then a relation and the second group."
        )
    return spec


def tokenize(prompt: str, length: int = PROMPT_LENGTH) -> npt.NDArray[np.int64]:
    """The ids of the prompt's words, int64 [length], padded with 0; ConfigError if too long."""
    words = _words(prompt)
    if len(words) > length:
        raise ConfigError(
            f"Got a prompt of {len(words)} words; at most {length} fit, so say it more briefly."
        )
    ids = np.zeros(length, dtype=np.int64)
    ids[: len(words)] = [_IDS[word] for word in words]
    return ids


def unconditional(length: int = PROMPT_LENGTH) -> npt.NDArray[np.int64]:
    """The ids that stand for no prompt at all, int64 [length]."""
    ids = np.zeros(length, dtype=np.int64)
    ids[0] = _IDS["<none>"]
    return ids


def _words(prompt: str) -> list[str]:
    words = re.findall(r"\w+", prompt.lower())
    if not words:
        raise ConfigError(f"Got an empty prompt; describe a picture, such as {EXAMPLE!r}.")
    unknown = [word for word in dict.fromkeys(words) if word not in _IDS]
    if unknown:
        raise ConfigError(
            f"Got unknown {'word' if len(unknown) == 1 else 'words'} "
            f"{', '.join(_with_match(word) for word in unknown)}; the shapes model knows only "
            "the words that `noisesearch list words --model shapes` lists, so use those."
        )
    return words


def _with_match(word: str) -> str:
    near = get_close_matches(word, VOCABULARY[2:], n=1, cutoff=0.6)
    return f"{word!r} (did you mean {near[0]!r}?)" if near else repr(word)


def _table(rows: dict[Any, tuple[str, ...]]) -> list[tuple[list[str], Any]]:
    """Phrases as word lists with their meaning, the longest first so that it wins."""
    pairs = [(phrase.split(), meaning) for meaning, row in rows.items() for phrase in row]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


_COLOURS = _table(COLOUR_WORDS)
_COUNTS = _table(COUNT_WORDS)
_RELATIONS = _table(RELATION_WORDS)
_SHAPES = _table({shape: tuple(w for p in row for w in p) for shape, row in SHAPE_WORDS.items()})
_OPENINGS = _table({"opening": OPENINGS})
_VERBS = _table({"verb": VERBS})


class _Reader:
    """Reads words from the left; a method that does not fit returns None."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0

    def left(self) -> bool:
        return self.at < len(self.words)

    def take(self, table: list[tuple[list[str], Any]]) -> Any:
        for phrase, meaning in table:
            if self.words[self.at : self.at + len(phrase)] == phrase:
                self.at += len(phrase)
                return meaning
        return None

    def group(self) -> ThingGroup | None:
        count, colour = self.take(_COUNTS), self.take(_COLOURS)
        shape = self.take(_SHAPES)
        return ThingGroup(count, colour, shape) if count and shape else None

    def sentence(self) -> Spec | None:
        """group [[is] relation group], or relation group [there] is group."""
        self.take(_OPENINGS)
        relation = self.take(_RELATIONS)
        if relation is not None and relation != AND:
            second, verb, first = self.group(), self.take(_VERBS), self.group()
            return Spec((first, second), relation) if first and second and verb else None
        first = self.group()
        if first is None or relation == AND:
            return None
        if not self.left():
            return Spec((first,))
        self.take(_VERBS)
        relation, second = self.take(_RELATIONS), self.group()
        return Spec((first, second), relation) if relation and second else None
