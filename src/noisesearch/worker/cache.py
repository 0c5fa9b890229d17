"""States at levels of edges, kept for siblings and for going on; bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

from ..sampling.denoiser import Memory
from ..sampling.solvers import Pair, State


@dataclass
class CachedState:
    """A row's state [1, …] at a level, and the network's evaluation there once it has been made.

    The worker sets ``pair`` in place: a sibling that starts here, or a preview asked for later,
    then finds it and pays nothing. ``memory`` is what the denoiser has kept of the row so far,
    with the evaluation here once that is made; a renoising begins without any.
    """

    state: State
    pair: Pair | None = None
    memory: Memory | None = None

    @property
    def bytes(self) -> int:
        """Counted with the pair, which comes later and stays: x0 and ε are as large as x."""
        tensors = (*self.state, self.state[0], self.state[0], *(self.memory or ()))
        return sum(t.numel() * t.element_size() for t in tensors)

    def own(self) -> None:
        """Have tensors of its own: a row of a batch keeps the whole of it in memory."""
        self.state = tuple(map(_alone, self.state))
        if self.pair is not None:
            self.pair = _alone(self.pair[0]), _alone(self.pair[1])


def _alone(tensor: Tensor) -> Tensor:
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


class EdgeCache:
    """Least recently used places by (edge, level); ``evictions`` counts what was dropped."""

    def __init__(self, capacity: int = 256 * 2**20) -> None:
        self.capacity = capacity
        self.evictions = 0
        self._bytes = 0
        self._places: OrderedDict[tuple[str, int], CachedState] = OrderedDict()
        self._sizes: dict[tuple[str, int], int] = {}  # a place's memory may come while it is here
        self._keys: dict[int, set[tuple[str, int]]] = {}  # of a place, by its identity
        self._levels: dict[str, set[int]] = {}

    def get(self, edge: str, level: int) -> CachedState | None:
        place = self._places.get((edge, level))
        if place is not None:
            self._places.move_to_end((edge, level))
        return place

    def nearest(self, edge: str, level: int) -> int | None:
        """The highest level of the edge at or below ``level`` that is here."""
        return max((k for k in self._levels.get(edge, ()) if k <= level), default=None)

    def put(self, edge: str, level: int, place: CachedState) -> None:
        self._drop((edge, level))
        place.own()
        self._places[edge, level] = place
        self._levels.setdefault(edge, set()).add(level)
        self._sizes[edge, level] = place.bytes
        self._keys.setdefault(id(place), set()).add((edge, level))
        self._bytes += place.bytes
        while self._bytes > self.capacity and len(self._places) > 1:
            self._drop(next(iter(self._places)))
            self.evictions += 1

    def clear(self) -> bool:
        """Drop everything; False where nothing is here."""
        there = len(self._places)
        while self._places:
            self._drop(next(iter(self._places)))
        self.evictions += there
        return there > 0

    def grown(self, place: CachedState) -> None:
        """A place has been evaluated, and has a memory perhaps: weigh it again wherever it is."""
        keys = tuple(self._keys.get(id(place), ()))
        if keys:
            place.own()
        if place.memory is not None:
            for edge, level in keys:
                self.put(edge, level, place)

    def _drop(self, at: tuple[str, int]) -> None:
        place = self._places.pop(at, None)
        if place is not None:
            self._bytes -= self._sizes.pop(at)
            keys = self._keys[id(place)]
            keys.discard(at)
            if not keys:
                del self._keys[id(place)]
            levels = self._levels[at[0]]
            levels.discard(at[1])
            if not levels:
                del self._levels[at[0]]
