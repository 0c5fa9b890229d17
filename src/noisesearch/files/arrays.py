"""Arrays in NumPy's files from outside; nothing is unpickled, and no file becomes a flood."""

from __future__ import annotations

import tokenize
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

LARGEST = 2**32  # bytes of a file's arrays; the features of a million images are less

# What the reader raises of files that are broken, hostile or something else.
BROKEN = (OSError, ValueError, KeyError, EOFError, MemoryError, SyntaxError, OverflowError,
          NotImplementedError, tokenize.TokenError, zipfile.BadZipFile)  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, Any]]:
    """The arrays of an .npz file by name, each read when it is asked for.

    One of :data:`BROKEN` for a file that is none, holds Python objects or says that it unpacks to
    more than :data:`LARGEST`.
    """
    with zipfile.ZipFile(path) as whole:
        size = sum(member.file_size for member in whole.infolist())
    if size > LARGEST:
        raise ValueError(f"it unpacks to {size / 2**30:.0f} GiB")
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):  # it begins as such a file does, and ends as an archive
        raise ValueError("it holds one array without a name")
    with found as arrays:
        yield arrays


def array(path: Path) -> Any:
    """The array of an .npy file; one of :data:`BROKEN` otherwise."""
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            raise ValueError("it holds several arrays")
        file.seek(0)
        # Mapped first: a head may promise more than the file holds, and nothing is set aside.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def rows_of_numbers(array: Any) -> bool:
    """True of finite numbers [n, d] of at least two things, which statistics need."""
    return array.ndim == 2 and len(array) > 1 and bool(np.isfinite(array).all())


def reason(error: BaseException) -> str:
    """In a few words, as part of a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
