"""Color, shape and texture: is each thing there as it is said, as BLIPvqa_eval asks BLIP-VQA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .words import Parsed

MOST = 8  # questions
PLACES = ("top", "the side", "the left", "the right")  # which are nouns to a parser


def questions(parsed: Parsed) -> list[str]:
    """What is asked about a picture: of each noun with what belongs to it, whether it is there."""
    return [f"{chunk.text}?" for chunk in parsed.chunks if chunk.text not in PLACES][:MOST]


def score(yes: Sequence[float]) -> float:
    """The product of the probabilities of yes; 1 where nothing was asked.

    The published code writes each with four digits to a file, multiplies what it reads from there
    in float32, and writes four digits of that.
    """
    product = np.float32(1)
    for probability in yes:
        product *= np.float32(f"{probability:.4f}")
    return float(f"{product:.4f}")
