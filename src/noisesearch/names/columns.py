"""Numbers and columns as text."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns padded to their widest cell; the first left, the others as they come."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )
