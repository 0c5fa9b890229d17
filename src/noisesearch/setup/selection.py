"""From names to the parts of a run: model, algorithm, verifiers, device, precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..algorithms.problem import Algorithm
from ..candidates.space import PIPELINE, Known, PastRun
from ..errors import ConfigError
from ..models.protocol import Model
from ..names import forms, registry
from ..names.options import settings
from ..verifiers.settings import VerifierSettings
from .python_objects import FunctionAlgorithm, as_list, name_of

if TYPE_CHECKING:
    from ..verifiers.protocol import Verifier


def algorithm_of(name: str, parameters: dict[str, Any]) -> Algorithm:
    """By name or ``file.py:Name``; a plain generator function gets the protocol's attributes."""
    target = registry.load("algorithm", name)
    built: Algorithm = settings("algorithm", name, target, parameters)
    if hasattr(built, "extendable"):
        return built
    # The short name: seeds are derived from it, and a path is another on every machine.
    return FunctionAlgorithm(name.rpartition(":")[2], built)


def with_model_names(algorithm: Algorithm, model: Model, steps: int, unbound: bool) -> Algorithm:
    """The algorithm for runs of a model at so many steps, whose names for drafts it may use;
    ``unbound``: any solver may sample them."""
    if unbound and hasattr(algorithm, "unbound"):
        algorithm = algorithm.unbound()
    with_names = getattr(algorithm, "with_names", None)
    if with_names is None:
        return algorithm
    found: Algorithm = with_names(getattr(model, "drafts", {}), steps)
    return found


def with_run_facts(algorithm: Algorithm, model: Model, verifiers: Sequence[Verifier]) -> Algorithm:
    """Return the algorithm with what it takes from the run's model and verifiers, if anything."""
    from ..verifiers.slow import is_slow_or_paid

    learn = getattr(algorithm, "with_run_facts", None)
    if learn is None:
        return algorithm
    slow = any(map(is_slow_or_paid, verifiers))
    known = Known(model.name, model.fingerprint, model.space().shape, slow, _past_run)
    found: Algorithm = learn(known)
    return found


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

    name = named or model.solver
    whole = name == PIPELINE
    if not whole:
        solver(name)
    if not getattr(algorithm, "stochastic", False):
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
        opened: Verifier = chosen.open() if model is None else chosen.open_for(model)
        return opened
    if kind in roles:
        built: Verifier = chosen()
        return built
    return as_verifier(chosen, kind.rpartition(":")[2])


def as_verifier(target: Any, name: str) -> Verifier:
    """A verifier, a class of one, or a function ``f(images, conditions)``."""
    from ..verifiers.protocol import FunctionVerifier

    if isinstance(target, type):
        target = target()
    if hasattr(target, "parts"):
        verifier: Verifier = target
        return verifier
    if not callable(target):
        raise ConfigError(f"verifier {name!r} is {target!r}, but must be a verifier or a function")
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
