"""Candidates that are looked at elsewhere, while the worker goes on: an executor over another."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..candidates.ask import Ask, Reply
from ..candidates.executor import Executor, swaps
from ..candidates.trajectory import Trajectory
from ..files.pictures import Picture
from ..verifiers.slow_verifier import CandidatePicture, SlowReply, SlowVerifier
from .scoring import Hand

Asking = Callable[[SlowVerifier, Sequence[CandidatePicture]], None]


class Handing(Protocol):
    """What scores: ``hand`` is told of pictures that verifiers of ours are to look at."""

    parts: tuple[str, ...]
    hand: Hand | None


class Scoring(Executor, Protocol):
    """A worker, or several: an executor that decodes and scores."""

    @property
    def scorers(self) -> Sequence[Handing]: ...


@dataclass
class Held:
    """An answer that waits for what is said elsewhere."""

    ask: Ask
    reply: Reply
    awaited: set[str]  # names of verifiers


@dataclass(frozen=True)
class VerifierReply:
    """What one verifier said of one candidate, and how long it took."""

    verdict: SlowReply
    seconds: float


class SlowVerifierExecutor:
    """Answers what the worker answers, with the parts of verifiers that take their time added.

    Contract: a verifier is asked once about a candidate, from a thread of its own, and while it
    thinks the worker goes on; only the search that asked waits. Verifiers of groups are asked when
    the worker has nothing more to make for that condition, so that all candidates of a round are
    there. ``asking`` is called before they are asked. With ``patience`` set, :meth:`wait` gives
    nothing after so many seconds without an answer, so that its caller can look at the clock.
    """

    def __init__(
        self, worker: Scoring, verifiers: Sequence[SlowVerifier], asking: Asking | None = None
    ) -> None:
        self.worker = worker
        self.patience: float | None = None
        self._verifiers = {v.name: v for v in verifiers}
        self._owner = {part: v.name for v in verifiers for part in v.parts}
        self._asking = asking
        self._rooms = {v.name: Room(v, self._done) for v in verifiers}
        self._came: queue.SimpleQueue[tuple[str, CandidatePicture, VerifierReply]] = (
            queue.SimpleQueue()
        )
        self._said: dict[tuple[str, str], VerifierReply] = {}  # by verifier and trajectory
        self._asked: set[tuple[str, str]] = set()
        self._groups: dict[tuple[str, str], list[CandidatePicture]] = defaultdict(
            list
        )  # by condition too
        self._inside: dict[str, Ask] = {}  # what the worker has still to answer
        self._open: Counter[str] = Counter()  # how many of them, by condition
        self._held: dict[str, Held] = {}
        for scorer in worker.scorers:
            scorer.hand = self._hand

    @property
    def usage(self) -> Mapping[str, Mapping[str, int]]:
        return self.worker.usage

    @property
    def swaps(self) -> int:
        """How often networks made room for others."""
        return swaps(self.worker)

    def submit(self, ask: Ask) -> None:
        if ask.key not in self._inside and ask.key not in self._held:
            self._inside[ask.key] = ask
            self._open[ask.trajectory.condition.key] += 1
            self.worker.submit(ask)

    def cancel(self, ask: Ask) -> None:
        self._held.pop(ask.key, None)
        if self._inside.pop(ask.key, None) is not None:
            self._open[ask.trajectory.condition.key] -= 1
            self.worker.cancel(ask)

    def wait(self) -> list[tuple[Ask, Reply]]:
        """What is answered whole; meanwhile the worker works."""
        since = time.monotonic()
        while self._inside or self._held:
            self._listen()
            if answers := list(self._whole()):
                return answers
            if self._inside:
                for ask, reply in self.worker.wait():
                    self._take(ask, reply)
                continue
            try:
                # In turns, so that an interrupt is heard.
                self._hear(*self._came.get(timeout=0.1))
            except queue.Empty:
                if self.patience is not None and time.monotonic() - since > self.patience:
                    return []
        return []

    def _take(self, ask: Ask, reply: Reply) -> None:
        if self._inside.pop(ask.key, None) is None:
            return
        condition = ask.trajectory.condition.key
        self._open[condition] -= 1
        lacking = {*ask.parts(self._parts)} - reply.parts.keys() - reply.missing.keys()
        awaited = {self._owner[part] for part in lacking if part in self._owner}
        self._held[ask.key] = Held(ask, reply, awaited)
        if not self._open[condition]:
            for name in self._verifiers:
                if group := self._groups.pop((name, condition), None):
                    self._send(name, group)

    @property
    def _parts(self) -> tuple[str, ...]:
        return self.worker.scorers[0].parts

    def _hand(self, trajectory: Trajectory, picture: Picture, verifier: SlowVerifier) -> None:
        """A picture that a verifier of ours is asked about; from within the worker."""
        of = verifier.name, trajectory.key
        if of in self._asked:
            return
        self._asked.add(of)
        look = CandidatePicture(picture, trajectory.condition, trajectory.key)
        if verifier.group:
            self._groups[verifier.name, trajectory.condition.key].append(look)
        else:
            self._send(verifier.name, [look])

    def _send(self, name: str, looks: list[CandidatePicture]) -> None:
        if self._asking is not None:
            self._asking(self._verifiers[name], looks)
        self._rooms[name].put(looks)

    def _done(
        self,
        verifier: SlowVerifier,
        looks: Sequence[CandidatePicture],
        said: Sequence[VerifierReply],
    ) -> None:
        """Called from a verifier's thread."""
        for look, one in zip(looks, said, strict=True):
            self._came.put((verifier.name, look, one))

    def _listen(self) -> None:
        while not self._came.empty():
            self._hear(*self._came.get())

    def _hear(self, name: str, look: CandidatePicture, said: VerifierReply) -> None:
        self._said[name, look.key] = said

    def _whole(self) -> Iterator[tuple[Ask, Reply]]:
        for key, held in list(self._held.items()):
            of = held.ask.trajectory
            if all((name, of.key) in self._said for name in held.awaited):
                del self._held[key]
                yield held.ask, self._joined(held, of)

    def _joined(self, held: Held, of: Trajectory) -> Reply:
        reply = held.reply
        for name in sorted(held.awaited):
            verifier, said = self._verifiers[name], self._said[name, of.key]
            verdict = said.verdict
            numbers = {p: verdict.parts.get(p, f"verifier {name!r} said nothing of {p}")
                       for p in verifier.parts}  # fmt: skip
            spent = {name: dict(verdict.spent)} if verdict.spent else {}
            there = Reply.of(of, numbers, {name: said.seconds}, spent)
            reply = reply.joined(there.only(held.ask.parts(self._parts)))
            # Paid once, however many ask.
            self._said[name, of.key] = replace(said, verdict=SlowReply(verdict.parts), seconds=0.0)
        return reply

    def close(self) -> None:
        """Nobody waits any more for what is still being looked at."""
        self._held.clear()
        self._inside.clear()
        for room in self._rooms.values():
            room.close()
        for verifier in self._verifiers.values():
            verifier.close()
        self.worker.close()


