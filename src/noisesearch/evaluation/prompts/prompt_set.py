"""Prompts with what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import unknown


@dataclass(frozen=True)
class Prompt:
    """``categories``: those of its benchmark that it belongs to. ``truth``: what a picture of it
    must show, as far as the benchmark says it for machines: ``objects`` and ``counts`` of them,
    ``color``, ``relation`` (of the first object to the second), ``scene``, ``parts`` (which scores
    of T2I-CompBench count)."""

    text: str
    categories: tuple[str, ...] = ()
    truth: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PromptSet:
    """Prompts in the order of their file. ``name`` is what they were asked for by."""

    name: str
    prompts: tuple[Prompt, ...]

    @property
    def texts(self) -> list[str]:
        return [prompt.text for prompt in self.prompts]

    @property
    def categories(self) -> list[str]:
        """All there are, in the order in which they come."""
        return list(dict.fromkeys(c for prompt in self.prompts for c in prompt.categories))

    def only(self, category: str) -> PromptSet:
        """Those of one category, whichever case it is written in; ConfigError for an unknown."""
        known = {name.lower(): name for name in self.categories}
        if category.lower() not in known:
            raise unknown(f"category of {self.name}", category, self.categories)
        wanted = known[category.lower()]
        kept = tuple(prompt for prompt in self.prompts if wanted in prompt.categories)
        return PromptSet(f"{self.name}#{wanted}", kept)
