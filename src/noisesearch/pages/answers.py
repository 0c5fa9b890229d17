"""The page's first lines: what changed, how much, at what cost, and whether to trust it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..algorithms.agreement import sentences
from ..store.history import RunHistory
from .cost import RunCost
from .gains import VALUE, Gain

FEW = 8  # conditions below which an interval over them says little


@dataclass(frozen=True)
class Remark:
    """One thing to know before the numbers are believed; ``good`` None: neither way."""

    text: str
    good: bool | None


@dataclass(frozen=True)
class Answers:
    """One or two sentences each, and remarks on trust."""

    changed: str
    much: str
    cost: str
    trust: Sequence[Remark]


def answers(reading: RunHistory, found: Sequence[Gain], cost: RunCost) -> Answers:
    return Answers(_changed(reading), _much(reading, found), _cost(reading, cost),
                   list(_trust(reading, found, cost)))  # fmt: skip


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _changed(reading: RunHistory) -> str:
    sets = reading.content.get("population")
    if sets is not None:
        return (
            f"A set of {counted(sets['size'], 'sample')} was chosen as a whole: its objective is "
            f"{sets['winner']:.4g} with search and {sets['baseline']:.4g} without."
        )
    total = len(reading.searches)
    kept = sum(bool(s.result["baseline_kept"]) for s in reading.searches)
    same = sum(s.winner is s.baseline for s in reading.searches)
    changed = total - max(kept, same)
    if total == 1:
        return (
            "Search found a better picture than the first noise gives."
            if changed
            else "What search came to did not beat the first noise, so the baseline is kept."
        )
    if changed == 0:
        return (
            f"For none of {total} prompts did search come to a better picture than the baseline."
        )
    rest = f"; for {total - changed} the baseline stays" if changed < total else ""
    return f"Search found a better picture for {changed} of {total} prompts{rest}."


def _much(reading: RunHistory, found: Sequence[Gain]) -> str:
    sets = reading.content.get("population")
    if sets is not None:
        change = sets["winner"] - sets["baseline"]
        return f"The objective of the set changed by {change:+.3g}; one set has no interval."
    lead = [g for g in found if g.part == VALUE] or [g for g in found if g.role == "searched"]
    if not lead:
        return "No score is there on both sides, so no gain can be told."
    gain = lead[0]
    name = "The objective" if gain.part == VALUE else gain.part
    about = f"{name} went from {gain.baseline:.4g} to {gain.winner:.4g}, {gain.delta:+.3g}"
    if gain.interval is None:
        return f"{about}. One prompt has no interval; search several to have one."
    return (
        f"{about} on average (95 % interval {gain.interval.low:+.3g} to "
        f"{gain.interval.high:+.3g} over {gain.pairs} prompts)."
    )


def _cost(reading: RunHistory, cost: RunCost) -> str:
    searches = len(reading.searches)
    candidates = sum(len(s.candidates) for s in reading.searches)
    times = f", {cost.nfe / cost.baseline:,.0f} times the baseline" if cost.baseline else ""
    each = "" if searches == 1 else f" ({cost.nfe / searches:,.0f} a prompt)"
    return (
        f"{counted(round(cost.nfe), 'evaluation')} of the denoiser{each}{times}; "
        f"{counted(candidates, 'candidate')} in {clock(cost.seconds)}."
    )


def clock(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} seconds"
    return f"{seconds / 60:.3g} minutes" if seconds < 7200 else f"{seconds / 3600:.3g} hours"


def _trust(reading: RunHistory, found: Sequence[Gain], cost: RunCost) -> Iterator[Remark]:
    if not reading.complete:
        yield Remark(
            "The run is not finished: what is shown is the best so far. Go on with: "
            f"noisesearch resume {reading.folder}",
            False,
        )
    if reading.reranked:
        yield Remark(_reranked(reading), None)
    yield from _held_out(reading, found)
    yield from _interval(found)
    for said in sentences([s.result for s in reading.searches]):
        yield Remark(f"{said[0].upper()}{said[1:]}.", None)
    yield from _failed(reading)
    broken = [s for s in reading.searches if s.result.get("unmet")]
    if broken:
        yield Remark(
            f"{counted(len(broken), 'winner')} of {len(reading.searches)} break a bound, since "
            "no candidate keeps it.",
            False,
        )
    if not reading.complete:
        return  # asks that are not answered yet are in the one and not in the other
    if cost.physical < cost.nfe:
        yield Remark(
            f"{cost.physical:,} evaluations were counted at the network, fewer than the "
            f"{cost.nfe:,} that the recipes need: some answers were not computed here.",
            None,
        )
    else:
        more = cost.physical - cost.nfe
        besides = (
            f", and {more:,} besides (baselines, work that a stop threw away)" if more else ""
        )
        yield Remark(
            f"All {cost.nfe:,} evaluations that the recipes need were counted at the "
            f"network{besides}.",
            True,
        )


def _reranked(reading: RunHistory) -> str:
    other = "The winners were ranked by another objective than the run's own"
    if reading.objective is None:
        return f"{other}, which the folder does not keep; so there is no curve of it."
    return f"{other}: {reading.ranked_by or 'mean rank'}."


def _held_out(reading: RunHistory, found: Sequence[Gain]) -> Iterator[Remark]:
    held = [g for g in found if g.role == "held out"]
    if not held:
        yield Remark(
            "No held-out verifier watched this search, so nothing here tells a better picture "
            "from one that only its own verifiers like; add --watch VERIFIER.",
            None,
        )
    for gain in held:
        span = f"from {gain.baseline:.3g} to {gain.winner:.3g}"
        if gain.interval is not None:
            span += f", {gain.interval.text('+.3g')}"
        said = {
            "rose": f"{gain.part}, which the search never saw, rose with it ({span}).",
            "higher": f"{gain.part}, which the search never saw, is higher too ({span}).",
            "fell": f"{gain.part}, which the search never saw, fell ({span}): a sign that the "
            "search finds what its verifiers like and not what is good.",
            "lower": f"{gain.part}, which the search never saw, is lower ({span}): a sign that "
            "the search finds what its verifiers like and not what is good.",
            "unchanged": f"{gain.part}, which the search never saw, is unchanged ({span}).",
            "cannot be told": f"Whether {gain.part}, which the search never saw, went with it "
            f"cannot be told ({span}).",
        }
        good = {"rose": True, "higher": True, "fell": False, "lower": False}.get(gain.verdict)
        yield Remark(said[gain.verdict], good)


def _interval(found: Sequence[Gain]) -> Iterator[Remark]:
    gain = found[0] if found else None
    if gain is None or gain.interval is None or gain.part != VALUE:
        return
    if gain.pairs < FEW:
        yield Remark(
            f"The interval is over {gain.pairs} prompts only; with fewer than {FEW} it is rough.",
            None,
        )
    if gain.verdict == "rose":
        yield Remark("The interval of the gain excludes zero.", True)
    elif gain.verdict == "cannot be told":
        yield Remark("The interval of the gain includes zero.", False)


def _failed(reading: RunHistory) -> Iterator[Remark]:
    lost: Counter[str] = Counter()
    first: dict[str, str] = {}
    total = 0
    for search in reading.searches:
        for candidate in search.candidates:
            total += 1
            for part, reason in candidate.reply.missing.items():
                lost[part] += 1
                first.setdefault(part, reason)
    for part, count in lost.items():
        yield Remark(
            f"{part} is missing in {count} of {counted(total, 'candidate')}; the first reason: "
            f"{first[part]}.",
            False,
        )
    if not lost:
        yield Remark("Every verifier scored every candidate that it was asked about.", True)
