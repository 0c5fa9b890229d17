"""Tables for people: winners, plans, and what there is to choose from."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..algorithms.agreement import sentences
from ..errors import unknown
from ..models import choice
from ..names import registry
from ..names.columns import aligned, number

if TYPE_CHECKING:
    from ..evaluation.check_verifier import VerifierReport
    from ..experiments.calibrate import Calibration
    from ..experiments.compare import Comparison

SAID = 4  # notes of single searches that are shown
KINDS = (*(f"{kind}s" for kind in registry.TABLES), "words")


def winners(content: Mapping[str, Any]) -> str:
    """A line a condition: baseline, winner, NFE, and the winner's parts."""
    head = ("condition", "baseline", "winner", "gain", "NFE", "parts of the winner")
    rows = [head]
    for s in content["searches"]:
        base, winner = s["baseline"]["score"], s["winner"]["score"]
        parts = ", ".join(f"{p} {v:.3f}" for p, v in s["winner"]["parts"].items())
        gain = number(None if base is None or winner is None else winner - base, "+.3f")
        rows.append((s["condition"], number(base), number(winner), gain,
                     str(s["ledger"]["nfe"]), parts))  # fmt: skip
    found = content.get("population")
    return aligned(rows) + ("" if found is None else f"\n\n{sets_of(found)}")


def sets_of(found: Mapping[str, Any]) -> str:
    """What a search for a set came to."""
    return (f"the set of {found['size']}: {number(found['baseline'], '.4g')} without search, "
            f"{number(found['winner'], '.4g')} with it (larger is better)")  # fmt: skip


def warnings(content: Mapping[str, Any]) -> list[str]:
    """What a user should know about a run, from its JSON, a sentence each."""
    said = []
    for s in content["searches"]:
        name = s["condition"]
        if s["baseline_kept"]:
            what = "candidate" if content.get("population") is None else "set"
            said.append(f"{name}: the {what} chosen does not beat the baseline, which is kept")
        if s["unmet"]:
            broken = " and ".join(s["unmet"])
            said.append(f"{name}: no candidate keeps {broken}; the nearest is the winner")
        if s.get("short_of"):
            missed = f"the target {s['short_of']} was not reached"
            said.append(f"{name}: {missed}; the best found is the winner")
    said += sentences(content["searches"])
    said += _noted(content["searches"])
    watched = [s["watch"] for s in content["searches"] if "watch" in s]
    for part in dict.fromkeys(part for w in watched for part in w["parts"]):
        fell = [(w["parts"][part][0], w["parts"][part][-1]) for w in watched if part in w["fell"]]
        if fell:
            before, after = (sum(column) / len(fell) for column in zip(*fell, strict=True))
            said.append(
                f"held-out {part} fell in {len(fell)} of {len(watched)} searches while the "
                f"objective rose (from {before:.3f} to {after:.3f} there): a sign that the search "
                "finds what its verifiers like and not what is good"
            )
    return said


def _noted(searches: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the algorithm said of its searches; once what it said of all, and of many the first."""
    counts = Counter(note for s in searches for note in s.get("notes", ()))
    common = [note for note, count in counts.items() if count >= len(searches)]
    own = [f"{s['condition']}: {note}" for s in searches for note in s.get("notes", ())
           if note not in common]  # fmt: skip
    rest = [f"and {len(own) - SAID} notes more, in winners.json"] if len(own) > SAID else []
    return [*common, *own[:SAID], *rest]


def compared(found: Comparison) -> str:
    """A line an arm: means, gains over no search, and over the first algorithm of its budget."""
    columns = [c for c in ("score", "right") if c in found.arms[0].columns]
    head = ("algorithm", "budget", "NFE", "seconds", *columns,
            *(f"{c} over no search [95 %]" for c in columns),
            *(f"{c} over the first [95 %]" for c in columns))  # fmt: skip
    rows: list[tuple[str, ...]] = [head]
    for arm in found.arms:
        first = next(a for a in found.arms if a.budget == arm.budget)
        none = found.arms[0]
        cells = [arm.algorithm, arm.budget, f"{arm.nfe:.0f}", f"{arm.seconds:.0f}"]
        cells += [f"{arm.columns[c].mean():.3f}" for c in columns]
        for of in (none, first):
            cells += ["" if of is arm else found.difference(arm, of, c).text() for c in columns]
        rows.append(tuple(cells))
    return aligned(rows)


def calibration(found: Calibration) -> str:
    """A line a draft: its cost, and how it ranks the noises of the full samples."""
    rows = [("draft", "steps", "NFE", "seconds", "reused", "rank correlation [95 %]",
             "regret [95 %]", "gain kept")]  # fmt: skip
    for row in found.rows:
        rows.append((row.draft, str(row.steps), f"{row.nfe:.2f}", number(row.seconds, ".2f"),
                     number(row.reused, ".0%"), row.correlation.text(".3f"),
                     row.regret.text(".3f"), f"{row.kept:.0%}"))  # fmt: skip
    return aligned(rows) + (
        f"\n\n{found.prompts} prompts, {found.candidates} noises each; NFE and seconds are those "
        f"of a candidate over a full one's of {found.steps} steps; gain kept is what is left of "
        "the gain of the best candidate over the mean one"
    )


def checked(report: VerifierReport) -> str:
    """A line a check, and how fast the verifier is."""
    rows = [(c.name, "ok" if c.passed else "FAILED", c.said) for c in report.checks]
    speed = number(report.speed, ".3g")
    return aligned(rows) + (
        f"\n\n{report.verifier}: {'all holds' if report.passed else 'not all holds'}, on "
        f"{report.pictures} pictures; {speed} pictures a second"
    )


def listed(what: str, model: str) -> list[dict[str, Any]]:
    """Objects with at least name and summary."""
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    if what in ("solvers", "objectives"):
        kind = what.removesuffix("s")
        return [{"name": n, "summary": summary(registry.load(kind, n))}
                for n in registry.names(kind)]  # fmt: skip
    if what == "metrics":
        from ..evaluation import metrics

        return metrics.listed()
    if what == "experiments":
        from ..experiments import reproduction

        return reproduction.listed()
    chosen = choice.model_of(model)
    if what == "words":
        return [{"name": word, "summary": ""} for word in chosen.words()]
    if what == "models":
        models = [choice.model_of(name) for name in registry.names("model")]
        return [{"name": m.name, "summary": m.summary, "steps": m.steps, "guidance": m.guidance,
                 "solver": m.solver, "size": "x".join(map(str, m.size))}
                for m in models]  # fmt: skip
    if what == "verifiers":
        of = {**registry.names("verifier"), **chosen.verifiers}
        rows = [{"name": n, "summary": summary(registry.load("verifier", n, chosen.verifiers))}
                for n in of]  # fmt: skip
        together = f"mean rank of {', '.join(chosen.ensemble)}"
        return [*rows, {"name": "ensemble", "summary": together}]
    return [_algorithm(name) for name in registry.names("algorithm")]


def _algorithm(name: str) -> dict[str, Any]:
    target = registry.load("algorithm", name)
    fields = getattr(target, "model_fields", {})
    return {
        "name": name,
        "summary": summary(target),
        "parameters": {
            key: {"default": field.default, "summary": field.description or ""}
            for key, field in fields.items()
        },
    }


def summary(thing: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n")[0]
