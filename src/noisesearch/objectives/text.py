"""Objectives as text, on the command line and in specs: ``constrain(taste >= 6, then=clip)``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from ..errors import ConfigError, unknown
from ..names.forms import separated
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
    "'constrain(x >= 6, then=y)', 'pareto(x, y)' or 'cascade(x:8, y)'"
)
_BOUND = re.compile(r"(?P<part>[^<>=]+?)\s*(?P<sign>>=|<=)\s*(?P<limit>.+)")


def parse(text: str, scales: Scales) -> Objective:
    """The objective of a text such as ``weighted(x=1, y=0.5)``; "" is the mean rank of all.

    ``scales`` has every part of the run. A single part is its own order.
    """
    if not scales:
        raise ConfigError("there is no part of a verifier to compare candidates by; name one")
    if not text:
        return _mean_rank(list(scales), scales)
    kind, inside = _split(text)
    if kind not in _READERS:
        raise ConfigError(f"objective {text!r} cannot be read: it must be {FORMS}")
    try:
        return _READERS[kind](inside, scales)
    except _Unreadable as error:
        raise ConfigError(f"objective {text!r} cannot be read: {error}") from error


class _Unreadable(Exception):
    """What is wrong with the inside of a form."""


def _split(text: str) -> tuple[str, list[str]]:
    """(kind, arguments) of ``kind(argument, …)``; commas inside inner brackets do not part."""
    kind, bracket, rest = text.strip().partition("(")
    if not bracket or not rest.endswith(")"):
        raise ConfigError(f"objective {text!r} cannot be read: it must be {FORMS}")
    return kind.strip(), separated(rest[:-1])


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


def _part(inside: list[str], scales: Scales) -> Objective:
    if len(inside) != 1 or "=" in inside[0]:
        raise _Unreadable("'part' takes the name of one part and nothing else")
    _known(inside, scales)
    return Weighted({inside[0]: 1.0})


def _mean_rank(inside: list[str], scales: Scales) -> Objective:
    if any("=" in part for part in inside):
        raise _Unreadable("only 'weighted' takes numbers")
    _known(inside, scales)
    if len(inside) == 1:
        return Weighted({inside[0]: 1.0})
    return MeanRank({name: scales[name] for name in inside})


def _weighted(inside: list[str], scales: Scales) -> Objective:
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


def _lexicographic(inside: list[str], scales: Scales) -> Objective:
    grains = _numbered(inside, "~", "0", "grain", scales)
    if min(grains.values()) < 0:
        raise _Unreadable("a grain must not be negative")
    return Lexicographic(grains)


def _constrain(inside: list[str], scales: Scales) -> Objective:
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


def _pareto(inside: list[str], scales: Scales) -> Objective:
    _known(inside, scales)
    if len(inside) < 2:
        raise _Unreadable("'pareto' needs at least two parts")
    return Pareto({name: scales[name] for name in inside})


def _cascade(inside: list[str], scales: Scales) -> Objective:
    """``x:8, y+z``: x looks at all, y and z at the 8 best of a yield (``x:0.25``: its quarter)."""
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
        stages.append(Stage(_mean_rank(parts, scales), share))
    _known([p for stage in stages for p in stage.objective.parts], scales)
    return Cascade(tuple(stages))


_READERS: dict[str, Callable[[list[str], Scales], Objective]] = {
    "part": _part,
    "mean-rank": _mean_rank,
    "weighted": _weighted,
    "lexicographic": _lexicographic,
    "constrain": _constrain,
    "pareto": _pareto,
    "cascade": _cascade,
}
