"""Which weights these are: a hash of a file's bytes."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def of_file(path: Path) -> str:
    """16 hexadecimal digits of the file's BLAKE2b."""
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
