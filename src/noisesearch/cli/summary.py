"""A run in the terminal: the best of each condition, what it cost, what is missing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..candidates.ledger import total
from ..names.columns import number
from .tables import sets_of, warnings

WIDE = 10_000  # columns of what is no terminal: a pipe wraps nothing
UNITS = ("nfe", "forwards", "backward", "decodes")


def summary(content: Mapping[str, Any]) -> str:
    """Tables and sentences about winners.json."""
    searches = content["searches"]
    tables = [_best(searches), _ledger(searches), _missing(searches)]
    texts = [table(rows) for rows in tables if len(rows) > 1]
    return "\n\n".join([*texts, *filter(None, ["\n".join(_notes(content))])])


def _best(searches: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row a condition; of each part the baseline's number and the winner's."""
    parts = list(dict.fromkeys(p for s in searches for p in s["winner"]["parts"]))
    rows: list[tuple[str, ...]] = [("condition", "baseline", "winner", "gain", "NFE", *parts)]
    for s in searches:
        base, winner = s["baseline"], s["winner"]
        scores = base["score"], winner["score"]
        gain = None if None in scores else winner["score"] - base["score"]
        each = (f"{number(base['parts'].get(p))} → {number(winner['parts'].get(p))}"
                for p in parts)  # fmt: skip
        rows.append((s["condition"], *map(number, scores), number(gain, "+.3f"),
                     str(s["ledger"]["nfe"]), *each))  # fmt: skip
    return rows


def _ledger(searches: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """What was asked for and what ran, over all conditions."""
    rows: list[tuple[str, ...]] = [("spent", "asked for", "ran, baselines too", "seconds")]
    if not searches:
        return rows
    whole = total(s["ledger"] for s in searches)
    ran = whole["physical"]
    for unit in UNITS:
        if whole[unit] or ran.get(unit):
            rows.append((unit, f"{whole[unit]:g}", f"{ran.get(unit, 0):g}", ""))
    for name, of in whole["verifiers"].items():
        rows.append((name, f"{of['samples']:g}", "", f"{of['seconds']:.2f}"))
    # The clock is the run's, and every condition has the whole of it.
    seconds = max(s["ledger"]["seconds"] for s in searches)
    money = [("usd", f"{whole['usd']:.4g}", "", "")] if whole.get("usd") else []
    return [*rows, *money, ("whole run", "", "", f"{seconds:.2f}")]


def _missing(searches: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    counts: Counter[str] = Counter()
    for s in searches:
        counts.update(s["missing"])
    return [("missing", "candidates"), *((part, str(n)) for part, n in counts.items())]


def _notes(content: Mapping[str, Any]) -> list[str]:
    """What should be known beside the numbers, a sentence each."""
    first = [] if content.get("complete", True) else [
        f"not complete; go on with: noisesearch resume {content['run']}"
    ]  # fmt: skip
    found = content.get("population")
    return [*first, *warnings(content), *([] if found is None else [sets_of(found)])]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as the terminal lets them be, the first row as their heads."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for i, head in enumerate(rows[0]):
        made.add_column(Text(head), justify="left" if i == 0 else "right")
    for row in rows[1:]:
        made.add_row(*map(Text, row))  # a prompt may look like markup
    out = sys.__stdout__  # while a command runs, sys.stdout is what libraries print to
    wide = None if out is not None and out.isatty() else WIDE
    console = Console(file=out, width=wide)
    with console.capture() as capture:
        console.print(made)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
