"""The logical ledger of one search: what its asks cost by their recipes, whatever really ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .ask import GRADIENT, Ask, Gradient, Reply
from .trajectory import Trajectory, evaluations

UNITS = ("nfe", "recompute", "backward", "decodes", "forwards")  # of what physically ran
REUSED = "reused"  # evaluations of which a draft's cache left most out; where there are any
PARTS = 1024  # of an NFE: weights are whole numbers of them, so that sums of floats are exact


@dataclass(frozen=True)
class Cost:
    """What one evaluation of a draft is made of, as :class:`Rates` says it of a full one."""

    forwards: int
    flops: int


@dataclass(frozen=True)
class Rates:
    """What one evaluation is made of; constants of a run, known before it starts.

    ``stages``: denoiser evaluations in a solver step. ``forwards``: network calls in an
    evaluation (2 under classifier-free guidance). ``flops``: of one forward of one sample.
    ``gradient_cost``: NFEs that each NFE of a gradient counts against a budget (the paper's 3).
    ``whole``: of a black box, the NFE of a sample of so many steps; it has no other prices.
    ``verifiers``: the parts of each that the search is judged by; ``watched``: of those held out.
    ``drafts``: what an evaluation is made of in each named draft. ``previews``: the times at which
    a verifier looks back, each a picture more to decode.
    """

    stages: int = 1
    forwards: int = 1
    flops: int = 0
    verifiers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    watched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gradient_cost: int = 3
    drafts: Mapping[str, Cost] = field(default_factory=dict)
    previews: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    whole: Callable[[int], int] | None = None

    def cost(self, draft: str) -> Cost:
        """Of one evaluation; one whose draft is not known here is full."""
        return self.drafts.get(draft) or Cost(self.forwards, self.flops)

    def weight(self, draft: str) -> float:
        """NFE that an evaluation counts against a budget: its FLOPs over those of a full one, or
        its forwards where FLOPs are not counted; 1 for a full one."""
        if draft not in self.drafts:
            return 1
        cost = self.drafts[draft]
        share = cost.forwards / self.forwards
        if cost.flops and self.flops:
            share *= cost.flops / self.flops
        whole, rest = divmod(max(1, round(share * PARTS)), PARTS)
        return whole + rest / PARTS if rest else whole

    def evaluations(self, trajectory: Trajectory) -> dict[str, int]:
        """The distinct evaluations of a trajectory, as {owner: bit mask}."""
        if self.whole is None:
            return evaluations(trajectory, self.stages)
        return {trajectory.key: (1 << self.whole(trajectory.steps)) - 1}

    def sample(self, steps: int) -> int:
        """NFE of a whole sample of so many steps, begun at its noise."""
        return steps * self.stages if self.whole is None else self.whole(steps)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for of in self.verifiers.values() for part in of)


@dataclass
class Evaluations:
    """Those of one draft: made for samples, and gone back through for gradients."""

    nfe: int = 0
    backward: int = 0


@dataclass
class Ledger:
    """Distinct evaluations, decodes and verifier samples asked for, each counted once.

    ``nfe`` and ``backward`` are evaluations of whatever draft; ``counted`` weighs them.
    """

    rates: Rates
    decodes: int = 0
    samples: dict[str, int] = field(default_factory=dict)  # by verifier
    seconds: dict[str, float] = field(default_factory=dict)
    _by: dict[str, Evaluations] = field(default_factory=dict, repr=False)
    _masks: dict[str, int] = field(default_factory=dict, repr=False)
    _decoded: set[str] = field(default_factory=set, repr=False)
    _judged: dict[str, set[str]] = field(default_factory=dict, repr=False)  # by verifier
    _pulled: set[str] = field(default_factory=set, repr=False)

    @property
    def nfe(self) -> int:
        return sum(of.nfe for of in self._by.values())

    @property
    def backward(self) -> int:
        return sum(of.backward for of in self._by.values())

    @property
    def worth(self) -> float:
        """NFE with those of drafts by their weight: in evaluations of full quality."""
        return sum(of.nfe * self.rates.weight(q) for q, of in self._by.items())

    @property
    def counted(self) -> float:
        """What is held against a budget in NFE: a draft's evaluations count by their weight, a
        gradient's several times."""
        extra = self.rates.gradient_cost - 1
        return sum((of.nfe + extra * of.backward) * self.rates.weight(q)
                   for q, of in self._by.items())  # fmt: skip

    def price_of(self, ask: Ask) -> float:
        """NFE that an ask adds to what is counted."""
        price = self.price([ask.trajectory])
        if isinstance(ask.want, Gradient) and ask.key not in self._pulled:
            weight = self.rates.weight(ask.trajectory.draft)
            price += (self.rates.gradient_cost - 1) * self._length(ask.trajectory) * weight
        return price

    def charge_ask(self, ask: Ask) -> None:
        """Enter an ask."""
        self.charge(ask.trajectory, ask.parts(self.rates.parts))
        if isinstance(ask.want, Gradient):
            self._charge_gradient(ask.key, ask.trajectory)

    def _charge_gradient(self, key: str, trajectory: Trajectory) -> None:
        if key not in self._pulled:
            self._pulled.add(key)
            self._of(trajectory).backward += self._length(trajectory)

    def _of(self, trajectory: Trajectory) -> Evaluations:
        return self._by.setdefault(trajectory.draft, Evaluations())

    def _length(self, trajectory: Trajectory) -> int:
        """All evaluations of a trajectory, whoever else needs them."""
        masks = self.rates.evaluations(trajectory).values()
        return sum(mask.bit_count() for mask in masks)

    def price(self, trajectories: Iterable[Trajectory]) -> float:
        """NFE, by weight, of the evaluations that are new here; nothing is charged."""
        fresh: dict[str, int] = {}
        total: float = 0
        for trajectory in trajectories:
            weight = self.rates.weight(trajectory.draft)
            for owner, mask in self.rates.evaluations(trajectory).items():
                new = mask & ~self._masks.get(owner, 0) & ~fresh.get(owner, 0)
                fresh[owner] = fresh.get(owner, 0) | new
                total += new.bit_count() * weight
        return total

    def charge(self, trajectory: Trajectory, parts: Iterable[str] | None = None) -> int:
        """Enter a trajectory that is to be scored in ``parts`` (None: all that the search is
        judged by); returns the NFE that it added."""
        added = 0
        for owner, mask in self.rates.evaluations(trajectory).items():
            known = self._masks.get(owner, 0)
            added += (mask & ~known).bit_count()
            self._masks[owner] = known | mask
        self._of(trajectory).nfe += added
        if trajectory.key not in self._decoded:
            self._decoded.add(trajectory.key)
            self.decodes += 1
        self.look(trajectory, parts)
        return added

    def look(self, trajectory: Trajectory, parts: Iterable[str] | None = None) -> None:
        """Enter verifiers that look at a sample which is there, or paid for elsewhere."""
        wanted = set(self.rates.parts if parts is None else parts)
        for name, of in (*self.rates.verifiers.items(), *self.rates.watched.items()):
            judged = self._judged.setdefault(name, set())
            if not wanted.isdisjoint(of) and trajectory.key not in judged:
                judged.add(trajectory.key)
                self.samples[name] = self.samples.get(name, 0) + 1
                for time in self.rates.previews.get(name, ()):
                    back = f"{trajectory.key} {time}"
                    self.decodes += back not in self._decoded
                    self._decoded.add(back)

    def recount(self, replies: Iterable[Reply]) -> None:
        """Start again with these alone: what was asked and never answered is not paid for."""
        self.decodes = 0
        for known in (
            self._by,
            self._masks,
            self._decoded,
            self._judged,
            self._pulled,
            self.samples,
        ):
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

    def json(self, spent: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, Any]:
        """Every unit by name; only the verifiers' seconds, and what they ``spent`` by verifier and
        unit, do not follow from the recipes."""
        # Sums of prices, to a millionth of a dollar.
        spent = {name: {unit: round(n, 6) for unit, n in units.items()}
                 for name, units in (spent or {}).items()}  # fmt: skip
        made = [(of, self.rates.cost(q)) for q, of in self._by.items()]
        drafts = {q: self._by.get(q, Evaluations()).nfe for q in self.rates.drafts}
        return {
            "nfe": self.nfe,
            **({"drafts": drafts} if drafts else {}),
            "counted": self.counted,
            "recompute": self.backward,
            "backward": self.backward,
            "forwards": sum((of.nfe + of.backward) * cost.forwards for of, cost in made),
            # A backward pass is about two forwards' worth (arXiv 2001.08361, Section 2.1).
            "flops": sum(
                (of.nfe + 3 * of.backward) * cost.forwards * cost.flops for of, cost in made
            ),
            "decodes": self.decodes,
            "verifiers": {
                name: {
                    "samples": self.samples.get(name, 0),
                    "seconds": round(self.seconds.get(name, 0.0), 6),
                    **spent.get(name, {}),
                }
                for name in (*self.rates.verifiers, *self.rates.watched)
            },
            **{
                unit: round(
                    sum(n for of in spent.values() for u, n in of.items() if u.startswith(unit)), 6
                )
                for unit in ("calls", "tokens", "usd")
            },
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
