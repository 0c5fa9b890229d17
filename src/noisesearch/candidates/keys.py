"""Content keys: the same value has the same key on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring_ascii
from typing import Any

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def digest(*parts: Any) -> str:
    """32 hexadecimal digits of BLAKE2b over the canonical JSON of ``parts``.

    Floats enter by their shortest round-trip form, so equal numbers give equal keys.
    """
    whole = f"[{','.join(map(_json, parts))}]"
    return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()


def _json(part: Any) -> str:
    """Most parts are texts and whole numbers, for which an encoder takes longer to make."""
    if type(part) is str:
        return encode_basestring_ascii(part)
    return str(part) if type(part) is int else _canonical(part)


def seed_of(*parts: Any) -> int:
    """64 bits derived from ``parts``: a named seed instead of a draw from a stream."""
    return int(digest(*parts)[:16], 16)


def uniform_of(seed: int) -> float:
    """The number in [0, 1) that a 64-bit seed stands for."""
    return (seed >> 11) * 2.0**-53
