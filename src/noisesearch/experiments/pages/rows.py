"""Rows of pictures as in the paper's figures: more steps on the left, more search on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..arms import Setting

Costs = Mapping[str, float]  # NFE of an image, by arm


@dataclass(frozen=True)
class Shelf:
    """Arms side by side, each half by its cost: without search, and with it."""

    title: str
    left: tuple[str, ...]
    right: tuple[str, ...]


def shelves(arms: Sequence[Setting], costs: Costs) -> list[Shelf]:
    """A row for every line that searches more and more; arms that are alone on theirs share one.

    Left of a line are its own arms without search, and those of lines that have nothing else.
    """
    there = [arm for arm in arms if arm.name in costs]
    lines: dict[str, list[Setting]] = {}
    for arm in there:
        if arm.searched:
            lines.setdefault(arm.line, []).append(arm)
    single = [arm for of in lines.values() if len(of) == 1 for arm in of]
    growing = {line: of for line, of in lines.items() if len(of) > 1}
    bare = [arm for arm in there if not arm.searched]
    free = [arm for arm in bare if arm.line not in lines]
    found = [
        Shelf(line, _by_cost([a for a in bare if a.line == line or a in free], costs),
              _by_cost(of, costs))
        for line, of in growing.items()
    ]  # fmt: skip
    if single or not growing:
        # Their order is the spec's, since one is not more of the other.
        names = tuple(arm.name for arm in single)
        found.append(Shelf("one budget each", _by_cost(free or bare, costs), names))
    return found


def _by_cost(arms: Sequence[Setting], costs: Costs) -> tuple[str, ...]:
    return tuple(arm.name for arm in sorted(arms, key=lambda arm: costs[arm.name]))
