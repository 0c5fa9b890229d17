"""Which weights these are: a hash of a file's bytes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def of_file(path: Path) -> str:
    """16 hexadecimal digits of the file's BLAKE2b."""
    with path.open("rb") as file:  # in pieces: a checkpoint may be larger than the memory
        made = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8))
    return made.hexdigest()
