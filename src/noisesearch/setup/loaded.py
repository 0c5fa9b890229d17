"""Everything a run needs, loaded, and the searches and workers that are made of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

from ..algorithms.problem import Algorithm, Problem
from ..candidates.budget import Budget
from ..candidates.condition import Condition
from ..candidates.ledger import Cost, Ledger, Rates
from ..candidates.space import Space
from ..candidates.trajectory import FULL, Grid
from ..driver import allocation
from ..driver.joint_search import JointSearch
from ..driver.live_search import LiveSearch
from ..driver.plan import final_price, usual_widths
from ..driver.stopping import Enough, Target
from ..errors import ConfigError, StoreError
from ..files.fingerprint import of_file
from ..models.choice import as_it_runs, at_size, model_of, with_call_arguments
from ..models.protocol import Model
from ..objectives import sets_text
from ..objectives import text as objective_text
from ..objectives.sets import Mean, NoOrder, SetObjective
from ..objectives.single import Objective
from ..store.given_images import InputImages
from ..store.spec import RunSpec
from . import memory, refusals, residence, set_objective
from .hardware import place
from .python_objects import PythonObjects
from .selection import algorithm_of, verifier_of, with_run_facts
from .start import StartNoises

if TYPE_CHECKING:
    from ..candidates.noise import Array
    from ..models.drafts.weights import Drafted
    from ..sampling.denoiser import Denoiser
    from ..sampling.sampler import Sampler
    from ..sampling.solvers import Solver
    from ..verifiers.protocol import Verifier
    from ..worker.black_box import BlackBoxWorker
    from ..worker.draft_workers import DraftWorkers
    from ..worker.engine import Worker
    from ..worker.scoring import Sink, Source

TIMED = 2  # evaluations that a plan's seconds come from


@dataclass
class Loaded:
    """Everything a run needs, loaded; fingerprints are those of what was loaded.

    ``drafts``: the drafts beside full that can be asked for, by their text. ``start``: of a new
    run, the user's own first noises, which its folder is yet to keep.
    """

    spec: RunSpec
    model: Model
    algorithm: Algorithm
    verifiers: list[Verifier]
    denoiser: Denoiser | Sampler
    conditions: list[Condition]
    watch: list[Verifier] = field(default_factory=list)
    drafts: Mapping[str, Drafted] = field(default_factory=dict)
    start: StartNoises | None = None
    images: InputImages = field(default_factory=InputImages)

    @classmethod
    def load(cls, spec: RunSpec, given: PythonObjects = PythonObjects()) -> Loaded:
        import torch

        from ..worker.residence import keep_buffers

        torch.set_num_threads(spec.threads)
        if spec.device == "cpu":
            keep_buffers()
        place(spec.device)
        named = at_size(given.model or model_of(spec.model), spec.size)
        model = with_call_arguments(as_it_runs(named, spec.solver), spec.call, given.images)
        algorithm = given.algorithm or algorithm_of(spec.algorithm, spec.parameters)
        verifiers = [given.verifiers.get(n) or verifier_of(n, model) for n in spec.verifiers]
        denoiser = memory.built(model, spec)
        conditions = [Condition(**c) for c in spec.conditions]
        watch = [given.verifiers.get(n) or verifier_of(n, model) for n in spec.watch]
        found = cls(spec, model, algorithm, verifiers, denoiser, conditions, watch)
        return replace(found, images=given.images).serving(spec, algorithm)

    def serving(self, spec: RunSpec, algorithm: Algorithm) -> Loaded:
        """For a spec of another algorithm, drafts and budget: what is loaded serves again."""
        from ..models.drafts.weights import loaded

        drafts = loaded(spec, self.model, self.denoiser, self.conditions, self.drafts)
        return replace(self, spec=spec, algorithm=with_run_facts(algorithm, self), drafts=drafts)

    @property
    def notice(self) -> str:
        """What is to be said of model, solver and verifiers before they run; a sentence each."""
        why = str(getattr(self.model, "why", ""))
        return "; ".join(filter(None, [why, self._steps_otherwise(), *self._looks_back()]))

    def _steps_otherwise(self) -> str:
        """That an algorithm took another solver than the model's own."""
        other = getattr(self.algorithm, "stochastic", False)
        if not other or self.spec.solver == self.model.solver:
            return ""
        return (f"algorithm {self.algorithm.name!r} looks for the noise that a solver injects, so "
                f"all is sampled by {self.spec.solver} in place of {self.model.solver}, the "
                "baseline too")  # fmt: skip

    def _looks_back(self) -> Iterator[str]:
        """At which times verifiers look back on a sample."""
        from ..verifiers.protocol import previews_of

        for verifier in (*self.verifiers, *self.watch):
            for wanted in previews_of(verifier):
                import torch

                from ..worker.jobs import Levels
                from ..worker.previews import nearest

                grid = Grid(self.spec.steps, 1.0, 0.0)
                levels = Levels.of(torch.tensor(self.space.times(grid), dtype=torch.float64))
                used = nearest(cast("Denoiser", self.denoiser).process, levels, wanted)[1]
                yield (f"verifier {verifier.name!r} looks back at time {used:.3g}, the level "
                       f"nearest to {wanted:g} of {self.spec.steps} steps")  # fmt: skip

    @property
    def fingerprints(self) -> dict[str, str]:
        prints = {f"verifier {v.name}": v.fingerprint for v in (*self.verifiers, *self.watch)}
        if (form := sets_text.parse(self.spec.objective)) and form.reference is not None:
            prints[f"reference {form.reference}"] = of_file(form.reference)
        prints |= getattr(self.algorithm, "fingerprints", {})
        prints |= {f"draft {q}": d.fingerprint for q, d in self.drafts.items() if d.fingerprint}
        return {f"model {self.spec.model}": self.model.fingerprint, **prints}

    def check_fingerprints(self, folder: object) -> None:
        """Refuse to go on with other weights: old and new scores would be mixed."""
        for name, recorded in self.spec.fingerprints.items():
            now = self.fingerprints.get(name)
            if now != recorded:
                raise StoreError(
                    f"{folder} was made with other weights: {name} was {recorded}, is {now}; "
                    "install those weights again or start a new run with --out"
                )

    @property
    def scales(self) -> dict[str, float]:
        return {part: s for v in self.verifiers for part, s in v.scale.items()}

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for v in self.verifiers for part in v.parts)

    @property
    def guards(self) -> dict[str, float]:
        """Parts that must not fall below the baseline's, with their scales."""
        named = zip(self.spec.verifiers, self.verifiers, strict=True)
        of = [v for name, v in named if name in self.spec.guard]
        return {part: v.scale[part] for v in of for part in v.parts}

    @property
    def solver(self) -> Solver:
        from ..sampling.solvers import solver

        return solver(self.spec.solver)

    @property
    def sampler(self) -> Sampler | None:
        """What makes samples as a whole, where the model is a black box."""
        return cast("Sampler", self.denoiser) if self.space.black_box else None

    @cached_property
    def space(self) -> Space:
        """The model's, with what solver, drafts and loaded weights say of it."""
        space = self.model.space()
        if space.black_box:
            return replace(space, shape=self.denoiser.shape)
        searched = self.drafts.get(self.spec.draft)
        full = self.spec.steps if searched is None else self.spec.final_steps
        smooth = space.differentiable if searched is None else searched.differentiable
        return replace(
            space,
            stochastic=self.solver.stochastic,
            differentiable=smooth,
            drafts={FULL: full, **{name: d.steps for name, d in self.drafts.items()}},
        )

    def rates(self) -> Rates:
        searched, watched = ({v.name: tuple(v.parts) for v in of}
                             for of in (self.verifiers, self.watch))  # fmt: skip
        from ..verifiers.protocol import previews_of

        of, sampler = self.denoiser, self.sampler
        stages, whole = (1, sampler.price) if sampler else (self.solver.price(), None)
        costs = {q: Cost(d.denoiser.forwards, d.denoiser.flops) for q, d in self.drafts.items()}
        back = {v.name: previews_of(v) for v in (*self.verifiers, *self.watch)}
        return Rates(stages, of.forwards, of.flops, searched, watched, drafts=costs,
                     previews=back, whole=whole)  # fmt: skip

    def price(self, steps: int, draft: str = FULL) -> float:
        """NFE that one sample counts."""
        rates = self.rates()
        return rates.sample(steps) * rates.weight(draft)

    def price_of(self, draft: str) -> float:
        """NFE that one candidate of a draft counts."""
        return self.price(self.drafts[draft].steps, draft)

    @property
    def candidate(self) -> float:
        """NFE of one candidate as the search has them."""
        return self.price(self.spec.steps, self.spec.draft)

    @property
    def drafted(self) -> bool:
        """True where winners are finished otherwise than the search sees them."""
        return self.spec.final_steps != self.spec.steps or self.spec.draft != FULL

    def seconds_per_nfe(self) -> float:
        """Measured on batches of the run's width; for plans, which promise nothing."""
        import torch

        from ..sampling.denoiser import DENOISE, READ

        if self.sampler is not None:
            return self.sampler.seconds_per_nfe
        denoiser = cast("Denoiser", self.denoiser)
        rows, shape = self.spec.rows, denoiser.shape
        x = torch.zeros(rows, *shape, device=self.spec.device)
        t = torch.ones(rows, dtype=torch.float64, device=self.spec.device)
        of = residence.residence(self)
        with torch.inference_mode():
            of.enter(READ)
            encoded = denoiser.encode([self.conditions[0]] * rows)
            of.enter(DENOISE)
            denoiser(x, t, encoded)  # the first call also sets things up
            started = time.perf_counter()
            for _ in range(TIMED):
                x0, _ = denoiser(x, t, encoded)
            x0.sum().item()  # waits for the device
            seconds = time.perf_counter() - started
        of.close()
        return seconds / (rows * TIMED)

    @property
    def joint(self) -> bool:
        """True where one search is made for all conditions together."""
        return bool(getattr(self.algorithm, "joint", False))

    def limit(self, budget: Budget) -> float:
        """NFE that one search may spend, the final generation set aside."""
        if not budget.counted:
            return math.inf
        # 20 candidates are 20 at search steps and the final one on top of nothing.
        whole = self._whole(budget)
        reserve = self._reserve(whole)
        limit = whole - reserve
        refusals.check_limit(self, budget, limit, reserve)
        return limit

    def with_final(self, budget: Budget) -> Budget:
        """A counted budget for the search alone with its final generation on top, in NFE."""
        whole = self._whole(budget)
        if self.drafted:
            whole += self._reserve(whole + self.price(self.spec.final_steps) * self.finalists)
        return Budget(whole * self.count / len(self.conditions))

    @property
    def count(self) -> int:  # of searches
        return 1 if self.joint else len(self.conditions)

    @property
    def worth(self) -> Mapping[str, float]:
        """NFE of one of each unit that budgets are counted in."""
        return {"nfe": 1.0, "forwards": 1 / self.denoiser.forwards, "candidates": self.candidate}

    def _whole(self, budget: Budget) -> float:
        """NFE of one search by a counted budget, its final generation included."""
        conditions = len(self.conditions)
        return budget.share(conditions) * conditions / self.count * self.worth[budget.unit]

    def _reserve(self, whole: float) -> float:
        """NFE set aside for the final generation; nothing where the winners are there already."""
        if not self.drafted:
            return 0
        least = self.price(self.spec.final_steps) * self.finalists
        if whole < least + self.candidate:
            return least
        # A trajectory that was renoised has more legs to finish than a plain one.
        return max(least, final_price(self._search(0, whole - least), self.algorithm))

    @property
    def finalists(self) -> int:
        """How many winners are finished at the final steps."""
        if self.joint:
            return getattr(self.algorithm, "size", None) or len(self._searched()[0])
        if not self.drafted:
            return self.spec.top
        return max(self.spec.top, getattr(self.algorithm, "finalists", 1))

    def _searched(self) -> list[tuple[Condition, ...]]:
        """The conditions of each search; a joint one has every condition once."""
        if self.joint:
            return [tuple(dict.fromkeys(self.conditions))]
        return [(condition,) for condition in self.conditions]

    @cached_property
    def sets(self) -> SetObjective | None:
        """What a joint search is led by."""
        given = sets_text.parse(self.spec.objective)
        if given is not None:
            if not self.joint:
                raise ConfigError(
                    f"objective {self.spec.objective!r} compares sets, but algorithm "
                    f"{self.algorithm.name!r} compares single candidates; choose --algorithm "
                    "population"
                )
            return set_objective.build(given, self)
        return Mean() if self.joint else None

    def _objective(self) -> Objective:
        sets = self.sets
        if sets is not None and sets.features is not None:
            return NoOrder(self.parts)
        scales = self.spec.scales or self.scales
        if not self.spec.objective:  # guards say what must not fall, not what is wanted
            beside = {p for v in self.verifiers for p in getattr(v, "beside", ())}
            left_out = beside | self.guards.keys()
            scales = {p: s for p, s in scales.items() if p not in left_out} or scales
        return objective_text.parse(self.spec.objective, scales)

    def _search(self, index: int, limit: float) -> LiveSearch:
        smooth = frozenset(p for v in self.verifiers if v.differentiable for p in v.parts)
        first, *others = self._searched()[index]
        noises = self.spec.start.noises if self.spec.start else ()
        start = {c.key: key for c, key in zip(self.conditions, noises, strict=False)}
        problem = Problem(
            first, self.space, self._objective(), self.spec.steps, self.algorithm.name,
            self.spec.seed, Ledger(self.rates()), limit, smooth, self.sets,
            companions=tuple(others), start=start, draft=self.spec.draft,
        )  # fmt: skip
        watch = tuple(part for v in self.watch for part in v.parts)
        kind = JointSearch if self.joint else LiveSearch
        return kind(index, problem, self.spec.final_steps, self.spec.top, problem.ledger,
                    Ledger(self.rates()), self.finalists, self.guards, watch,
                    limits=self._limits())  # fmt: skip

    def _limits(self) -> Enough | None:
        """What may end a search before its budget does."""
        text, patience = self.spec.target, self.spec.patience
        if not text and patience is None:
            return None
        target = Target.parse(text, self.parts) if text else None
        worth = math.inf if patience is None else patience * self.candidate
        return Enough(self.rates(), target, worth)

    def search(self, budget: Budget) -> LiveSearch:
        """The first of the searches, to plan with."""
        return self._search(0, self.limit(budget))

    def searches(self, budget: Budget) -> list[LiveSearch]:
        """All of a run's; ConfigError for what cannot be, before there is a folder."""
        refusals.check_together(self)
        refusals.check_verifiers(self)
        refusals.check_budget(self, budget)
        refusals.check_allocation(self, budget)
        limit = self.limit(budget)
        first = self._search(0, limit)
        # What an algorithm refuses it refuses at its first yield.
        asks = first.start(self.algorithm)
        refusals.check_asks(self, asks)
        if self.space.black_box:  # what it asks later is refused before there is a folder too
            usual_widths(self._search(0, limit), self.algorithm)
        shared = allocation.of(self, budget)
        return self.allotted(shared.amounts if shared else [limit] * self.count)

    def allotted(self, limits: Sequence[float]) -> list[LiveSearch]:
        """The searches with so many NFE each."""
        return [self._search(i, limit) for i, limit in enumerate(limits)]

    def worker(
        self,
        sink: Sink | None,
        fetch: Callable[[str], Array] | None = None,
        source: Source | None = None,
        rows: int | None = None,
        narrowed: Callable[[int], None] | None = None,
    ) -> Worker | DraftWorkers | BlackBoxWorker:
        """What answers a run's asks; see :func:`noisesearch.setup.workers.of`."""
        from .workers import of

        return of(self, sink, fetch, source, rows, narrowed)
