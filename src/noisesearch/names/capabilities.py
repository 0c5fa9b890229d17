"""Optional members of objects that users may write, and names that are almost one.

A capability is a protocol with the members that an object may have. :func:`offered` is the one way
to ask for it. It does not use ``isinstance``: from Python 3.12 on, that ignores what an object
passes on by ``__getattr__``, such as a wrapper's inner object or the submodules of a module of
torch. ``offered`` evaluates properties, so it belongs where an object is loaded, not where
candidates are made.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, cast

Capability = TypeVar("Capability")

OURS = __name__.partition(".")[0]
ALIKE = 0.85  # of difflib, from which a name is a misspelling: `row` is one of `rows`


class NearMissWarning(UserWarning):
    """An object has an attribute whose name is almost one that the library looks for."""


def offered(thing: object, capability: Callable[..., Capability]) -> Capability | None:
    """Return the object as one of the capability, None where it lacks a member or has None
    there. ``capability``: the protocol."""
    has = all(getattr(thing, name, None) is not None for name in members(capability))
    return cast(Capability, thing) if has else None


@cache
def members(protocol: Callable[..., Any]) -> frozenset[str]:
    """Return the public names that a protocol asks for, as properties or methods."""
    bases = {*inspect.getmro(cast(type, protocol))} - {object, Protocol, Generic}
    return frozenset(name for base in bases for name in _public(base))


def near_misses(thing: object, protocols: Iterable[Callable[..., Any]]) -> dict[str, str]:
    """Return the attributes of a user's object that are almost a member of the protocols, each
    with that member.

    Looked at are the attributes of the object, of its class and of the bases from the same
    package, not what it inherits from elsewhere. Left out are objects of this library, and names
    whose member the user has written too: a verifier may have ``network`` beside ``networks``.
    """
    classes = inspect.getmro(type(thing))
    home = _package(thing)
    if home == OURS:
        return {}
    own = {*_public(thing), *(n for c in classes if _package(c) == home for n in _public(c))}
    known = {n for protocol in protocols for n in members(protocol)}
    ours = [c for c in classes if _package(c) == OURS]
    known |= {n for c in ours for n in (*_public(c), *inspect.get_annotations(c))}
    found = {name: get_close_matches(name, known, 1, ALIKE) for name in sorted(own - known)}
    return {name: meant[0] for name, meant in found.items() if meant and meant[0] not in own}


def warn_of_near_misses(
    kind: str, name: str, thing: object, protocols: Iterable[Callable[..., Any]]
) -> None:
    """Warn of each attribute of a user's object that is almost a member of the protocols."""
    for attribute, meant in near_misses(thing, protocols).items():
        warnings.warn(
            f"{kind} {name!r} has an attribute {attribute!r}; did you mean {meant!r}?",
            NearMissWarning,
            stacklevel=3,
        )


def _public(thing: object) -> set[str]:
    """The names that stand in an object or a class itself."""
    return {name for name in getattr(thing, "__dict__", ()) if not name.startswith("_")}


def _package(thing: object) -> str:
    """The package that an object's class, a class or a function comes from."""
    return str(getattr(thing, "__module__", "")).partition(".")[0]
