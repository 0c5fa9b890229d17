"""What a search has from its run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..candidates.condition import Condition
from ..candidates.ledger import Ledger
from ..candidates.trajectory import FULL
from ..objectives.sets import SetObjective


@dataclass(frozen=True)
class RunFacts:
    """What a run says of one search beside its problem: names, seed, what it may spend.

    ``algorithm``: its name. ``seed``: the run's. ``ledger``: what the search has spent; ``limit``:
    NFE that it may spend (inf under a clock alone). ``draft``: of its candidates, unless it asks
    for another. ``differentiable``: the parts whose verifiers have gradients. ``sets``: of a joint
    search, how sets are compared; ``companions``: its other conditions. ``start``: blob keys of
    the user's own first noises, by the condition's key. ``notes``: what the algorithm said.
    """

    algorithm: str
    seed: int
    ledger: Ledger
    limit: float = math.inf
    draft: str = FULL
    differentiable: frozenset[str] = frozenset()
    sets: SetObjective | None = None
    companions: tuple[Condition, ...] = ()
    start: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def stages(self) -> int:
        """NFEs in a step of the run's solver."""
        return self.ledger.rates.stages

    @property
    def weight(self) -> float:
        """What an evaluation of a candidate counts in NFE; below 1 where candidates are drafts."""
        return self.ledger.rates.weight(self.draft)
