"""auto: the algorithm and its parameters by what a search may spend and what the model offers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field

from ..candidates.space import Known
from ..candidates.trajectory import FULL
from ..names.drafts import parse
from .agreement import LEAST
from .draft import PREFERRED, ROUND, Drafting, DraftThenCommit
from .initial_noise import RandomSearch, ZeroOrder
from .problem import Algorithm, Problem, Search
from .step_search import Beam

# Of candidates' worth, for each kind of draft, by benchmarks/results/efficiency-*.json and
# algorithms.json: below the first figure a draft has nothing to choose from; above the second a
# climb beats chance.
FEWEST = {"fast": 3, "quarter": 6}
CLIMB = 48
# Candidates in full: 1.5 and this share of the budget; and a second look at the drafts is worth
# the larger of these shares of the first, the latter over the budget. Found on prompts that no
# benchmark has (training/README.md).
FULL_SHARE, TAPER = {"fast": 0.125, "quarter": 0.25}, (0.25, 3.0)
NEXT = "fast2"  # a drafter's second look at what its first liked
DEAR = 0.5  # share of a candidate at which a look at a draft, verified, is no bargain
# Beam search: how many states go on by the candidates' worth from which they do (found as the
# shares above); steps that there must be to choose on; ways where only a clock ends the search;
# and NFE of a look at a preview for each step from one look to the next.
KEEP = {2: 1, 4: 2, 24: 4}
STEPS, WAYS, LOOK = 4, 4, 0.5


class Auto(Drafting):
    """What fits the budget, the model and its verifiers, by this project's own measurements.

    Where a solver may inject noise, that noise is searched at every step (:class:`Beam`), a few
    states at a time. It may where the user asked for no other solver, no first noise, draft or
    other final steps and for one winner, where a look at a preview moves no networks, and where
    neither a person nor a paid service has to look; a black box has no steps to look at.
    Elsewhere, with a drafter of few steps that shares the noise's mapping (a model's draft
    ``fast``): many drafts, a second look at the best where there is a ``fast2``, and the best of
    those in full (:class:`DraftThenCommit`); the more candidates' worth there are, the smaller the
    share that is made in full. With fewer steps alone (``quarter``) the same from a larger budget
    on. Where neither is there or a look is dear (``look`` says so, or the verifier is one of
    those): Random Search, and from 48 candidates' worth on Zero-Order Search, whose climb needs
    that many to overtake chance. It says what it took, and why.

    Price: that of what it takes; never above the budget.
    """

    name: ClassVar[str] = "auto"
    needs: ClassVar[str] = "samples; previews where a solver may inject noise, or drafts"
    price: ClassVar[str] = "the budget"

    injected: bool | None = Field(
        default=None, description="whether the noise that a solver injects is searched; default: "
        "where nothing was asked for that stands against it",
    )  # fmt: skip
    look: float | None = Field(
        default=None, ge=0, description="NFE that a look of the verifiers is worth; default: 0, "
        "and without end for people and paid services",
    )  # fmt: skip

    @property
    def stochastic(self) -> bool:
        return bool(self.injected)

    def unbound(self) -> Self:
        asked = self.injected is not None or self.draft
        return self if asked else self.model_copy(update={"injected": True})

    def with_names(self, named: Mapping[str, str], steps: int) -> Self:
        if self.draft or self.injected:
            return self.at(self.draft, named)
        # Those of the model's usual steps may be none of a run that has fewer.
        cheap = [name for name, text in named.items() if 2 * (parse(text).steps or 1) <= steps]
        first = next((name for name in PREFERRED if name in cheap), None)
        names = [first, NEXT] if first == "fast" and NEXT in cheap else [first] if first else []
        return self.at(names, named)

    def with_run_facts(self, known: Known) -> Self:
        """Return the algorithm with the price of a preview that the run's verifiers imply."""
        if self.look is not None:
            return self
        return self.model_copy(update={"look": math.inf if known.slow_or_paid else 0.0})

    def __call__(self, problem: Problem) -> Search:
        chosen, why = self.pick(problem)
        problem.note(f"auto took {chosen.name}: {why}")
        winners = yield from chosen(problem)
        return winners

    def pick(self, problem: Problem) -> tuple[Algorithm, str]:
        """What a problem is searched by, and the reason in words."""
        candidate = problem.worth()
        worth = problem.budget / candidate
        much = "a clock" if math.isinf(worth) else f"{worth:.3g} candidates' worth"
        if self.injected and problem.space.stochastic:
            return self._along(problem, worth, much)
        drafts = [q for q in self.draft if q in problem.space.drafts]
        if drafts and problem.run.draft == FULL:
            price = problem.worth(drafts[0])
            cheap = price + (self.look or 0.0) <= DEAR * candidate
            kind = "fast" if price <= candidate / 6 else "quarter"
            if cheap and worth >= FEWEST[kind]:
                round_ = ROUND if math.isinf(worth) else worth
                full = round(1.5 + FULL_SHARE[kind] * round_)
                chosen = DraftThenCommit(
                    draft=tuple(drafts), commit=full, probes=0.0,
                    # A first round that is too short to tell whether drafts are poor only parts
                    # the drafts that the best are chosen among.
                    taper=max(TAPER[0], TAPER[1] / round_), rounds=2 if full >= 2 * LEAST else 1,
                )  # fmt: skip
                return chosen, (
                    f"{much}, and a draft ({drafts[0]}) counts {price / candidate:.2g} of one"
                )
        if worth >= CLIMB and not math.isinf(worth):
            return ZeroOrder(), f"{much}, enough for a climb, and no draft that pays"
        return RandomSearch(), f"{much}, and no draft that pays"

    def _along(self, problem: Problem, worth: float, much: str) -> tuple[Algorithm, str]:
        """Of a run whose solver injects noise."""
        every = max(1, math.ceil(min(self.look or 0.0, problem.steps) / LOOK))
        keep = [states for least, states in KEEP.items() if worth >= least]
        if STEPS * every > problem.steps or not keep:
            return RandomSearch(), f"{much}, and no looks on the way that pay"
        if math.isinf(worth):  # one descent after the other, each of which comes to its end soon
            chosen = Beam(keep=KEEP[4], every=every, candidates=WAYS)
        else:
            chosen = Beam(keep=keep[-1], every=every)
        return chosen, f"{much}, and a solver that injects noise to choose from at every step"
