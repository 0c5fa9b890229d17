"""JSON from outside: a value, or a ValueError that says why not."""

from __future__ import annotations

import json
import math
from typing import Any


def parsed(text: str | bytes) -> Any:
    """As ``json.loads``; ValueError for brackets too deep for the reader as well, which itself
    raises something that nobody expects of a file."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error


def finite(number: float) -> float | None:
    """JSON has no infinity: a candidate without a value has null."""
    return number if math.isfinite(number) else None
