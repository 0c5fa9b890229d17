"""Images that a pipeline is to begin from or to paint into; part of the recipe by content."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..candidates.keys import digest
from ..errors import ConfigError, StoreError
from ..files.pictures import Picture

FOLDER = "inputs"  # of a run, where they are kept


@dataclass(frozen=True, eq=False)
class InputImages:
    """Each uint8 [H, W, 3], or None; of a mask white is what is painted."""

    image: Picture | None = None
    mask: Picture | None = None

    @classmethod
    def of(cls, image: Any, mask: Any) -> InputImages:
        """From files, pictures of PIL or arrays uint8 [H, W, 3]."""
        return cls(_given("image", image), _given("mask", mask))

    @cached_property
    def keys(self) -> dict[str, str]:
        """The hash of each that is there, by name."""
        there = {"image": self.image, "mask": self.mask}
        return {name: digest("picture", list(p.shape), p.tobytes().hex())
                for name, p in there.items() if p is not None}  # fmt: skip

    def pil(self) -> tuple[Any, Any]:
        """As pipelines take them: the image in colour, the mask in grey."""
        from PIL import Image

        image = None if self.image is None else Image.fromarray(self.image)
        return image, None if self.mask is None else Image.fromarray(self.mask).convert("L")

    def files(self) -> dict[str, bytes]:
        """What a run folder keeps of them, so that it can go on without the user's files."""
        from ..files.pictures import png

        return {f"{FOLDER}/{name}.png": png(getattr(self, name)) for name in self.keys}

    @classmethod
    def read(cls, folder: Path) -> InputImages:
        """Those of a run folder; none where it has none."""
        from ..files.pictures import read

        found = {}
        for name in ("image", "mask"):
            path = folder / FOLDER / f"{name}.png"
            if path.is_file():
                found[name] = read(path)
        return cls(**found)

    def check(self, condition: dict[str, Any], folder: object) -> None:
        """StoreError where these are not the images that a condition was made with."""
        for name in ("image", "mask"):
            if self.keys.get(name) != condition.get(name):
                raise StoreError(
                    f"{folder}/{FOLDER}/{name}.png is not the {name} that the run was made with; "
                    "restore it from a copy"
                )


def _given(name: str, given: Any) -> Picture | None:
    return None if given is None else picture(name, given)


def picture(name: str, given: Any) -> Picture:
    """uint8 [H, W, 3] of what was given; ConfigError where it is no picture."""
    from PIL import Image

    from ..files.pictures import opened

    if isinstance(given, str | Path):
        try:
            with opened(Path(given)) as image:
                return np.array(image.convert("RGB"))
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}; give a PNG or JPEG") from error
    if isinstance(given, Image.Image):
        return np.array(given.convert("RGB"))
    array = np.asarray(given)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise ConfigError(
            f"{name} is a {type(given).__name__}, but must be a file, a picture of PIL or an "
            "array uint8 [H, W, 3]"
        )
    return np.ascontiguousarray(array)
