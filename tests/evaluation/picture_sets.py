"""Sets of images in memory, for metrics to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisesearch.files.pictures import Picture


@dataclass(frozen=True)
class Pictures:
    """Pictures with prompts, as a folder of files would be."""

    pictures: Sequence[Picture]
    prompts: Sequence[str | None]

    @property
    def paths(self) -> list[Path]:
        return [Path(f"{i}.png") for i in range(len(self.pictures))]

    def picture(self, index: int) -> Picture:
        return self.pictures[index]


def noise(prompts: Sequence[str | None], sizes: Sequence[tuple[int, int]] = ((40, 48),)
          ) -> Pictures:  # fmt: skip
    """A picture of noise for each prompt; the sizes, height and width, take turns in pairs."""
    draw = np.random.default_rng(3)
    shapes = [sizes[i // 2 % len(sizes)] for i in range(len(prompts))]
    return Pictures([draw.integers(0, 256, (*s, 3), dtype=np.uint8) for s in shapes], prompts)
