"""What a pool is told by the workers that it has, wherever they are, and how it speaks to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Parcel = dict[str, Any]  # to a worker: asks, as data that JSON holds; see wire.py
Report = Any  # from a worker: whatever came, which wire.py reads


@dataclass(frozen=True)
class Joined:
    """A worker is ready; its batches have ``rows`` rows. A name is never used twice."""

    worker: str
    rows: int


@dataclass(frozen=True)
class Told:
    """A worker is done with the parcel that it had, and takes the next."""

    worker: str
    report: Report


@dataclass(frozen=True)
class Lost:
    """A worker is gone, with all that it was asked."""

    worker: str
    why: str


Event = Joined | Told | Lost


class WorkerGroup(Protocol):
    """The workers of a pool.

    Contract: a worker is first told of by :class:`Joined`, then has at most one parcel at a time,
    each of which is followed by one :class:`Told`, or by :class:`Lost`, after which nothing more
    comes of it. Whether one that was lost is replaced, and by what, is the crew's affair: the new
    one joins under another name.
    """

    @property
    def expecting(self) -> bool:
        """True while a worker may still join by itself; else a pool without any gives up."""
        ...

    def give(self, worker: str, parcel: Parcel) -> None:
        """Hand a worker its next parcel; one that is gone meanwhile is told of by an event."""
        ...

    def events(self, seconds: float) -> Sequence[Event]:
        """What has happened since; waits for something up to ``seconds``."""
        ...

    def dismiss(self, worker: str) -> None:
        """Put a worker out of service: it is of no use, and is not replaced by another like it.
        No event of it follows."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...
