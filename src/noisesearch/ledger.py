"""The logical ledger of one search: what its asks cost by their recipes, whatever really ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .ask import GRADIENT, Ask, Gradient, Reply
from .trajectory import Trajectory, evaluations


@dataclass(frozen=True)
class Rates:
    """What one evaluation is made of; constants of a run, known before it starts.

    ``stages``: denoiser evaluations in a solver step. ``forwards``: network calls in an
    evaluation (2 under classifier-free guidance). ``flops``: of one forward of one sample.
    ``gradient_cost``: NFEs that each NFE of a gradient counts against a budget (the paper's 3).
    ``verifiers``: the parts of each that the search is judged by; ``watched``: of those held out.
    """

    stages: int = 1
    forwards: int = 1
    flops: int = 0
    verifiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    watched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gradient_cost: int = 3

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for of in self.verifiers.values() for part in of)


@dataclass
class Ledger:
    """Distinct evaluations, decodes and verifier samples asked for, each counted once."""

    rates: Rates
    nfe: int = 0
    decodes: int = 0
    backward: int = 0
    samples: dict[str, int] = field(default_factory=dict)  # by verifier
    seconds: dict[str, float] = field(default_factory=dict)
    _masks: dict[str, int] = field(default_factory=dict, repr=False)
    _decoded: set[str] = field(default_factory=set, repr=False)
    _judged: set[tuple[str, str]] = field(default_factory=set, repr=False)
    _pulled: set[str] = field(default_factory=set, repr=False)

    @property
    def counted(self) -> int:
        """What is held against a budget in NFE: a gradient's evaluations count several times."""
        return self.nfe + (self.rates.gradient_cost - 1) * self.backward

    def price_of(self, ask: Ask) -> int:
        """NFE that an ask adds to what is counted."""
        price = self.price(ask.trajectories)
        if isinstance(ask.want, Gradient) and ask.key not in self._pulled:
            price += (self.rates.gradient_cost - 1) * self._length(ask.trajectory)
        return price

    def charge_ask(self, ask: Ask) -> None:
        """Enter an ask."""
        for trajectory in ask.trajectories:
            self.charge(trajectory, ask.parts(self.rates.parts))
        if isinstance(ask.want, Gradient):
            self._charge_gradient(ask.key, ask.trajectory)

    def _charge_gradient(self, key: str, trajectory: Trajectory) -> None:
        if key not in self._pulled:
            self._pulled.add(key)
            self.backward += self._length(trajectory)

    def _length(self, trajectory: Trajectory) -> int:
        """All evaluations of a trajectory, whoever else needs them."""
        masks = evaluations(trajectory, self.rates.stages).values()
        return sum(mask.bit_count() for mask in masks)

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

    def charge(self, trajectory: Trajectory, parts: Iterable[str] | None = None) -> int:
        """Enter a trajectory that is to be scored in ``parts`` (None: all that the search is
        judged by); returns the NFE that it added."""
        added = 0
        for owner, mask in evaluations(trajectory, self.rates.stages).items():
            known = self._masks.get(owner, 0)
            added += (mask & ~known).bit_count()
            self._masks[owner] = known | mask
        self.nfe += added
        if trajectory.key not in self._decoded:
            self._decoded.add(trajectory.key)
            self.decodes += 1
        wanted = set(self.rates.parts if parts is None else parts)
        for name, of in (*self.rates.verifiers.items(), *self.rates.watched.items()):
            if not wanted.isdisjoint(of) and (name, trajectory.key) not in self._judged:
                self._judged.add((name, trajectory.key))
                self.samples[name] = self.samples.get(name, 0) + 1
        return added

    def recount(self, replies: Iterable[Reply]) -> None:
        """Start again with these alone: what was asked and never answered is not paid for."""
        self.nfe = self.decodes = self.backward = 0
        for known in (self._masks, self._decoded, self._judged, self._pulled, self.samples):
            known.clear()
        for reply in replies:
            self.charge(reply.trajectory, (*reply.parts, *reply.missing))
            for key in reply.blobs:
                if key.startswith(GRADIENT):
                    self._charge_gradient(key, reply.trajectory)

    def spent(self, reply: Reply) -> None:
        """Enter the seconds that verifiers took; measured, so not part of any comparison."""
        for name, seconds in reply.cost.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def json(self) -> dict[str, Any]:
        """Every unit by name; only the verifiers' seconds do not follow from the recipes."""
        forwards = (self.nfe + self.backward) * self.rates.forwards
        return {
            "nfe": self.nfe,
            "counted": self.counted,
            "recompute": self.backward,
            "backward": self.backward,
            "forwards": forwards,
            # A backward pass is about two forwards' worth (arXiv 2001.08361, Section 2.1).
            "flops": (forwards + 2 * self.backward * self.rates.forwards) * self.rates.flops,
            "decodes": self.decodes,
            "verifiers": {
                name: {
                    "samples": self.samples.get(name, 0),
                    "seconds": round(self.seconds.get(name, 0.0), 6),
                }
                for name in (*self.rates.verifiers, *self.rates.watched)
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
