"""The workers of a pool as the pool sees them: what each holds, what waits for it, whose turn."""

from __future__ import annotations

import statistics
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..candidates.ask import Ask
from .messages import Sender

AHEAD = 2  # batches that a worker is handed, so that a slot that falls free is filled at once
FAMILIES = 65_536  # whose worker is remembered
TIMED = 128  # answers whose times say what is usual
TIMED_LEAST = 8
SLOW = 3.0  # times the usual, after which an idle worker is asked as well

Family = tuple[str, str, str]


def family(ask: Ask) -> Family:
    """What has a beginning in common: one of them has its states in a worker's cache."""
    of = ask.trajectory
    return of.condition.key, of.noise.key, of.draft


@dataclass(eq=False)
class Member:
    """One worker.

    ``held``: what it was handed and has not answered, by key; ``since`` when; ``cancelled``:
    those of them that nobody waits for, which it is yet to be told; ``queue``: what waits on our
    side, where others may take it.
    """

    name: str
    rows: int
    sender: Sender
    held: dict[str, Ask] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    queue: OrderedDict[str, Ask] = field(default_factory=OrderedDict)
    working: bool = False  # it has a parcel
    swaps: int = 0

    @property
    def wanted(self) -> list[Ask]:
        """What it holds that somebody waits for."""
        return [ask for key, ask in self.held.items() if key not in self.cancelled]

    @property
    def busy(self) -> int:
        """How many of them."""
        return len(self.held) - len(self.cancelled)

    @property
    def load(self) -> int:
        return self.busy + len(self.queue)

    def take(self, asks: Iterable[Ask], now: float) -> None:
        for ask in asks:
            self.cancelled.discard(ask.key)
            self.held[ask.key] = ask
            self.since[ask.key] = now

    def next(self) -> list[Ask]:
        """What it is handed of its queue, as much as there is room for."""
        room = max(0, AHEAD * self.rows - self.busy)
        return [self.queue.popitem(last=False)[1] for _ in range(min(room, len(self.queue)))]

    def spare(self, room: int) -> list[Ask]:
        """What another may have, from the end of its queue."""
        taken = [self.queue.popitem()[1] for _ in range(min(room, len(self.queue)))]
        return taken[::-1]

    def cancel(self, key: str) -> None:
        self.queue.pop(key, None)
        if key in self.held:
            self.cancelled.add(key)

    def drop(self, key: str) -> None:
        """It has answered, or has been told that it need not."""
        self.held.pop(key, None)
        self.since.pop(key, None)
        self.cancelled.discard(key)


class CacheAffinity:
    """Which worker has the states of a family; those looked at longest ago are forgotten."""

    def __init__(self) -> None:
        self._of: OrderedDict[Family, Member] = OrderedDict()

    def choose(self, ask: Ask, members: Mapping[str, Member]) -> Member:
        """The family's own, else the one whose batches are fewest with one more row; of equals
        the one whose batch is fullest, since a row beside others costs nothing."""
        of = family(ask)
        home = self._of.get(of)
        if home is None or home.name not in members:
            home = min(members.values(), key=lambda m: (m.load // m.rows, -m.load))
        self.move(of, home)
        return home

    def move(self, of: Family, to: Member) -> None:
        self._of[of] = to
        self._of.move_to_end(of)
        if len(self._of) > FAMILIES:
            self._of.popitem(last=False)


class Times:
    """How long answers take, and which asks take longer than is usual."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=TIMED)

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def overdue(self, members: Sequence[Member], now: float) -> list[Ask]:
        """Asks that one worker alone holds and has held for long, the oldest first."""
        if len(self._seconds) < TIMED_LEAST:
            return []
        limit = SLOW * statistics.median(self._seconds)
        holders: dict[str, int] = {}
        for member in members:
            for ask in member.wanted:
                holders[ask.key] = holders.get(ask.key, 0) + 1
        late = [(member.since[ask.key], ask) for member in members for ask in member.wanted
                if holders[ask.key] == 1 and now - member.since[ask.key] > limit]  # fmt: skip
        return [ask for _, ask in sorted(late, key=lambda pair: pair[0])]
