"""Numeracy: as many of each object as the prompt says, as UniDet_eval/numeracy_eval.py scores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError
from ..prompts.sources import lines_of
from .detections import Box, Detection, overlap

NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
           "seven": 7, "eight": 8}  # fmt: skip
# What the detector is taken to call them.
CALLED = {"boy": "person", "girl": "person", "man": "person", "woman": "person", "ship": "boat",
          "telivision": "tv", "goldfish": "fish", "painting": "picture"}  # fmt: skip
COVERED = 0.9  # of one box by the other, from which on both are the same thing

Counts = list[tuple[str, int]]  # of each kind of object, as the prompt asks for them


@dataclass(frozen=True)
class Nouns:
    """The objects of the benchmark: ``singular`` by plural."""

    singular: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Nouns:
        """Of new_objects.txt, whose lines are ``singular - plural``; ConfigError otherwise."""
        pairs = [line.lower().split(" - ") for line in lines_of(path)]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise ConfigError(
                f"{path} must have lines such as 'knife - knives'; give T2I-CompBench's "
                "new_objects.txt"
            )
        # Of two singulars with one plural the first counts, as in a list that is searched.
        return cls({plural.strip(): one.strip() for one, plural in reversed(pairs)})

    def __contains__(self, name: str) -> bool:
        return name in self.singular or name in self.singular.values()


def tokens(prompt: str) -> list[str]:
    """Words and marks, as spaCy parts such prompts."""
    return re.findall(r"\w+|[^\w\s]", prompt)


def counts(words: Sequence[str], nouns: Nouns) -> Counts:
    """Each number with the object right behind it, which may be of two words."""
    found: Counts = []
    for i, word in enumerate(words[:-1]):
        if word not in NUMBERS:
            continue
        number, noun, two = NUMBERS[word], words[i + 1], " ".join(words[i + 1 : i + 3])
        if i < len(words) - 2 and two in nouns:
            plural = two in nouns.singular and number > 1
            # A number before a singular of two words is taken for one.
            found.append((nouns.singular[two], number) if plural else (two, 1))
        elif noun in nouns:
            single = number == 1 and noun in nouns.singular.values()
            found.append((noun if single else nouns.singular.get(noun, noun), number))
    return found


def once(found: Sequence[Detection]) -> list[Detection]:
    """Without those that cover another of the same label which comes before them."""
    kept: list[Detection] = []
    for each in found:
        if not any(k.label == each.label and same(each.box, k.box) for k in kept):
            kept.append(each)
    return kept


def same(a: Box, b: Box) -> bool:
    """Whether two boxes are of one thing."""
    both, *areas = overlap(a, b, closed=1)
    return max(both / (sum(areas) - both), *(both / area for area in areas)) > COVERED


def score(found: Sequence[Detection], wanted: Counts) -> float:
    """The mean over kinds of objects: half for being there, half for being as many; NaN where
    none is wanted."""
    labels, total = [each.label for each in once(found)], 0.0
    for name, number in wanted:
        name = CALLED.get(name, name)
        if name not in labels:
            # Then whatever has the letters of its name in its own: a carrot is a car.
            labels = [name if name in label else label for label in labels]
        total += 0.5 * (name in labels) + 0.5 * (labels.count(name) == number)
    return total / len(wanted) if wanted else float("nan")
