"""What an image is asked to show."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from .keys import digest


@dataclass(frozen=True)
class Condition:
    """What the image should show: a text, a class label, or nothing; and what it should not.

    ``image`` and ``mask``: hashes of what a pipeline is given to begin from or to paint into.
    """

    text: str | None = None
    label: int | None = None
    negative: str | None = None
    image: str | None = None
    mask: str | None = None

    @cached_property
    def key(self) -> str:
        return digest("condition", self.json())

    def json(self) -> dict[str, Any]:
        """Only what is set, so that a later field leaves the keys of today as they are."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        return "unconditional" if self.label is None else f"class:{self.label}"
