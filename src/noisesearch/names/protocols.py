"""What an object of each kind needs to have, checked as soon as it is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError


@dataclass(frozen=True)
class Need:
    """The members that an object of a kind must have, and a sentence on what the kind is."""

    members: tuple[str, ...]
    text: str


NEEDS: dict[str, Need] = {
    "model": Need(
        ("name", "steps", "guidance", "solver", "size", "verifiers", "fingerprint", "condition",
         "space", "build"),
        "a model is a name, a folder, a pipeline of diffusers or an object with the attributes "
        "and methods of noisesearch.models.protocol.Model, or a function that gives one",
    ),
    "verifier": Need(
        ("__call__", "name", "parts", "scale", "differentiable", "rows", "fingerprint"),
        "a verifier is a function of images and conditions, or an object with name, parts, scale, "
        "differentiable, rows, fingerprint and __call__(views), or the class of one",
    ),
    "algorithm": Need(
        ("__call__", "name", "extendable"),
        "an algorithm is a generator function of a problem, or an object with name, extendable "
        "and __call__(problem), or the class of one",
    ),
    "solver": Need(
        ("name", "stochastic", "price", "init", "step"),
        "a solver is an object with name, stochastic, price(), init(x) and step(denoise, process, "
        "state, t0, t1, noise), or the class of one",
    ),
    "metric": Need(
        ("measure", "name", "summary"),
        "a metric is an object with name, summary and measure(images), or the class of one",
    ),
    "objective": Need(
        ("parts", "order", "value"),
        "an objective is an object with parts, order(replies) and value(reply), or what gives one "
        "when it is called with the scales of all parts",
    ),
    "objective of sets": Need(
        ("__call__",), "an objective of sets is a function of the features [n, d] of a set"
    ),
    "experiment": Need(
        ("summary",),
        "an experiment is the path of a TOML file, or its tables, with a summary and arms",
    ),
}  # fmt: skip


def check(kind: str, name: str, thing: Any) -> None:
    """Raise ConfigError where an object lacks a member that objects of its kind need.

    ``name``: what the user wrote; empty for a Python object.
    """
    need = NEEDS[kind]
    for member in need.members:
        if not has(thing, member):
            given = f"{kind} {name!r}" if name else kind
            of = type(thing).__name__
            raise ConfigError(f"{given} is of type {of} and has no {member!r}; {need.text}")


def has(thing: Any, member: str) -> bool:
    """Return whether an object has a member, or a table a key; properties are not run."""
    if isinstance(thing, Mapping):
        return member in thing
    try:
        inspect.getattr_static(thing, member)
    except AttributeError:
        return hasattr(thing, member)  # of objects that stand for others
    return True


def made(kind: str, name: str, target: Any, *given: Any) -> Any:
    """Return what a class or function gives, checked; ConfigError where it gives nothing."""
    try:
        thing = target(*given)
    except ConfigError:
        raise
    except Exception as error:  # a user's code: anything may come out of it
        raise ConfigError(
            f"{kind} {name!r} cannot be made: {type(error).__name__}: {error}; {NEEDS[kind].text}"
        ) from error
    check(kind, name, thing)
    return thing


def makes(target: Any) -> bool:
    """Return whether a target is called for the object: a class or a function is."""
    return isinstance(target, type) or inspect.isroutine(target)


def called_on_instances(target: type) -> bool:
    """Return whether the instances of a class can be called."""
    return any("__call__" in vars(base) for base in target.__mro__)
