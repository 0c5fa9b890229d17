"""The logical ledger of one search: what its asks cost by their recipes, whatever really ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .ask import Reply
from .trajectory import Trajectory, evaluations


@dataclass(frozen=True)
class Rates:
    """What one evaluation is made of; constants of a run, known before it starts.

    ``stages``: denoiser evaluations in a solver step. ``forwards``: network calls in an
    evaluation (2 under classifier-free guidance). ``flops``: of one forward of one sample.
    """

    stages: int = 1
    forwards: int = 1
    flops: int = 0
    verifiers: tuple[str, ...] = ()


@dataclass
class Ledger:
    """Distinct evaluations, decodes and verifier samples asked for, each counted once."""

    rates: Rates
    nfe: int = 0
    decodes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    _masks: dict[str, int] = field(default_factory=dict, repr=False)
    _scored: set[str] = field(default_factory=set, repr=False)

    def price(self, trajectories: Iterable[Trajectory]) -> int:
        """NFE of the evaluations that are new here; nothing is charged."""
        fresh: dict[str, int] = {}
        total = 0
        for trajectory in trajectories:
            for owner, mask in evaluations(trajectory, self.rates.stages).items():
                new = mask & ~self._masks.get(owner, 0) & ~fresh.get(owner, 0)
                fresh[owner] = fresh.get(owner, 0) | new
                total += new.bit_count()
        return total

    def charge(self, trajectory: Trajectory) -> int:
        """Enter a trajectory that is to be scored; returns the NFE that it added."""
        added = 0
        for owner, mask in evaluations(trajectory, self.rates.stages).items():
            known = self._masks.get(owner, 0)
            added += (mask & ~known).bit_count()
            self._masks[owner] = known | mask
        self.nfe += added
        if trajectory.key not in self._scored:
            self._scored.add(trajectory.key)
            self.decodes += 1
        return added

    def recount(self, trajectories: Iterable[Trajectory]) -> None:
        """Start again with these alone: what was asked and never answered is not paid for."""
        self.nfe = self.decodes = 0
        self._masks.clear()
        self._scored.clear()
        for trajectory in trajectories:
            self.charge(trajectory)

    def spent(self, reply: Reply) -> None:
        """Enter the seconds that verifiers took; measured, so not part of any comparison."""
        for name, seconds in reply.cost.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def json(self) -> dict[str, Any]:
        """Every unit by name; only the verifiers' seconds do not follow from the recipes."""
        return {
            "nfe": self.nfe,
            "forwards": self.nfe * self.rates.forwards,
            "flops": self.nfe * self.rates.forwards * self.rates.flops,
            "backward": 0,
            "decodes": self.decodes,
            "verifiers": {
                name: {"samples": self.decodes, "seconds": round(self.seconds.get(name, 0.0), 6)}
                for name in self.rates.verifiers
            },
            "calls": 0,
            "tokens": 0,
            "usd": 0.0,
        }


def total(ledgers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of ledgers in their JSON form, name by name."""
    result: dict[str, Any] = {}
    for ledger in ledgers:
        for name, value in ledger.items():
            if isinstance(value, Mapping):
                result[name] = total([result.get(name, {}), value])
            else:
                result[name] = result.get(name, 0) + value
    return result
