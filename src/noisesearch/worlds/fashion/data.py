"""Fashion-MNIST (arXiv 1708.07747), where it is installed; it is not shipped."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...errors import ConfigError

Bytes = npt.NDArray[np.uint8]
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
           "ankle boot")  # fmt: skip
SIDE = 28
VARIABLE = "NOISESEARCH_FASHION"  # names another folder
FOLDER = Path("/usr/share/datasets/fashion-mnist")
FILES = {"train": "train", "test": "t10k"}


def folder() -> Path:
    """Where the data is; ConfigError where it is not installed."""
    found = Path(os.environ.get(VARIABLE, FOLDER))
    if not (found / "train-images-idx3-ubyte.gz").is_file():
        raise ConfigError(
            f"Fashion-MNIST is not in {found}; install it with: apt install "
            "dataset-fashion-mnist, or put its four idx files (.gz) into a folder that the "
            f"variable {VARIABLE} names"
        )
    return found


def load(split: Literal["train", "test"]) -> tuple[Bytes, Bytes]:
    """Pictures [N, 28, 28] and class numbers [N]: 60,000 to train, 10,000 to test."""
    start = folder() / FILES[split]
    pictures = _idx(start.with_name(f"{start.name}-images-idx3-ubyte.gz"))
    labels = _idx(start.with_name(f"{start.name}-labels-idx1-ubyte.gz"))
    return pictures, labels


def _idx(path: Path) -> Bytes:
    """An idx file: two zero bytes, the type (8: uint8), the number of axes, their lengths."""
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); install the data again") from error
    axes = data[3] if data[:3] == b"\0\0\x08" and len(data) >= 4 + 4 * data[3] else 0
    shape = np.frombuffer(data, ">u4", axes, 4).astype(int) if axes else np.zeros(1, int)
    if len(data) != 4 + 4 * axes + int(shape.prod()) or not axes:
        raise ConfigError(f"{path} is not an idx file of bytes; install the data again")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
