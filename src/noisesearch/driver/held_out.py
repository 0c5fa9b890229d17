"""Verifiers that no objective sees, asked about each improvement of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..candidates.ask import Ask, Reply, Score
from ..objectives.single import Objective


@dataclass(frozen=True)
class Watched:
    """Held-out parts along the improvements of one search, the baseline first, the winner last.

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


@dataclass
class Watch:
    """The held-out verifiers of one search: what they are asked about, and what they reply.

    ``parts``: theirs; a search without held-out verifiers has none. ``improvements``: the baseline
    and each candidate that is better than all before it. ``asks``: all that were made.
    ``watch_replies``: by trajectory; apart from the search's own, since nothing follows from them.
    """

    parts: tuple[str, ...] = ()
    improvements: list[Reply] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    watch_replies: dict[str, Reply] = field(default_factory=dict)

    def improves(self, reply: Reply, objective: Objective) -> bool:
        """Return whether a reply is better than every improvement before it."""
        best = self.improvements[-1:]
        return not best or objective.value(reply) > objective.value(best[0])

    def ask(self, reply: Reply) -> Ask:
        """Note an improvement; return the ask about it."""
        self.improvements.append(reply)
        ask = Ask(reply.trajectory, Score(self.parts), {"role": "watch"})
        self.asks.append(ask)
        return ask

    def watched(self, objective: Objective) -> Watched:
        """Return what the verifiers say of the improvements, as far as they have answered."""
        seen = [(r, self.watch_replies.get(r.trajectory.key)) for r in self.improvements]
        chain = [(r, held) for r, held in seen if held is not None]
        parts = {name: [held.parts.get(name) for _, held in chain] for name in self.parts}
        values = [objective.value(r) for r, _ in chain]
        return Watched([r.trajectory.key for r, _ in chain], values, parts)
