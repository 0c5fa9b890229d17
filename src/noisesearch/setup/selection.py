"""From names to the parts of a run: model, algorithm, verifiers, device, precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..algorithms import capabilities
from ..algorithms.capabilities import Unbound, WithNames, WithRunFacts, is_algorithm
from ..algorithms.problem import Algorithm
from ..candidates.space import PIPELINE, Known, PastRun
from ..errors import ConfigError
from ..models.capabilities import drafts
from ..models.protocol import Model
from ..names import forms, protocols, registry
from ..names.capabilities import offered
from ..names.options import settings
from ..verifiers.settings import VerifierSettings
from .python_objects import FunctionAlgorithm, as_list, name_of

if TYPE_CHECKING:
    from ..verifiers.protocol import Verifier


def algorithm_of(name: str, parameters: dict[str, Any]) -> Algorithm:
    """Return the algorithm of a name; a generator function gets the protocol's attributes."""
    target = registry.load("algorithm", name)
    built: Any = settings("algorithm", name, target, parameters)
    if isinstance(built, type) and protocols.called_on_instances(built):
        built = protocols.made("algorithm", name, built)
    if protocols.has(built, "extendable") or not callable(built):
        protocols.check("algorithm", name, built)
    # The short name: seeds are derived from it, and a path is another on every machine.
    return as_algorithm(built, name.rpartition(":")[2])


def as_algorithm(target: Any, name: str) -> Algorithm:
    """Return an algorithm, or one of this name made of a generator function ``f(problem)``."""
    capabilities.warn_of_near_misses(target, name)
    return target if is_algorithm(target) else FunctionAlgorithm(name, target)


def with_model_names(algorithm: Algorithm, model: Model, steps: int, unbound: bool) -> Algorithm:
    """The algorithm for runs of a model at so many steps, whose names for drafts it may use;
    ``unbound``: any solver may sample them."""
    free = offered(algorithm, Unbound) if unbound else None
    if free is not None:
        algorithm = free.unbound()
    naming = offered(algorithm, WithNames)
    return algorithm if naming is None else naming.with_names(drafts(model), steps)


def with_run_facts(algorithm: Algorithm, model: Model, verifiers: Sequence[Verifier]) -> Algorithm:
    """Return the algorithm with what it takes from the run's model and verifiers, if anything."""
    from ..verifiers.slow_verifier import is_slow_or_paid

    learning = offered(algorithm, WithRunFacts)
    if learning is None:
        return algorithm
    slow = any(map(is_slow_or_paid, verifiers))
    known = Known(model.name, model.fingerprint, model.space().shape, slow, _past_run)
    return learning.with_run_facts(known)


def _past_run(folder: Path) -> PastRun:
    """The candidates of a run folder, as an algorithm may learn from them."""
    from ..store.history import RunHistory

    records = RunHistory(folder)
    spec = records.spec
    candidates = [(r.trajectory, r.score) for r in records]
    return PastRun(spec.model, spec.fingerprints.get(f"model {spec.model}"), candidates)


def solver_of(named: str | None, model: Model, algorithm: Algorithm) -> str:
    """The solver as named, else the model's own; of an algorithm that looks for injected noise one
    that injects some.

    ConfigError for an unknown name, and where the solver that was named, or a black box's own
    loop, injects none for such an algorithm.
    """
    from ..sampling.solvers import solver, with_noise

    name = forms.located_solver(named or model.solver)
    whole = name == PIPELINE
    if not whole:
        solver(name, code=True)
    if not capabilities.stochastic(algorithm):
        return name
    if whole or model.space().black_box:
        raise ConfigError(
            f"algorithm {algorithm.name!r} looks for the noise that a solver injects on the way, "
            f"and {model.name} is a black box with a loop of its own; choose random, zero-order "
            "or population"
        )
    fitting = with_noise(name)
    if named and fitting != name:
        raise ConfigError(
            f"algorithm {algorithm.name!r} looks for the noise that a solver injects on the way, "
            f"and {named!r} injects none; choose --solver {fitting}, or leave it out"
        )
    return fitting


def verifier_of(name: str, model: Model | None) -> Verifier:
    """By name (a world's roles first), ``module:name`` or ``file.py:name``, with its settings;
    for runs of the model, or for none."""
    kind, given = forms.written(name)
    roles = {} if model is None else model.verifiers
    chosen = settings("verifier", kind, registry.load("verifier", kind, roles), given)
    if isinstance(chosen, VerifierSettings):
        return _seen(chosen.open() if model is None else chosen.open_for(model))
    if kind in roles:
        return _seen(chosen())
    return as_verifier(chosen, kind.rpartition(":")[2], kind)


def _seen(verifier: Verifier) -> Verifier:
    """Return the verifier itself, whose attributes have been looked at for misspellings."""
    from ..verifiers.capabilities import warn_of_near_misses

    warn_of_near_misses(verifier, verifier.name)
    return verifier


def as_verifier(target: Any, name: str, given: str = "") -> Verifier:
    """Return a verifier, made of one, of a class of one or of ``f(images, conditions)``.

    ``given``: what the user wrote, where that is not the name.
    """
    from ..verifiers.capabilities import warn_of_near_misses
    from ..verifiers.protocol import FunctionVerifier

    if isinstance(target, type):
        target = target()
    warn_of_near_misses(target, name)
    if protocols.has(target, "parts") or not callable(target):
        protocols.check("verifier", given or name, target)
        verifier: Verifier = target
        return verifier
    return FunctionVerifier(target, name)


def expand(names: Sequence[str], model: Model) -> list[str]:
    """`ensemble` becomes the model's own; doubles are left out."""
    wide = [n for name in names for n in (model.ensemble if name == "ensemble" else (name,))]
    return list(dict.fromkeys(wide))


def verifier_names(given: Any, model: Model, objects: dict[str, Verifier]) -> list[str]:
    """The names of verifiers given as names, in lists or as Python objects, which are kept."""
    names: list[str] = []
    for each in as_list(given):
        if isinstance(each, str):
            names += expand([forms.with_absolute_paths(n) for n in forms.separated(each)], model)
        elif isinstance(each, VerifierSettings):
            names.append(forms.with_absolute_paths(str(each)))
        else:
            name = name_of(each)
            if name in objects:
                raise ConfigError(
                    f"two verifiers are named {name!r}; give one another name, such as "
                    "the name of a function instead of a lambda"
                )
            objects[name] = as_verifier(each, name)
            names.append(name)
    return list(dict.fromkeys(names))
