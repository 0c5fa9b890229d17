"""The arrays of a run folder, each in a file named after its content."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import StoreError
from ..files import arrays as array_files
from .creation import put

KEY = re.compile("[0-9a-f]{32}")  # of what has a file of its own


class RunArrays:
    """``keep``: True where arrays of replies that nobody chose stay, for whoever reads the run
    again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keep = False

    def put(self, array: npt.NDArray[np.float32]) -> str:
        """Store an array; the key is the hash of its content."""
        return put(self.folder, array)

    def get(self, key: str) -> npt.NDArray[np.float32]:
        """Return a stored array; StoreError where it is gone or cannot be read."""
        path = self._path(key)
        if not path.exists():
            raise StoreError(f"blob {key} is not in {self.folder}; the run folder is not complete")
        try:
            array: npt.NDArray[np.float32] = array_files.array(path)
        except array_files.BROKEN as error:
            why = array_files.reason(error)
            raise StoreError(f"{path} cannot be read ({why}); restore it from a copy") from error
        return array

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):  # it may come from a stranger's recipe
            raise StoreError(f"{key!r:.60} names no blob of {self.folder}: it is no key")
        return self.folder / "blobs" / f"{key}.npy"
