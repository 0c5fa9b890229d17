"""A request: what a user asks for, checked, specified and loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..algorithms import capabilities as of_algorithms
from ..algorithms.problem import Algorithm
from ..candidates.budget import EVEN, GAIN, MAX_MISSING, Budget
from ..candidates.condition import Condition
from ..candidates.trajectory import FULL
from ..errors import ConfigError
from ..models import capabilities as of_models
from ..models import choice
from ..models.black_box.call import plain
from ..models.choice import as_it_runs, as_model, at_size, placement, with_call_arguments
from ..models.protocol import Model
from ..names import registry
from ..names.capabilities import offered
from ..names.drafts import parse
from ..objectives import text as objective_text
from ..store.given_images import InputImages
from ..store.spec import RunSpec
from ..verifiers import slow_verifier as slow
from . import fingerprints, hardware, memory, python_objects, rows, selection
from .loaded import Loaded
from .python_objects import PythonObjects
from .searches import Searches
from .start import StartNoises, start_of

if TYPE_CHECKING:
    from ..sampling.sampler import Sampler
    from ..verifiers.protocol import Verifier


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

    def resolve(self, like: Loaded | None = None) -> Resolved:
        """Check everything, load it, and return it; ConfigError before a folder is made.

        ``like``: of a request that differs in algorithm, drafts and budget alone; what it has
        loaded serves again.
        """
        budget = Budget.parse(self.budget)
        images = InputImages.of(self.image, self.mask)
        named, plain_algorithm = self._model(), self._algorithm()
        model = with_call_arguments(as_it_runs(named, self.solver), self._call, images)
        chosen = self._verifiers(model)
        asked = _Asked(plain_algorithm, model, chosen, budget)
        injected = self._may_inject_noise(model)
        spec, algorithm = self._specified(asked, injected)
        # What is wrong with a start is said before weights load; a black box shows it after that.
        start = None if model.space().black_box else self._start(model, spec)
        given = self._given(named, algorithm, chosen.objects, images)
        loaded = like.serving(spec, algorithm) if like else Loaded.load(spec, given, model)
        if injected and not all(map(slow.can_score_previews, loaded.verifiers)):
            spec, algorithm = self._specified(asked, injected=False)
            loaded = loaded.serving(spec, algorithm)
            if given.algorithm is not None:
                given = replace(given, algorithm=algorithm)
        if loaded.sampler is not None:
            start = self._start(model, spec, loaded.sampler)
        return self._completed(loaded, given, start, budget)

    def _given(
        self, model: Model, algorithm: Algorithm, verifiers: dict[str, Verifier],
        images: InputImages,
    ) -> PythonObjects:  # fmt: skip
        """What was given as Python objects, so that a resume asks for it again."""
        return PythonObjects(
            None if isinstance(self.model, str) else model,
            None if isinstance(self.algorithm, str) else algorithm,
            verifiers,
            images,
        )

    def _completed(
        self, loaded: Loaded, given: PythonObjects, start: StartNoises | None, budget: Budget
    ) -> Resolved:
        """Enter into the spec what only loaded objects tell: scales, fingerprints, rows."""
        spec = loaded.spec.model_copy(update={"start": start and start.spec})
        loaded = replace(loaded, spec=spec, start=start)
        names = loaded.part_names
        clash = [part for i, part in enumerate(names) if part in names[:i]]
        if clash:
            raise ConfigError(f"two verifiers have a part named {clash[0]!r}; rename one of them")
        drafted = loaded.drafts.get(spec.draft)
        searches = Searches(loaded, budget)
        loaded = replace(loaded, spec=spec.model_copy(update={
            "scales": loaded.scales,
            "guarded": list(loaded.guards),
            "fingerprints": fingerprints.of(loaded),
            "steps": drafted.steps if drafted else spec.steps,
            **rows.of(searches, self.rows),
            "objects": _objects(spec, given),
        }))  # fmt: skip
        return Resolved(loaded, given, searches.completed(loaded))

    def _model(self) -> Model:
        """The model at the size that is asked for."""
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

    def _verifiers(self, model: Model) -> _Verifiers:
        """The names of the verifiers, and those that are objects."""
        objects: dict[str, Verifier] = {}
        searched = selection.verifier_names(self.verifier, model, objects)
        if not searched:
            raise ConfigError("no verifier was given; name one, for example --verifier ensemble")
        guard = selection.verifier_names(self.guard, model, objects)
        searched = list(dict.fromkeys([*searched, *guard]))
        watch = selection.verifier_names(self.watch, model, objects)
        both = [name for name in watch if name in searched]
        if both:
            raise ConfigError(
                f"verifier {both[0]!r} is searched, so it is not held out; watch another one"
            )
        return _Verifiers(searched, watch, guard, objects)

    def _algorithm(self) -> Algorithm:
        if isinstance(self.algorithm, str):
            return selection.algorithm_of(self.algorithm, self.parameters)
        if self.parameters:
            raise ConfigError("parameters are given twice: in the algorithm object and beside it")
        return selection.as_algorithm(self.algorithm, python_objects.name_of(self.algorithm))

    def _may_inject_noise(self, model: Model) -> bool:
        """Whether a solver that injects noise may sample this run.

        It may where no other solver was asked for; where a picture need not come out as the
        pipeline makes it; where one winner is wanted, finished as the search sees it, since
        winners with a common beginning are alike; and where scoring a preview moves no networks.
        """
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
        return self.solver is None or solver(self.solver, code=True).stochastic

    def _placed(self, model: Model) -> tuple[str, str]:
        """Device and precision."""
        at = placement(model)
        device = hardware.place((at.device if self.device == "auto" else None) or self.device)
        dtype = (at.dtype if self.dtype == "auto" else None) or self.dtype
        return device, hardware.precision(dtype, device)

    def _start(
        self, model: Model, spec: RunSpec, sampler: Sampler | None = None
    ) -> StartNoises | None:
        """The user's own first noises."""
        conditions = [Condition(**c) for c in spec.conditions]
        return start_of(model, conditions, spec.device, spec.dtype, self.start_seed,
                        self.start_latents, sampler=sampler)  # fmt: skip

    def _specified(self, asked: _Asked, injected: bool) -> tuple[RunSpec, Algorithm]:
        """The spec as far as it is known before anything is loaded, and its algorithm."""
        model = asked.model
        steps = self.steps or model.steps
        algorithm = selection.with_model_names(asked.algorithm, model, steps, injected)
        solver = selection.solver_of(self.solver, model, algorithm)
        if not self.prompts:
            raise ConfigError('no prompt was given; write one, for example "a red circle"')
        self._check_numbers()
        return RunSpec.of(
            conditions=[model.condition(p, self.negative).json() for p in self.prompts],
            verifiers=asked.verifiers.searched,
            watch=asked.verifiers.watch,
            guard=asked.verifiers.guard,
            objective=objective_text.located(self.objective),
            budget=asked.budget,
            solver=solver,
            seed=self.seed,
            **self._named(model, algorithm),
            **self._drafts(model, algorithm),
            **self._sampled(model),
            **self._limits(),
        ), algorithm

    def _named(self, model: Model, algorithm: Algorithm) -> dict[str, Any]:
        """Model and algorithm by name."""
        whole = registry.with_absolute_path
        return {
            "model": whole(self.model) if isinstance(self.model, str) else model.name,
            "algorithm": whole(self.algorithm)
            if isinstance(self.algorithm, str)
            else algorithm.name,
            "parameters": getattr(algorithm, "model_dump", dict)(),
        }

    def _drafts(self, model: Model, algorithm: Algorithm) -> dict[str, Any]:
        """The draft that is searched, and every draft that can be asked for."""
        if isinstance(self.drafts, str):
            raise ConfigError(f"drafts is {self.drafts!r}, but must be a list of such")
        named = of_models.drafts(model)
        draft = FULL if self.draft is None else str(parse(self.draft, named))
        wanted = (*self.drafts, *of_algorithms.drafts(algorithm))
        others = [str(parse(text, named)) for text in wanted]
        return {
            "draft": draft,
            "drafts": [q for q in dict.fromkeys([draft, *others]) if q != FULL],
        }

    def _sampled(self, model: Model) -> dict[str, Any]:
        """How samples are made, and on what."""
        steps = self.steps or model.steps
        device, precision = self._placed(model)
        several = offered(model, of_models.Sized) is not None and all(model.size)
        return {
            "steps": steps,
            "final_steps": self.final_steps or steps,
            "guidance": model.guidance if self.guidance is None else self.guidance,
            "size": "x".join(map(str, model.size)) if several else "",
            "call": self._call,
            "rows": self.rows or rows.LIMITS[0],  # until it is known how many are asked at once
            "dtype": precision,
            "device": device,
            "threads": hardware.threads(),
            "memory": memory.mode(self.memory, model, device, precision),
            "compile": self.compile,
            "tiling": self.tiling,
        }

    def _limits(self) -> dict[str, Any]:
        """What ends a search, and what is kept of it."""
        return {
            "allocate": self.allocate,
            "target": str(self.target),
            "patience": self.patience,
            "top": self.top,
            "keep": self.keep,
            "max_missing": self.max_missing,
        }

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


@dataclass(frozen=True)
class Resolved:
    """A request with everything loaded: ``given`` are its Python objects."""

    loaded: Loaded
    given: PythonObjects
    searches: Searches


@dataclass(frozen=True)
class _Verifiers:
    """Verifiers by name, and the Python objects among them."""

    searched: list[str]
    watch: list[str]
    guard: list[str]
    objects: dict[str, Verifier]


@dataclass(frozen=True)
class _Asked:
    """What a spec is made of, beside the numbers of the request."""

    algorithm: Algorithm
    model: Model
    verifiers: _Verifiers
    budget: Budget


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