class Room:
    """The threads in which one verifier looks, as many as its ``lanes`` and no more than are
    needed. They are daemons: a program that ends does not wait for a person."""

    def __init__(
        self,
        verifier: SlowVerifier,
        done: Callable[[SlowVerifier, Sequence[CandidatePicture], Sequence[VerifierReply]], None],
    ) -> None:
        self._verifier, self._done = verifier, done
        self._queue: queue.SimpleQueue[list[CandidatePicture] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def put(self, looks: list[CandidatePicture]) -> None:
        if len(self._threads) < self._verifier.lanes:
            name = f"verifier {self._verifier.name}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()
        self._queue.put(looks)

    def close(self) -> None:
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        while (looks := self._queue.get()) is not None:
            started = time.perf_counter()
            verdicts = self._verdicts(looks)
            each = (time.perf_counter() - started) / len(looks)
            self._done(self._verifier, looks, [VerifierReply(v, each) for v in verdicts])

    def _verdicts(self, looks: list[CandidatePicture]) -> Sequence[SlowReply]:
        """What the verifier says; where it fails, the reason for all its looks."""
        try:
            verdicts = self._verifier.look(looks)
            if len(verdicts) == len(looks):
                return verdicts
            why = f"it gave {len(verdicts)} verdicts of {len(looks)} candidates"
        except Exception as error:  # a service, a person, a user's code: anything may come out
            why = f"{type(error).__name__}: {error}"
        reason = f"verifier {self._verifier.name!r} failed: {why}"
        return [SlowReply(dict.fromkeys(self._verifier.parts, reason))] * len(looks)
