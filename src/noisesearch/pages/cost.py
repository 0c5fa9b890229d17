"""What a run cost, as rows and bars: predicted from the recipes, and counted where it ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..candidates.ledger import total
from ..store.history import RunHistory


@dataclass(frozen=True)
class Line:
    """One unit of the ledger; None where it is not known on that side. ``planned``: least and
    most, the same where the plan was exact."""

    name: str
    about: str
    planned: tuple[float, float] | None
    recipes: float | None
    counted: float | None


@dataclass(frozen=True)
class Bar:
    """Shares of a whole, in order; the widths of its segments sum to 1."""

    title: str
    unit: str
    segments: Sequence[tuple[str, float]]

    @property
    def whole(self) -> float:
        return sum(amount for _, amount in self.segments)


@dataclass(frozen=True)
class RunCost:
    """``nfe`` as the recipes need, ``baseline`` apart from it, ``physical`` as the network
    counted."""

    nfe: int
    baseline: int
    physical: int
    seconds: float
    lines: Sequence[Line]
    bars: Sequence[Bar]


def spent(searches: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], float]:
    """The ledgers of a run's searches, as winners.json has them, summed; and its seconds."""
    ledgers = [of["ledger"] for of in searches]
    sums = total({k: v for k, v in of.items() if k != "seconds"} for of in ledgers)
    # The clock is the run's, and each search says the same.
    return sums, max((of["seconds"] for of in ledgers), default=0.0)


def cost(reading: RunHistory) -> RunCost:
    sums, seconds = spent(s.result for s in reading.searches)
    return RunCost(
        sums["nfe"],
        sums["baseline"]["nfe"],
        sums["physical"]["nfe"],
        seconds,
        list(_lines(sums, reading)),
        list(_bars(sums, seconds)),
    )


def _lines(sums: Mapping[str, Any], reading: RunHistory) -> Iterator[Line]:
    plan, physical = reading.plan, sums["physical"]
    about = {
        "nfe": "evaluations of the denoiser, each of one sample",
        "forwards": "network calls; guidance makes two of an evaluation",
        "recompute": "evaluations made again on the way back of a gradient",
        "backward": "evaluations gone back through for gradients",
        "decodes": "latents made into pictures",
        "flops": "floating point operations of the denoiser",
        "calls": "calls of paid services",
        "tokens": "tokens of paid services",
        "usd": "dollars",
    }
    for unit, words in about.items():
        amount = sums.get(unit, 0)
        if amount or unit in ("nfe", "forwards", "decodes"):
            yield Line(unit, words, _planned(plan, unit), amount, physical.get(unit))
    for name, of in sums["verifiers"].items():
        about_it = f"samples scored, in {of['seconds']:.3g} seconds"
        # How often a best is found, and looked at, no plan can know.
        watched = name in reading.watched_verifiers
        planned = None if watched else _planned(plan, "verifiers", name, "samples")
        yield Line(name, about_it, planned, of["samples"], None)


def _planned(plan: Mapping[str, Any], *path: str) -> tuple[float, float] | None:
    """Least and most that a plan says of one unit."""
    ends: list[float] = []
    for end in ("least", "most"):
        found: Any = plan.get("ledger", plan.get(end))
        for name in path:
            found = None if found is None else found.get(name)
        if found is None:
            return None
        ends.append(found)
    return min(ends), max(ends)


def _bars(sums: Mapping[str, Any], seconds: float) -> Iterator[Bar]:
    again = sums["recompute"]
    guidance = sums["forwards"] - sums["nfe"] - again
    yield Bar(
        "Network calls", "calls",
        _known(("denoiser", sums["nfe"]), ("guidance", max(0, guidance)), ("recompute", again),
               ("backward", sums["backward"])),
    )  # fmt: skip
    verifiers = {name: of["seconds"] for name, of in sums["verifiers"].items()}
    rest = seconds - sum(verifiers.values())
    # A verifier that takes its time works beside the rest, and may take longer than the run.
    others = ("denoiser, decoder, waiting", max(0.0, rest))
    yield Bar("Time", "s", _known(others, *verifiers.items()))


def _known(*segments: tuple[str, float]) -> list[tuple[str, float]]:
    return [(name, amount) for name, amount in segments if amount > 0]
