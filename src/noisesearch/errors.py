"""What can go wrong, in one root and three kinds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class NoisesearchError(Exception):
    """Root of every error raised on purpose; its message is one sentence for the user."""

    exit_status = 2


class ConfigError(NoisesearchError, ValueError):
    """The request was wrong: says what was got, what is needed and what to do."""


class Unfollowed(ConfigError):
    """A scheduler whose steps none of our solvers takes."""


class StoreError(NoisesearchError):
    """A run folder cannot be read, written or continued."""


class BackendError(NoisesearchError):
    """The machinery failed (device, worker), not the request."""

    exit_status = 1


def unknown(kind: str, got: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that is not in a table: the nearest names first, then all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return ConfigError(f"unknown {kind} {got!r}: {hint}known are {_some(names)}")


def _some(names: list[str], most: int = 24) -> str:
    """All names where they fit into a sentence, else the first of them."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "none"


def first_of(names: Sequence[str], most: int = 3) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "") or "nothing"
