"""From names to the parts of a run: model, algorithm, verifiers, device, precision."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .algorithms.problem import Algorithm, Problem
from .candidates.space import PIPELINE
from .errors import ConfigError
from .models.choice import model_of as model_of
from .models.protocol import Model
from .names import forms, registry
from .names.options import settings
from .store.given_images import Images
from .store.spec import RunSpec
from .verifiers.settings import VerifierSettings

if TYPE_CHECKING:
    from .parts import Parts
    from .verifiers.protocol import Verifier


@dataclass(frozen=True)
class Given:
    """Python objects in place of names; a run made with them is resumed with them."""

    model: Model | None = None
    algorithm: Algorithm | None = None
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
    images: Images = field(default_factory=Images)


def check_objects(spec: RunSpec, given: Given, folder: object) -> None:
    """A run made with Python objects cannot go on without them; say how it can."""
    have = {"model": [spec.model] if given.model else [],
            "algorithm": [spec.algorithm] if given.algorithm else [],
            "verifier": list(given.verifiers)}  # fmt: skip
    lost = {kind: [n for n in names if n not in have.get(kind, ())]
            for kind, names in spec.objects.items()}  # fmt: skip
    lost = {kind: names for kind, names in lost.items() if names}
    if lost:
        what = "; ".join(f"{kind} {', '.join(map(repr, names))}" for kind, names in lost.items())
        how = ", ".join(f"{kind}={'[…]' if len(lost[kind]) > 1 else '…'}" for kind in lost)
        raise ConfigError(
            f"{folder} was made with Python objects that are needed again ({what}); "
            f"go on from Python: noisesearch.resume({str(folder)!r}, {how})"
        )


def algorithm_of(name: str, parameters: dict[str, Any]) -> Algorithm:
    """By name or ``file.py:Name``; a plain generator function gets the protocol's attributes."""
    target = registry.load("algorithm", name)
    built: Algorithm = settings("algorithm", name, target, parameters)
    if hasattr(built, "extendable"):
        return built
    # The short name: seeds are derived from it, and a path is another on every machine.
    return Plain(name.rpartition(":")[2], built)


def dear(verifier: Verifier) -> bool:
    """True where each look of a verifier is waited for or paid."""
    from .verifiers.away import Away

    return isinstance(verifier, Away) or bool(getattr(verifier, "paid", False))


def glances(verifier: Verifier) -> bool:
    """True of a verifier that can look at previews, and at many."""
    from .verifiers.protocol import previews_of

    return not dear(verifier) and not previews_of(verifier)


def suited(algorithm: Algorithm, model: Model, steps: int, unbound: bool) -> Algorithm:
    """The algorithm for runs of a model at so many steps, whose names for drafts it may use;
    ``unbound``: any solver may sample them."""
    if unbound and hasattr(algorithm, "unbound"):
        algorithm = algorithm.unbound()
    with_names = getattr(algorithm, "with_names", None)
    if with_names is None:
        return algorithm
    found: Algorithm = with_names(getattr(model, "drafts", {}), steps)
    return found


def fitted(algorithm: Algorithm, parts: Parts) -> Algorithm:
    """The algorithm with what it takes from the run's model and verifiers, where it does."""
    learn = getattr(algorithm, "fitted", None)
    found: Algorithm = algorithm if learn is None else learn(parts)
    return found


def solver_of(named: str | None, model: Model, algorithm: Algorithm) -> str:
    """The solver as named, else the model's own; of an algorithm that looks for injected noise one
    that injects some.

    ConfigError for an unknown name, and where the solver that was named, or a black box's own
    loop, injects none for such an algorithm.
    """
    from .sampling.solvers import solver, with_noise

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


@dataclass(frozen=True)
class Plain:
    """A generator function as an algorithm; nothing is known of its asks, so not extendable."""

    name: str
    function: Callable[[Problem], Any]
    extendable: bool = False

    def __call__(self, problem: Problem) -> Any:
        return self.function(problem)


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
    from .verifiers.protocol import FunctionVerifier

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


def named(given: Any, model: Model, objects: dict[str, Verifier]) -> list[str]:
    """The names of verifiers given as names, in lists or as Python objects, which are kept."""
    names: list[str] = []
    for each in listed(given):
        if isinstance(each, str):
            names += expand([forms.located(n) for n in forms.separated(each)], model)
        elif isinstance(each, VerifierSettings):
            names.append(forms.located(str(each)))
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


def listed(verifier: Any) -> Sequence[Any]:
    """One or several, as several."""
    return verifier if isinstance(verifier, list | tuple) else [verifier]


def name_of(thing: Any) -> str:
    """What a Python object is called in a run: its own name, else its function's or class's."""
    name = getattr(thing, "name", None) or getattr(thing, "__name__", type(thing).__name__)
    return "verifier" if name == "<lambda>" else str(name)


def precision(dtype: str, device: str) -> str:
    """bfloat16 where the hardware multiplies it, else float32; written to the spec."""
    if dtype != "auto":
        return dtype
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    flags = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    fast = any(getattr(torch.cpu, flag, bool)() for flag in flags)
    return "bfloat16" if fast else "float32"


def place(device: str) -> str:
    """A device that is there: ConfigError before anything is loaded onto another."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"device {device!r} cannot be used here ({str(error).splitlines()[0].rstrip('.')}); "
            "choose auto, cpu or a cuda device of this machine"
        ) from error
    return device


def threads() -> int:
    """Cores this process may use; recorded, since another count gives other last bits."""
    import torch

    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return min(torch.get_num_threads(), available or os.cpu_count() or 1)
