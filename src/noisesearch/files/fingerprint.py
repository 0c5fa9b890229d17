"""Which weights or prompts these are: a hash of a file's bytes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def of_file(path: Path) -> str:
    """That of a file which stays as it is while the process lives, such as weights."""
    return of_content(path)


def of_content(path: Path) -> str:
    """16 hexadecimal digits of the BLAKE2b of what is in the file now."""
    with path.open("rb") as file:  # in pieces: a checkpoint may be larger than the memory
        made = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8))
    return made.hexdigest()
