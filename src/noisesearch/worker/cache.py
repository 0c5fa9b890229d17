"""States at levels of edges, kept for siblings and for going on; bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ..solvers import Pair, State


@dataclass
class Place:
    """A row's state at a level, and the network's evaluation there if it has been made."""

    state: State
    pair: Pair | None = None

    @property
    def bytes(self) -> int:
        tensors = (*self.state, *(self.pair or ()))
        return sum(t.numel() * t.element_size() for t in tensors)


class EdgeCache:
    """Least recently used places by (edge, level); ``evictions`` counts what was dropped."""

    def __init__(self, capacity: int = 256 * 2**20) -> None:
        self.capacity = capacity
        self.evictions = 0
        self._bytes = 0
        self._places: OrderedDict[tuple[str, int], Place] = OrderedDict()
        self._levels: dict[str, set[int]] = {}

    def get(self, edge: str, level: int) -> Place | None:
        place = self._places.get((edge, level))
        if place is not None:
            self._places.move_to_end((edge, level))
        return place

    def nearest(self, edge: str, level: int) -> int | None:
        """The highest level of the edge at or below ``level`` that is here."""
        return max((k for k in self._levels.get(edge, ()) if k <= level), default=None)

    def put(self, edge: str, level: int, place: Place) -> None:
        self._drop((edge, level))
        self._places[edge, level] = place
        self._levels.setdefault(edge, set()).add(level)
        self._bytes += place.bytes
        while self._bytes > self.capacity and len(self._places) > 1:
            self._drop(next(iter(self._places)))
            self.evictions += 1

    def _drop(self, at: tuple[str, int]) -> None:
        place = self._places.pop(at, None)
        if place is not None:
            self._bytes -= place.bytes
            levels = self._levels[at[0]]
            levels.discard(at[1])
            if not levels:
                del self._levels[at[0]]
