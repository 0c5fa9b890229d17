"""Verifiers that no objective sees, on each new best of a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .ask import Reply
from .live import Live
from .trajectory import Trajectory

if TYPE_CHECKING:
    from .denoiser import Denoiser
    from .verifiers.protocol import Verifier


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


def bests(live: Live) -> list[Reply]:
    """The baseline, each candidate that was the best so far when it came, and the winner."""
    base = live.answers.get(live.baseline.key)
    chain = [] if base is None else [base]
    value = live.objective.value
    for reply in live.replies:
        if reply.trajectory.finished and (not chain or value(reply) > value(chain[-1])):
            chain.append(reply)
    winners = live.outcome()["winners"]
    if winners:
        chain.append(winners[0]["reply"])
    return list({r.trajectory.key: r for r in chain}.values())


def watch(
    live: Live, verifiers: Sequence[Verifier], denoiser: Denoiser, rows: int, samples: Path
) -> Watched:
    """What the held-out verifiers make of a search's bests, from their stored pictures."""
    chain = [r for r in bests(live) if (samples / f"{r.trajectory.key}.png").exists()]
    names = [part for v in verifiers for part in v.parts]
    replies = list(judged([r.trajectory for r in chain], verifiers, denoiser, rows, samples))
    parts = {name: [reply.parts.get(name) for reply in replies] for name in names}
    values = [live.objective.value(r) for r in chain]
    return Watched([r.trajectory.key for r in chain], values, parts)


def judged(
    of: Sequence[Trajectory],
    verifiers: Sequence[Verifier],
    denoiser: Denoiser,
    rows: int,
    samples: Path,
) -> Iterator[Reply]:
    """Replies of the verifiers to stored pictures, which are what they see, ``rows`` at a time."""
    from .worker.scoring import Scorer, stored_images

    scorer = Scorer(denoiser, verifiers, rows, None)
    for start in range(0, len(of), rows):
        batch = of[start : start + rows]
        yield from scorer.judge(batch, stored_images([samples / f"{t.key}.png" for t in batch]))
