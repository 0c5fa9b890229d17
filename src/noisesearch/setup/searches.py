"""The searches of a run: their budgets, objectives and plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from ..algorithms.problem import Problem
from ..algorithms.run_facts import RunFacts
from ..candidates.budget import GAIN, Budget
from ..candidates.ledger import Ledger
from ..driver.allocation import Allocation
from ..driver.joint_record import JointRecord
from ..driver.live_search import LiveSearch
from ..driver.plan import Plan, Width, final_price, plan, usual_widths
from ..driver.search_record import SearchRecord, SearchSettings
from ..driver.stopping import Enough, Target
from ..errors import ConfigError
from ..objectives import sets_text
from ..objectives import text as objective_text
from ..objectives.sets import Mean, NoOrder, SetObjective
from ..objectives.single import Objective
from . import refusals, set_objective
from .loaded import Loaded
from .prices import Prices


class Searches:
    """Builds the searches of a loaded run under one budget, and plans them."""

    def __init__(self, loaded: Loaded, budget: Budget) -> None:
        self.loaded, self.budget = loaded, budget
        self.prices = Prices(loaded)
        self._rehearsed: LiveSearch | None = None

    @classmethod
    def of(cls, loaded: Loaded) -> Searches:
        """Return those of a run under its own budget."""
        return cls(loaded, loaded.spec.budget)

    def completed(self, loaded: Loaded) -> Searches:
        """Return the same searches under a spec that has rows, scales and fingerprints too."""
        found = Searches(loaded, self.budget)
        found._rehearsed = self._rehearsed
        # What was not needed yet is built under the complete spec, in batches of its rows.
        for name in {"sets", "objective"} & vars(self).keys():
            setattr(found, name, getattr(self, name))
        return found

    @cached_property
    def limit(self) -> float:
        """Return the NFE that one search may spend, the final generation set aside."""
        if not self.budget.counted:
            return math.inf
        # 20 candidates are 20 at search steps and the final one on top of nothing.
        whole = self._whole
        reserve = self._reserve(whole)
        limit = whole - reserve
        refusals.check_limit(self.loaded, self.prices, self.budget, limit, reserve)
        return limit

    def with_final(self) -> Budget:
        """Return a counted budget for the search with its final generation on top, in NFE."""
        whole = self._whole
        if self.loaded.spec.drafted:
            final = self.prices.sample(self.loaded.spec.final_steps)
            whole += self._reserve(whole + final * self.prices.finalists)
        return Budget(whole * self.prices.count / len(self.loaded.conditions))

    @property
    def _whole(self) -> float:
        """NFE of one search by a counted budget, its final generation included."""
        conditions = len(self.loaded.conditions)
        share = self.budget.share(conditions) * conditions / self.prices.count
        return share * self.prices.units[self.budget.unit]

    def _reserve(self, whole: float) -> float:
        """NFE set aside for the final generation; none where the winners are finished already."""
        if not self.loaded.spec.drafted:
            return 0
        least = self.prices.sample(self.loaded.spec.final_steps) * self.prices.finalists
        if whole < least + self.prices.candidate:
            return least
        # A trajectory that was renoised has more legs to finish than a plain one.
        made_up = final_price(self._rehearsal(whole - least), self.loaded.algorithm)
        return max(least, made_up)

    @cached_property
    def sets(self) -> SetObjective | None:
        """Return the objective of a joint search."""
        loaded = self.loaded
        given = sets_text.parse(loaded.spec.objective)
        if given is None:
            return Mean() if loaded.joint else None
        if not loaded.joint:
            raise ConfigError(
                f"objective {loaded.spec.objective!r} compares sets, but algorithm "
                f"{loaded.algorithm.name!r} compares single candidates; choose --algorithm "
                "population"
            )
        return set_objective.build(given, loaded)

    @cached_property
    def objective(self) -> Objective:
        """Return the objective of single candidates."""
        from ..verifiers import capabilities

        loaded, sets = self.loaded, self.sets
        if sets is not None and sets.features is not None:
            return NoOrder(loaded.part_names)
        scales = loaded.spec.scales or loaded.scales
        if not loaded.spec.objective:  # guards say what must not fall, not what is wanted
            reported = {p for v in loaded.verifiers for p in capabilities.reported(v)}
            left_out = reported | loaded.guards.keys()
            scales = {p: s for p, s in scales.items() if p not in left_out} or scales
        return objective_text.parse(loaded.spec.objective, scales, code=True)

    def _record(self, index: int, limit: float) -> SearchRecord:
        """What one search is made of, with nothing asked yet."""
        loaded, spec, rates = self.loaded, self.loaded.spec, self.prices.rates
        smooth = frozenset(p for v in loaded.verifiers if v.differentiable for p in v.parts)
        first, *others = self.prices.groups[index]
        noises = spec.start.noises if spec.start else ()
        start = {c.key: key for c, key in zip(loaded.conditions, noises, strict=False)}
        facts = RunFacts(
            loaded.algorithm.name, spec.seed, Ledger(rates), limit, spec.draft, smooth, self.sets,
            tuple(others), start,
        )  # fmt: skip
        problem = Problem(first, loaded.space, self.objective, spec.steps, facts)
        settings = SearchSettings(
            index, spec.final_steps, spec.top, self.prices.finalists, loaded.guards,
            watch=tuple(part for v in loaded.watch for part in v.parts), limits=self._limits(),
        )  # fmt: skip
        return (JointRecord if loaded.joint else SearchRecord)(problem, settings)

    def _rehearsal(self, limit: float) -> LiveSearch:
        """The one search that is planned with, as if it began now."""
        record = self._record(0, limit)
        if self._rehearsed is None:
            self._rehearsed = LiveSearch(record)
        return self._rehearsed.restart(record)

    def _limits(self) -> Enough | None:
        """What may end a search before its budget does."""
        text, patience = self.loaded.spec.target, self.loaded.spec.patience
        if not text and patience is None:
            return None
        target = Target.parse(text, self.loaded.part_names) if text else None
        worth = math.inf if patience is None else patience * self.prices.candidate
        return Enough(self.prices.rates, target, worth)

    def first(self) -> LiveSearch:
        """Return the first of the searches, to plan with; it begins anew at each call."""
        return self._rehearsal(self.limit)

    def plan(self) -> Plan:
        """Return what one search would cost."""
        return plan(self.first, self.loaded.algorithm)

    def widths(self) -> dict[str, Width]:
        """Return how many samples of each draft the algorithm usually asks for at once."""
        return usual_widths(self.first(), self.loaded.algorithm)

    def all(self) -> list[LiveSearch]:
        """Return every search of the run.

        Raises:
            ConfigError: for what cannot be, before there is a folder.
        """
        refusals.check_together(self.loaded)
        refusals.check_verifiers(self.loaded)
        refusals.check_budget(self.loaded, self.budget)
        refusals.check_allocation(self.loaded, self.budget)
        first = self.first()
        # What an algorithm refuses it refuses at its first yield.
        refusals.check_asks(self.loaded, first.start(self.loaded.algorithm))
        if self.loaded.space.black_box:  # what it asks later is refused before a folder too
            self.widths()
        shared = self.allocation()
        return self.allotted(shared.amounts if shared else [self.limit] * self.prices.count)

    def allotted(self, limits: Sequence[float]) -> list[LiveSearch]:
        """Return the searches with so many NFE each."""
        return [LiveSearch(self._record(i, limit)) for i, limit in enumerate(limits)]

    def allocation(self) -> Allocation | None:
        """Return how a run's budget is given out; None where every search has its own."""
        if self.loaded.spec.allocate != GAIN:
            return None
        total = self.budget.amount * self.prices.units[self.budget.unit]
        return Allocation(total, self.prices.candidate, self.prices.count)
