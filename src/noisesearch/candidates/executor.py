"""What answers asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from .ask import Ask, Reply


class Executor(Protocol):
    """Answers asks, in any order. ``submit`` is idempotent: the same ask twice is one."""

    @property
    def usage(self) -> Mapping[str, Mapping[str, int]]:
        """What ran so far, by condition key: nfe and decodes."""
        ...

    def submit(self, ask: Ask) -> None: ...

    def wait(self) -> list[tuple[Ask, Reply]]:
        """Block until something is answered; empty where nothing is asked."""
        ...

    def cancel(self, ask: Ask) -> None:
        """Nobody waits for it any more: it need not be answered, and should cost nothing."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Patient(Protocol):
    """An executor whose answers may take long: it gives nothing after ``patience`` seconds
    without one."""

    patience: float | None


@runtime_checkable
class Swapping(Protocol):
    """An executor, or a worker, on whose device networks make room for each other.

    ``swaps``: how often they did; a run in lean memory reports it.
    """

    @property
    def swaps(self) -> int: ...


def swaps(executor: object) -> int:
    """Return how often networks made room for others; 0 where the executor does not count."""
    return executor.swaps if isinstance(executor, Swapping) else 0
