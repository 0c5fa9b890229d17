"""Verifiers that no objective sees, on each new best of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .live_search import LiveSearch


@dataclass(frozen=True)
class Watched:
    """Held-out parts along the bests of one search, the baseline first and the winner last.

    ``values`` are the objective's.
    """

    trajectories: Sequence[str]
    values: Sequence[float]
    parts: dict[str, list[float | None]]

    @property
    def fell(self) -> dict[str, tuple[float, float]]:
        """(baseline, winner) of the parts that fell although the objective rose."""
        if len(self.values) < 2 or self.values[-1] <= self.values[0]:
            return {}
        ends = {name: (path[0], path[-1]) for name, path in self.parts.items()}
        return {name: (a, b) for name, (a, b) in ends.items()
                if a is not None and b is not None and b < a}  # fmt: skip

    def json(self) -> dict[str, Any]:
        return {
            "trajectories": list(self.trajectories),
            "values": list(self.values),
            "parts": self.parts,
            "fell": sorted(self.fell),
        }


def watched(live: LiveSearch) -> Watched:
    """What the held-out verifiers made of a search's bests, as far as they have answered."""
    seen = [(r, live.held.get(r.trajectory.key)) for r in live.bests]
    chain = [(r, held) for r, held in seen if held is not None]
    parts = {name: [held.parts.get(name) for _, held in chain] for name in live.watch}
    values = [live.objective.value(r) for r, _ in chain]
    return Watched([r.trajectory.key for r, _ in chain], values, parts)
