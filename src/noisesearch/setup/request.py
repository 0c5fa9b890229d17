"""A request: what a user asks for, and the loaded parts that it comes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..algorithms.problem import Algorithm
from ..candidates.budget import EVEN, GAIN, MAX_MISSING, Budget
from ..candidates.condition import Condition
from ..candidates.trajectory import FULL
from ..driver.plan import Plan, Width, plan, usual_widths
from ..errors import ConfigError
from ..models import choice
from ..models.black_box.call import plain
from ..models.choice import as_it_runs, as_model, at_size, placement, with_call_arguments
from ..models.protocol import Model
from ..names import registry
from ..names.drafts import parse
from ..objectives import sets_text
from ..store.given_images import InputImages
from ..store.spec import RunSpec
from ..verifiers import slow as away
from . import hardware, memory, python_objects
from . import selection as build
from .loaded import Loaded
from .python_objects import PythonObjects
from .start import start_of

if TYPE_CHECKING:
    from ..verifiers.protocol import Verifier

ROWS = (4, 32)  # a batch is at least and at most this wide unless asked otherwise
# Matrix products take rows by fours, and those left over otherwise: at 5 or 6 rows a row's last
# bits depend on its slot, at multiples of four they do not.
ROWS_STEP = 4


@dataclass
class Request:
    """What a user asked for, not yet resolved; None takes the model's own choice."""

    prompts: Sequence[str | None]
    model: Any = "shapes"  # a name, a folder, a hub id, a Model, a pipeline of diffusers
    verifier: Any = "ensemble"
    watch: Any = ()
    guard: Any = ()
    algorithm: str | Algorithm = "auto"
    parameters: dict[str, Any] = field(default_factory=dict)
    budget: str | int | float | Budget = 640
    allocate: str = EVEN  # of a budget for the whole run: where it is expected to gain most
    target: str | float = ""  # end a search at this score (7.5), or a part's: imagereward=1.2
    patience: int | None = None  # end it when so many candidates' worth brought no better one
    seed: int = 0
    start_seed: int | str | None = None  # the pipeline's own noise of it comes first
    start_latents: Any = None  # a file, array or tensor that comes first
    objective: str = ""
    steps: int | None = None
    final_steps: int | None = None
    draft: str | None = None  # what candidates are searched at: steps:8+cache:0.1, see drafts.py
    drafts: Sequence[str] = ()  # what an algorithm may ask for beside
    guidance: float | None = None
    solver: str | None = None
    negative: str | None = None
    size: str | None = None
    image: Any = None  # of a black box: a file, a picture of PIL, an array uint8 [H, W, 3]
    mask: Any = None
    strength: float | None = None
    call: dict[str, Any] = field(default_factory=dict)  # further arguments of its call
    device: str = "auto"
    dtype: str = "auto"
    rows: int | None = None
    memory: str = "auto"
    compile: bool = False
    tiling: bool = False
    top: int = 1
    keep: str = "all"
    max_missing: float = MAX_MISSING  # share of replies without a part that ends the run

    def resolve(self, like: Loaded | None = None) -> tuple[Loaded, PythonObjects]:
        """Everything checked and loaded; ConfigError before a folder is made.

        ``like``: of a request that differs in algorithm, drafts and budget alone; what it has
        loaded serves again.
        """
        budget = Budget.parse(self.budget)
        images = InputImages.of(self.image, self.mask)
        given_model, plain = self._model(), self._algorithm()
        model = self._running(given_model, images)
        unbound = self._unbound(model)
        verifiers: dict[str, Verifier] = {}
        names = build.verifier_names(self.verifier, model, verifiers)
        if not names:
            raise ConfigError("no verifier was given; name one, for example --verifier ensemble")
        guard = build.verifier_names(self.guard, model, verifiers)
        names = list(dict.fromkeys([*names, *guard]))
        watch = build.verifier_names(self.watch, model, verifiers)
        searched = [name for name in watch if name in names]
        if searched:
            raise ConfigError(
                f"verifier {searched[0]!r} is searched, so it is not held out; watch another one"
            )

        def specified(unbound: bool) -> tuple[RunSpec, Algorithm]:
            algorithm = build.with_model_names(plain, model, self.steps or model.steps, unbound)
            spec = self._spec(model, algorithm, names, budget)
            return spec.model_copy(update={"watch": watch, "guard": guard}), algorithm

        spec, algorithm = specified(unbound)
        given_objects = PythonObjects(
            None if isinstance(self.model, str) else given_model,
            None if isinstance(self.algorithm, str) else algorithm,
            verifiers,
            images,
        )
        first = partial(
            start_of, model, [Condition(**c) for c in spec.conditions], spec.device, spec.dtype,
            self.start_seed, self.start_latents,
        )  # fmt: skip
        whole = model.space().black_box
        start = None if whole else first()  # what is wrong with it is said before weights load
        parts = like.serving(spec, algorithm) if like else Loaded.load(spec, given_objects)
        if unbound and not all(map(away.can_score_previews, parts.verifiers)):
            spec, algorithm = specified(False)
            parts = parts.serving(spec, algorithm)
            if given_objects.algorithm is not None:
                given_objects = replace(given_objects, algorithm=algorithm)
        if whole:
            start = first(sampler=parts.sampler)
        spec = parts.spec = spec.model_copy(update={"start": start and start.spec})
        parts.start = start
        clash = [p for i, p in enumerate(parts.parts) if p in parts.parts[:i]]
        if clash:
            raise ConfigError(f"two verifiers have a part named {clash[0]!r}; rename one of them")
        parts.spec = spec.model_copy(update={
            "scales": parts.scales,
            "fingerprints": parts.fingerprints,
            "steps": drafted.steps if (drafted := parts.drafts.get(spec.draft)) else spec.steps,
            **self._rows(parts, budget),
            "objects": _objects(spec, given_objects),
        })  # fmt: skip
        return parts, given_objects

    def _model(self) -> Model:
        """At the size that is asked for."""
        named = isinstance(self.model, str)
        model = choice.model_of(self.model) if named else as_model(self.model)
        return at_size(model, self.size)

    @property
    def _call(self) -> dict[str, Any]:
        strength = {} if self.strength is None else {"strength": self.strength}
        call = {**self.call, **strength}
        for name, value in call.items():
            if not plain(value):
                raise ConfigError(
                    f"call has {name}, a {type(value).__name__}, which no spec can hold; give it "
                    "with the pipeline: models.pipelines.from_object(pipe, call={...})"
                )
        return call

    def _running(self, model: Model, images: InputImages) -> Model:
        """In our loop or as a black box, with what is given to it."""
        return with_call_arguments(as_it_runs(model, self.solver), self._call, images)

    def _unbound(self, model: Model) -> bool:
        """True where noise may be injected on the way: no other solver was asked for, a picture is
        not to come out as the pipeline makes it, winners are finished as they were seen and one is
        wanted, since those that have their beginning in common are alike, and a look at a preview
        moves no networks."""
        from ..sampling.solvers import solver

        if model.space().black_box or self.top > 1:
            return False
        if self.draft or self.start_seed is not None:
            return False
        if self.start_latents is not None or (self.final_steps or self.steps) != self.steps:
            return False
        device, precision = self._placed(model)
        if memory.mode(self.memory, model, device, precision) == "lean":
            return False
        return self.solver is None or solver(self.solver).stochastic

    def _placed(self, model: Model) -> tuple[str, str]:
        """Device and precision."""
        at = placement(model)
        device = hardware.place((at.device if self.device == "auto" else None) or self.device)
        dtype = (at.dtype if self.dtype == "auto" else None) or self.dtype
        return device, hardware.precision(dtype, device)

    def _algorithm(self) -> Algorithm:
        if isinstance(self.algorithm, str):
            return build.algorithm_of(self.algorithm, self.parameters)
        if self.parameters:
            raise ConfigError("parameters are given twice: in the algorithm object and beside it")
        if hasattr(self.algorithm, "extendable"):
            return self.algorithm
        return python_objects.FunctionAlgorithm(
            python_objects.name_of(self.algorithm), self.algorithm
        )

    def _spec(
        self, model: Model, algorithm: Algorithm, verifiers: list[str], budget: Budget
    ) -> RunSpec:
        name = build.solver_of(self.solver, model, algorithm)
        if not self.prompts:
            raise ConfigError('no prompt was given; write one, for example "a red circle"')
        self._check_numbers()
        steps = self.steps or model.steps
        conditions = [model.condition(p, self.negative).json() for p in self.prompts]
        device, precision = self._placed(model)
        dump = getattr(algorithm, "model_dump", dict)
        if isinstance(self.drafts, str):
            raise ConfigError(f"drafts is {self.drafts!r}, but must be a list of such")
        named = getattr(model, "drafts", {})
        draft = FULL if self.draft is None else str(parse(self.draft, named))
        wanted = (*self.drafts, *getattr(algorithm, "drafts", ()))
        others = [str(parse(text, named)) for text in wanted]
        return RunSpec.of(
            model=registry.with_absolute_path(self.model)
            if isinstance(self.model, str)
            else model.name,
            conditions=conditions,
            verifiers=verifiers,
            objective=str(sets_text.parse(self.objective) or self.objective),
            algorithm=registry.with_absolute_path(self.algorithm)
            if isinstance(self.algorithm, str)
            else algorithm.name,
            parameters=dump(),
            budget=str(budget),
            allocate=self.allocate,
            target=str(self.target),
            patience=self.patience,
            seed=self.seed,
            steps=steps,
            final_steps=self.final_steps or steps,
            draft=draft,
            drafts=[q for q in dict.fromkeys([draft, *others]) if q != FULL],
            guidance=model.guidance if self.guidance is None else self.guidance,
            solver=name,
            size="x".join(map(str, model.size))
            if hasattr(model, "sized") and all(model.size)
            else "",
            call=self._call,
            rows=self.rows or ROWS[0],  # none asked for: until the yields are known
            dtype=precision,
            device=device,
            threads=hardware.threads(),
            memory=memory.mode(self.memory, model, device, precision),
            compile=self.compile,
            tiling=self.tiling,
            top=self.top,
            keep=self.keep,
            max_missing=self.max_missing,
        )

    def _check_numbers(self) -> None:
        for name, number, least in (("steps", self.steps, 1), ("final-steps", self.final_steps, 1),
                                    ("top", self.top, 1), ("rows", self.rows, 1),
                                    ("patience", self.patience, 1),
                                    ("seed", self.seed, 0)):  # fmt: skip
            if number is not None and number < least:
                raise ConfigError(f"{name} is {number}, but must be at least {least}")
        if self.guidance is not None and not math.isfinite(self.guidance):
            raise ConfigError(f"guidance is {self.guidance}, but must be a number such as 2.5")
        if not 0 <= self.max_missing <= 1:
            raise ConfigError(f"max-missing is {self.max_missing}, but must be from 0 to 1")
        if self.allocate not in (EVEN, GAIN):
            raise ConfigError(f"allocate is {self.allocate!r}, but must be {EVEN} or {GAIN}")
        if self.keep not in ("all", "winners"):
            raise ConfigError(f"keep is {self.keep!r}, but must be all or winners")

    def _rows(self, parts: Loaded, budget: Budget) -> dict[str, Any]:
        """As wide as the algorithm's usual yield over all conditions, within reason, and for the
        drafts that it looks at beside as those are; equal parts where one yield has all that there
        is. A black box promises no bits, and says what is usual for it."""
        if parts.sampler is not None:
            return {"rows": self.rows or parts.sampler.rows}
        searches = 1 if parts.joint else len(parts.conditions)
        widths = {} if self.rows else usual_widths(parts.search(budget), parts.algorithm)

        def of(draft: str) -> int:
            width = widths.get(draft, Width(1))
            wide = (width.whole or width.usual) * searches
            if width.whole:
                wide = math.ceil(wide / math.ceil(wide / ROWS[1]))
            wide = self.rows or min(ROWS[1], max(ROWS[0], wide))
            return -(-wide // ROWS_STEP) * ROWS_STEP

        own = parts.spec.draft
        beside = {draft: of(draft) for draft in parts.spec.drafts if draft != own}
        return {"rows": of(own), "draft_rows": beside}

    def plan(self, parts: Loaded, budget: Budget) -> Plan:
        """What one search would cost."""
        return plan(lambda: parts.search(budget), parts.algorithm)


def _objects(spec: RunSpec, given: PythonObjects) -> dict[str, list[str]]:
    """The Python objects that no name of the library brings back."""
    objects: dict[str, list[str]] = {"verifier": list(given.verifiers)}
    if given.model is not None and spec.model not in registry.names("model"):
        objects["model"] = [spec.model]
    if given.algorithm is not None:
        known = spec.algorithm in registry.names("algorithm") and isinstance(
            given.algorithm, registry.load("algorithm", spec.algorithm)
        )
        objects["algorithm"] = [] if known else [spec.algorithm]
    return {kind: names for kind, names in objects.items() if names}
