"""Complex prompts: the 3-in-1 score, as 3_in_1_eval/3_in_1.py mixes the other ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..prompts.sources import lines_of
from .words import Parsed

ATTRIBUTE, SPATIAL, ACTION = "attribute", "spatial", "action"
WHOLE = (ATTRIBUTE, SPATIAL, ACTION)


@dataclass(frozen=True)
class Branches:
    """Which scores count for which prompt: ``spatial`` and ``action`` hold prompts as
    :func:`bare` writes them."""

    spatial: Collection[str]
    action: Collection[str]

    @classmethod
    def read(cls, folder: Path, split: str = "val") -> Branches:
        """Of complex_val_spatial.txt and complex_val_action.txt (or of another split)."""
        lists = (lines_of(folder / f"complex_{split}_{of}.txt") for of in (SPATIAL, ACTION))
        return cls(*(frozenset(map(bare, lines)) for lines in lists))

    def of(self, prompt: str) -> tuple[str, ...]:
        """The scores whose mean counts."""
        if bare(prompt) in self.spatial:
            return (ATTRIBUTE, SPATIAL)
        return (ATTRIBUTE, ACTION) if bare(prompt) in self.action else WHOLE


def bare(prompt: str) -> str:
    """In small letters, up to the first full stop."""
    return prompt.strip().split(".")[0].lower()


def score(scores: Mapping[str, float], counting: Sequence[str]) -> float:
    return sum(scores[name] for name in counting) / len(counting)


def without_adjectives(parsed: Parsed) -> str:
    """What CLIP is told of a complex prompt: its attributes are BLIP's."""
    return " ".join(word.text for word in parsed.words if word.pos != "ADJ")
