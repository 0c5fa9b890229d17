"""The pool: asks to workers, answers back, and nothing lost where workers are."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from ..candidates.ask import Ask, Reply
from ..candidates.noise import Array
from ..candidates.trajectory import Trajectory
from ..errors import BackendError
from .incoming_pictures import IncomingPictures
from .messages import Heard, InvalidReport, ReportReader, Sender
from .pool_member import CacheAffinity, Member, Times, family
from .worker_group import Event, Joined, Lost, Told, WorkerGroup

LOG = logging.getLogger("noisesearch")
TURN = 0.5  # seconds after which it is looked whether somebody is late
LOSSES = 3  # workers that may be lost one after the other, beyond two for each there was

Answers = list[tuple[Ask, Reply]]


class Pool:
    """An executor over the workers of a crew; it knows nothing of where they are.

    Asks about one beginning go to the worker that has it in its cache, new ones where a batch has
    room; what has not been handed out may be taken by a worker with nothing to do. What a lost
    worker held is asked of others. What one worker alone holds for long is asked of an idle one as
    well, and the first answer counts; a candidate's bits are the same anywhere. A worker whose
    report breaks the schema is put out of service. BackendError where no worker is left.

    ``desk`` is told what comes with answers before they are given: pictures to keep or to show.
    ``fetch`` and ``stored``: see :class:`Sender`. ``narrowed`` is told where a worker's memory ran
    out. With ``patience`` set, :meth:`wait` gives nothing after so many seconds without an answer.
    """

    def __init__(
        self,
        crew: WorkerGroup,
        reader: ReportReader,
        *,
        desk: IncomingPictures | None = None,
        fetch: Callable[[str], Array] | None = None,
        stored: Callable[[Trajectory], bytes | None] | None = None,
        narrowed: Callable[[int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.crew, self.reader = crew, reader
        self.usage: dict[str, dict[str, int]] = {}
        self.patience: float | None = None
        self.remarks: list[str] = []  # on what went wrong and was mended
        self.desk = desk or IncomingPictures(reader.parts)
        self._narrowed, self._clock = narrowed, clock
        self._fetch, self._stored = fetch, stored
        self._open: dict[str, Ask] = {}
        self._new: OrderedDict[str, Ask] = OrderedDict()
        self._members: dict[str, Member] = {}
        self._homes, self._times = CacheAffinity(), Times()
        self._most = self._lost = self._swaps = 0  # workers at once; lost since the last answer
        self._rows: int | None = None  # the fewest that memory had room for
        self._looked = -TURN  # when nobody was late
        self._why = "none has joined"

    @property
    def scorers(self) -> tuple[IncomingPictures, ...]:
        """Where pictures come in that verifiers elsewhere are to look at."""
        return (self.desk,)

    @property
    def swaps(self) -> int:
        """How often networks made room for others, over all workers."""
        return self._swaps + sum(member.swaps for member in self._members.values())

    def submit(self, ask: Ask) -> None:
        """Take an ask; the same again while it is in flight is one."""
        if ask.key not in self._open:
            self._open[ask.key] = ask
            # One that was cancelled, of which its worker has not been told, is still there.
            for member in self._members.values():
                if ask.key in member.cancelled:
                    member.cancelled.discard(ask.key)
                    return
            self._new[ask.key] = ask

    def cancel(self, ask: Ask) -> None:
        """Forget an ask; a worker that has it is told so with what it is handed next."""
        if self._open.pop(ask.key, None) is not None:
            self._new.pop(ask.key, None)
            for member in self._members.values():
                member.cancel(ask.key)

    def wait(self) -> Answers:
        """What is answered; empty when nothing is asked."""
        since = self._clock()
        while self._open:
            self._hand_out()
            self._check_left()
            answers = [a for event in self.crew.events(TURN) for a in self._heard(event)]
            if answers:
                self._hand_out()  # whoever asks next may take a while
                return answers
            if self.patience is not None and self._clock() - since >= self.patience:
                break
        return []

    def close(self) -> None:
        """End all workers, and drop what is in flight."""
        self._open.clear()
        self._new.clear()
        self.crew.close()

    def _check_left(self) -> None:
        left = bool(self._members) or self.crew.expecting
        if left and self._lost <= LOSSES + 2 * self._most:
            return
        what = "no worker is left"
        if left:
            what = f"{self._lost} workers were lost one after the other without an answer"
        raise BackendError(
            f"{what} (the last: {self._why}); what was answered is kept, so go on with resume"
        )

    def _heard(self, event: Event) -> Answers:
        match event:
            case Joined(name, rows):
                sender = Sender(self._fetch, self._stored)
                self._members[name] = Member(name, rows, sender)
                self._most = max(self._most, len(self._members))
            case Lost(name, why) if name in self._members:
                self._remove(name, f"worker {name} was lost ({why})")
            case Lost(name, why):
                self._gone(f"worker {name} could not begin ({why})")
            case Told(name, report) if name in self._members:
                member = self._members[name]
                member.working = False
                try:
                    return self._taken(member, self.reader.read(report, member.held))
                except InvalidReport as error:
                    self.crew.dismiss(name)
                    self._remove(name, f"worker {name} gave {error}, and was put out of service")
        return []

    def _remove(self, name: str, why: str) -> None:
        """A worker is there no more; what it had is asked of others, unless one has it too."""
        member = self._members.pop(name)
        self._swaps += member.swaps
        self._gone(why)
        elsewhere = {ask.key for other in self._members.values() for ask in other.wanted}
        again = [ask for ask in (*member.wanted, *member.queue.values())
                 if ask.key not in elsewhere]  # fmt: skip
        self._new = OrderedDict([(ask.key, ask) for ask in again] + list(self._new.items()))

    def _gone(self, why: str) -> None:
        self._lost += 1
        self._why = why
        self.remarks.append(why)
        LOG.warning(why)

    def _taken(self, member: Member, heard: Heard) -> Answers:
        """What a worker has said, counted; of answers those that somebody waits for."""
        now = self._clock()
        member.swaps = heard.swaps
        for condition, units in heard.usage.items():
            of = self.usage.setdefault(condition, {})
            for unit, count in units.items():
                of[unit] = of.get(unit, 0) + count
        self._narrow(member, heard.rows)
        answers: Answers = []
        for ask, reply in heard.answers:
            self._times.add(now - member.since[ask.key])
            member.drop(ask.key)
            if self._open.pop(ask.key, None) is None:
                continue  # cancelled, or another worker was first
            answers.append((ask, reply))
            for other in self._members.values():
                other.cancel(ask.key)
        if answers:
            self._lost = 0
            self.desk.receive(heard.only(answers))
        return answers

    def _narrow(self, member: Member, rows: int) -> None:
        if rows < member.rows and (self._rows is None or rows < self._rows):
            self._rows = rows
            if self._narrowed is not None:
                self._narrowed(rows)
        member.rows = max(1, rows)

    def _hand_out(self) -> None:
        """New asks to the queues, queues to the workers, and work to those that have none."""
        if not self._members:
            return
        while self._new:
            key, ask = self._new.popitem(last=False)
            self._homes.choose(ask, self._members).queue[key] = ask
        free = [member for member in self._members.values() if not member.working]
        fresh = {member.name: member.next() for member in free}
        for member in free:
            asks = fresh[member.name] or self._others(member)
            if asks or member.busy:
                self._give(member, asks)

    def _give(self, member: Member, asks: list[Ask]) -> None:
        told = list(member.cancelled)
        for key in told:
            member.drop(key)
        member.take(asks, self._clock())
        member.working = True
        self.crew.give(member.name, member.sender.parcel(asks, told))

    def _others(self, member: Member) -> list[Ask]:
        """For a worker with room: what waits for the one with most to do, from the end of its
        queue; else, where it holds nothing, what another holds for too long."""
        room = member.rows - member.busy
        busiest = max(self._members.values(), key=lambda other: len(other.queue))
        if room > 0 and busiest.queue:
            taken = busiest.spare(room)
        else:
            taken = [] if member.busy else self._late(room)
        for ask in taken:
            self._homes.move(family(ask), member)
        return taken

    def _late(self, room: int) -> list[Ask]:
        """What another worker alone holds for too long."""
        now = self._clock()
        if now - self._looked < TURN:
            return []
        late = self._times.overdue(list(self._members.values()), now)[:room]
        if not late:
            self._looked = now
        return late
