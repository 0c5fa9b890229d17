"""Pictures for people: samples as PNG, and sheets that show baseline and winner side by side."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from bisect import bisect_right as bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from ..errors import ConfigError
from .writing import replace

Picture = npt.NDArray[np.uint8]
OURS = "noisesearch:"  # how the names of our text fields begin
PLAIN = 100  # characters of a text field that is not compressed
FRAME = 125  # milliseconds that a frame of a video is shown
SHOWN = 100  # pictures of a set that are drawn
SET = 480  # pixels of a drawn set's side, where its pictures are small
AREA = 24e6  # pixels of all pictures on a sheet together, so that every viewer opens it
MOST = 2**31  # pixels of all frames of a video
# What the reader raises of files that are broken, hostile or something else.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError,
          OverflowError, ZeroDivisionError, MemoryError, struct.error, zlib.error,
          Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip
SEEN = 192  # pixels below which a picture is enlarged to be looked at


def png(picture: Picture, **text: str) -> bytes:
    """A PNG of uint8 [H, W, 3], or an animated one of a video [F, H, W, 3], with text fields."""
    video = picture.ndim == 4
    info = PngInfo()
    for name, value in (*text.items(), *([("frames", str(len(picture)))] if video else [])):
        info.add_text(f"{OURS}{name}", value, zip=len(value) > PLAIN)
    first, *rest = (Image.fromarray(frame) for frame in (picture if video else picture[None]))
    moving = {"save_all": True, "append_images": rest, "duration": FRAME} if video else {}
    data = io.BytesIO()
    first.save(data, "png", pnginfo=info, compress_level=1, **moving)
    return data.getvalue()


@contextmanager
def opened(path: Path | BinaryIO) -> Iterator[Image.Image]:
    """A file's picture; ConfigError where it is none, is broken, or has more pixels than anybody
    looks at, which a small file can say of itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            yield image
    except BROKEN as error:
        if isinstance(error, ConfigError):
            raise
        other = isinstance(error, UnidentifiedImageError)
        why = "it is no picture" if other else getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be read ({why.lower()})") from error


def read(path: Path | BinaryIO) -> Picture:
    """uint8 [H, W, 3] of a file, [F, H, W, 3] of a video's; ConfigError as of :func:`opened`."""
    with opened(path) as image:
        count = image.info.get(f"{OURS}frames")
        if count is None:
            return np.array(image.convert("RGB"))
        if not 1 <= int(count) <= MOST // (image.width * image.height):
            raise ValueError(f"it says that it has {count:.20} frames")
        return _frames(image, int(count))


def _frames(image: Image.Image, count: int) -> Picture:
    """Every frame; those that are equal to the one before are written as a longer one."""
    found: list[Picture] = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        shown = round(image.info.get("duration", FRAME) / FRAME)
        found += [np.array(image.convert("RGB"))] * min(max(1, shown), count - len(found))
    # Where all are equal, what was written is one still picture.
    return np.stack([*found, *[found[-1]] * (count - len(found))])


def texts(path: Path) -> dict[str, str]:
    """What :func:`png` was told to write into a file beside the picture."""
    with opened(path) as image:
        said = {str(name): str(text) for name, text in image.info.items()}
    return {name.removeprefix(OURS): text for name, text in said.items()
            if name.startswith(OURS) and name != f"{OURS}frames"}  # fmt: skip


def still(picture: Picture) -> Picture:
    """uint8 [H, W, 3]: a picture itself, of a video the frame in the middle."""
    return picture[len(picture) // 2] if picture.ndim == 4 else picture


def enlarged(picture: Picture) -> Image.Image:
    """By a whole factor and without blur, so that the pixels are the model's."""
    image = Image.fromarray(picture)
    factor = max(1, SEEN // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def save_seen(path: Path, picture: Picture, **text: str) -> None:
    """Replace ``path`` by an enlarged PNG with text fields."""
    replace(path, png(np.array(enlarged(picture)), **text))


Row = tuple[str, Picture, str, Picture, str]


def sheet(rows: Sequence[Row]) -> bytes:
    """A PNG with a row (title, baseline, its caption, winner, its caption) a condition.

    Of many conditions large pictures are made smaller, and none smaller than can be looked at.
    """
    side = max(SEEN, int(math.sqrt(AREA / (2 * len(rows)))))
    tiles = [_tile(*row, side) for row in rows]
    columns = 1 if len(tiles) < 3 else 2 if len(tiles) < 9 else 4
    width, height = (max(t.size[i] for t in tiles) for i in (0, 1))
    lines = -(-len(tiles) // columns)
    whole = Image.new("RGB", (columns * width, lines * height), "white")
    for i, tile in enumerate(tiles):
        whole.paste(tile, ((i % columns) * width, (i // columns) * height))
    data = io.BytesIO()
    whole.save(data, "png", compress_level=1)
    return data.getvalue()


def sets(*blocks: Sequence[Picture] | str) -> bytes:
    """A PNG with blocks side by side: pictures in a square, and below them a caption each."""
    font = ImageFont.load_default(size=14)
    tiles = []
    for of, caption in zip(blocks[::2], blocks[1::2], strict=True):
        images = [Image.fromarray(p) for p in of if not isinstance(p, str)]
        side = math.ceil(math.sqrt(len(images)))
        factor = max(1, SET // (side * max(images[0].size)))
        width, height = (n * factor for n in images[0].size)
        tile = Image.new("RGB", (side * (width + 2) + 10, side * (height + 2) + 36), "white")
        for i, image in enumerate(images):
            at = (5 + (i % side) * (width + 2), 5 + (i // side) * (height + 2))
            tile.paste(image.resize((width, height), Image.Resampling.NEAREST), at)
        draw = ImageDraw.Draw(tile)
        text = _fitted(str(caption), font, tile.width - 10)
        draw.text((6, tile.height - 24), text, fill="black", font=font)
        tiles.append(tile)
    whole = Image.new("RGB", (sum(t.width for t in tiles), tiles[0].height), "white")
    for i, tile in enumerate(tiles):
        whole.paste(tile, (i * tiles[0].width, 0))
    data = io.BytesIO()
    whole.save(data, "png", compress_level=1)
    return data.getvalue()


def _tile(
    title: str, base: Picture, about: str, winner: Picture, gain: str, side: int
) -> Image.Image:
    left, right = enlarged(base), enlarged(winner)
    for image in (left, right):
        image.thumbnail((side, side))
    font = ImageFont.load_default(size=14)
    gap, head, foot = 12, 26, 24
    width = left.width + right.width + 3 * gap
    tile = Image.new("RGB", (width, head + left.height + foot + gap), "white")
    draw = ImageDraw.Draw(tile)
    draw.text((gap, 6), _fitted(title, font, width - 2 * gap), fill="black", font=font)
    for image, at, caption in ((left, gap, about), (right, left.width + 2 * gap, gain)):
        tile.paste(image, (at, head))
        text = _fitted(caption, font, image.width)
        draw.text((at, head + image.height + 3), text, fill="#444444", font=font)
    return tile


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text in one line, shortened until it is no wider than ``width`` pixels."""
    # A prompt may be a book, and is never measured as a whole; a letter is a pixel wide or more.
    text = " ".join(text[: 4 * width].split())
    if font.getlength(text) <= width:
        return text

    def shortened(letters: int) -> int:
        return math.ceil(font.getlength(text[:letters] + "…"))

    return text[: max(0, bisect(range(len(text)), width, key=shortened) - 1)] + "…"
