"""One static page about a run: what changed, how much, at what cost, and whether to trust it."""

from .page import Report, report

__all__ = ["Report", "report"]
