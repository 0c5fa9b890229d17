"""Objectives as text, on the command line and in specs: ``constrain(taste >= 6, then=clip)``."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..candidates.ask import Reply
from ..errors import ConfigError, unknown
from ..names import protocols, registry
from ..names.forms import separated
from . import sets_text
from .single import (
    Bound,
    Cascade,
    Constrained,
    Lexicographic,
    MeanRank,
    Objective,
    Pareto,
    Stage,
    Weighted,
)

Scales = Mapping[str, float]
FORMS = (
    "'part(x)', 'weighted(x=1, y=0.5)', 'mean-rank(x, y)', 'lexicographic(x~0.5, y)', "
    "'constrain(x >= 6, then=y)', 'pareto(x, y)', 'cascade(x:8, y)' or 'file.py:Name'"
)
_BOUND = re.compile(r"(?P<part>[^<>=]+?)\s*(?P<sign>>=|<=)\s*(?P<limit>.+)")


@dataclass(frozen=True)
class Unopened:
    """In place of an objective that is somebody's code, where a folder is only looked at."""

    text: str
    parts: tuple[str, ...] = ()

    def value(self, reply: Reply) -> float:
        return math.nan

    def order(self, replies: Sequence[Reply]) -> npt.NDArray[np.float64]:
        raise ConfigError(
            f"objective {self.text!r} is code, which looking at a folder does not run; name "
            f"another objective: {FORMS}"
        )


def parse(text: str, scales: Scales, code: bool = False) -> Objective:
    """Return the objective of a text such as ``weighted(x=1, y=0.5)``; "" is the mean rank of all.

    ``scales`` has every part of the run. A single part is its own order. With ``code`` an
    objective that is named (``file.py:Name``) is run; without, it is :class:`Unopened`.
    """
    if not scales:
        raise ConfigError("there is no part of a verifier to compare candidates by; name one")
    if not text:
        return mean_rank(list(scales), scales)
    if not sets_text.kind_of(text) and (named := code_of(text)):
        return opened(named, scales) if code else Unopened(text)
    kind, inside = _split(text)
    if kind not in registry.TABLES["objective"] or kind in sets_text.KINDS:
        raise _unread(text, kind)
    try:
        found: Objective = registry.load("objective", kind)(inside, scales)
        return found
    except _Unreadable as error:
        raise ConfigError(f"objective {text!r} cannot be read: {error}") from error


def code_of(text: str) -> str:
    """Return the name of somebody's code in an objective's text; "" where it has none."""
    own = registry.TABLES["objective"]
    if kind := sets_text.kind_of(text):
        return "" if kind in own else kind
    named = text.strip()
    if not named or named.endswith(")") or named.partition("(")[0].strip() in own:
        return ""
    return named if ":" in named or named in registry.names("objective") else ""


def located(text: str) -> str:
    """Return an objective's text with the whole paths of its files."""
    if (form := sets_text.parse(text)) is not None:
        return str(form)
    return registry.with_absolute_path(text.strip()) if ":" in code_of(text) else text


def opened(name: str, scales: Scales) -> Objective:
    """Return the objective of a name, a ``package.module:Name`` or a ``file.py:Name``: an object,
    or what a class or function gives for the scales of all parts."""
    target = registry.load("objective", name)
    found: Objective = target
    if protocols.makes(target):
        found = protocols.made("objective", name, target, dict(scales))
    else:
        protocols.check("objective", name, target)
    for part in found.parts:
        if part not in scales:
            raise unknown("part of the objective", part, scales)
    return found


class _Unreadable(Exception):
    """What is wrong with the inside of a form."""


def _split(text: str) -> tuple[str, list[str]]:
    """(kind, arguments) of ``kind(argument, …)``; commas inside inner brackets do not part."""
    kind, bracket, rest = text.strip().partition("(")
    if not bracket or not rest.endswith(")"):
        raise _unread(text, kind)
    return kind.strip(), separated(rest[:-1])


def _unread(text: str, kind: str) -> ConfigError:
    """Return the error for a text that begins with no name of an objective."""
    near = difflib.get_close_matches(kind.strip(), registry.names("objective"), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ConfigError(f"objective {text!r} cannot be read: {hint}it must be {FORMS}")


def _known(names: Sequence[str], scales: Scales) -> None:
    for name in names:
        if name not in scales:
            raise unknown("part of the objective", name, scales)
    if len(set(names)) < len(names):
        raise _Unreadable("it names a part twice; name each once")
    if not names:
        raise _Unreadable(f"it names no part; it must be {FORMS}")


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise ConfigError(f"{what} is {text.strip()!r}, not a number") from error
    if not math.isfinite(number):
        raise ConfigError(f"{what} is {number}, but must be finite")
    return number


def _numbered(
    inside: list[str], mark: str, default: str, what: str, scales: Scales
) -> dict[str, float]:
    """Part → number of arguments such as ``x=1``; ``default`` where none is written."""
    pairs = [part.partition(mark) for part in inside]
    names = [name.strip() for name, _, _ in pairs]
    _known(names, scales)
    return {name: _number(number or default, f"{what} of {name!r}")
            for name, (_, _, number) in zip(names, pairs, strict=True)}  # fmt: skip


def part(inside: list[str], scales: Scales) -> Objective:
    """One part decides."""
    if len(inside) != 1 or "=" in inside[0]:
        raise _Unreadable("'part' takes the name of one part and nothing else")
    _known(inside, scales)
    return Weighted({inside[0]: 1.0})


def mean_rank(inside: list[str], scales: Scales) -> Objective:
    """The mean of the ranks in each part; equal values share a rank."""
    if any("=" in part for part in inside):
        raise _Unreadable("only 'weighted' takes numbers")
    _known(inside, scales)
    if len(inside) == 1:
        return Weighted({inside[0]: 1.0})
    return MeanRank({name: scales[name] for name in inside})


def weighted(inside: list[str], scales: Scales) -> Objective:
    """A weighted sum of parts."""
    weights = _numbered(inside, "=", "1", "weight", scales)
    for name, weight in weights.items():
        if weight == 0.0:
            raise ConfigError(
                f"weight of {name!r} is 0, but must not be zero; leave out a part that does not "
                "count"
            )
    if abs(sum(weights.values())) < 1e-12:
        raise ConfigError(
            f"the weights of {', '.join(map(repr, weights))} sum to nothing, but must not; change "
            "one, or use 'constrain' to bound a part"
        )
    return Weighted(weights)


def lexicographic(inside: list[str], scales: Scales) -> Objective:
    """The first part decides, the next where two are nearly equal in it."""
    grains = _numbered(inside, "~", "0", "grain", scales)
    if min(grains.values()) < 0:
        raise _Unreadable("a grain must not be negative")
    return Lexicographic(grains)


def constrain(inside: list[str], scales: Scales) -> Objective:
    """Another objective, among candidates that keep bounds on parts."""
    bounds, then = [], []
    for part in inside:
        if part.startswith("then=") or part.startswith("then ="):
            then.append(part.partition("=")[2].strip())
            continue
        match = _BOUND.fullmatch(part)
        if match is None:
            raise _Unreadable(f"{part!r} is no bound; write x >= 6 or x <= 6, and then=y")
        name = match["part"]
        _known([name], scales)
        limit = _number(match["limit"], f"bound of {name!r}")
        bounds.append(Bound(name, limit, match["sign"] == ">=", scales[name]))
    if not bounds or len(then) != 1:
        raise _Unreadable("it needs at least one bound and one 'then=', such as "
                          "constrain(x >= 6, then=y)")  # fmt: skip
    what = then[0]
    return Constrained(tuple(bounds), parse(what if "(" in what else f"part({what})", scales))


def pareto(inside: list[str], scales: Scales) -> Objective:
    """Nothing is traded: the run returns all that no other beats in every part."""
    _known(inside, scales)
    if len(inside) < 2:
        raise _Unreadable("'pareto' needs at least two parts")
    return Pareto({name: scales[name] for name in inside})


def cascade(inside: list[str], scales: Scales) -> Objective:
    """Some parts look at all candidates of a yield, the next at the best of them, and so on.

    ``x:8, y+z``: x looks at all, y and z at the 8 best of a yield (``x:0.25``: its quarter).
    """
    pairs = [part.partition(":") for part in inside]
    if len(pairs) < 2 or any(not keep for _, _, keep in pairs[:-1]) or pairs[-1][2]:
        raise _Unreadable("'cascade' needs stages, each but the last with how many it lets "
                          "through, such as cascade(x:8, y)")  # fmt: skip
    stages = []
    for names, _, keep in pairs:
        share = _number(keep, f"what {names.strip()!r} lets through") if keep else None
        if share is not None and (share <= 0 or (share > 1 and share != int(share))):
            raise _Unreadable(f"{names.strip()!r} lets {keep.strip()} through; write a whole "
                              "number, or a share between 0 and 1")  # fmt: skip
        parts = [name.strip() for name in names.split("+")]
        stages.append(Stage(mean_rank(parts, scales), share))
    _known([p for stage in stages for p in stage.objective.parts], scales)
    return Cascade(tuple(stages))
