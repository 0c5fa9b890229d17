"""Calls with retries, within limits, every try counted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from threading import BoundedSemaphore, Event, Lock
from typing import Protocol

from ...candidates.keys import digest, seed_of
from .errors import Failed
from .pictures import GraderPictures
from .schema import GraderAnswer, read, schema
from .services import GraderQuestion, ServiceReply, ServiceRequest

LONGEST_WAIT = 60.0  # seconds, of our own choosing; a service may ask for more


class Backend(Protocol):
    """Answers one call, or raises Failed."""

    def __call__(self, asked: ServiceRequest) -> ServiceReply: ...
    def close(self) -> None: ...


@dataclass
class Bill:
    """What tries cost. A try that says no tokens, such as one that timed out, has none here."""

    calls: int = 0
    failures: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0

    def add(self, other: Bill) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def spent(self) -> dict[str, float]:
        """By unit, what there is of it."""
        return {unit: count for unit, count in asdict(self).items() if count}


@dataclass(frozen=True)
class Limits:
    """``lanes``: calls at once, whoever asks; ``per_minute``: tries; ``usd_in``, ``usd_out``: of
    a million tokens."""

    lanes: int = 4
    retries: int = 5
    per_minute: float | None = None
    max_calls: int | None = None
    max_usd: float | None = None
    usd_in: float = 0.0
    usd_out: float = 0.0


@dataclass(frozen=True)
class Subject:
    """What one question is about; ``key`` names its content, model and rubric."""

    key: str
    prompt: Mapping[str, str]
    shown: tuple[GraderPictures, ...]


class BackendCaller:
    """Asks a backend; one for all threads. ``now`` and ``sleep`` are those of the clock."""

    def __init__(
        self,
        backend: Backend,
        kind: type[GraderAnswer],
        model: str,
        instructions: str,
        limits: Limits,
        *,
        structured: bool = True,
        temperature: float | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.backend, self.kind, self.limits = backend, kind, limits
        self.model, self.instructions, self.temperature = model, instructions, temperature
        self.schema = schema(kind) if structured else None
        self._stopped = Event()
        self._now, self._sleep = now, sleep or self._stopped.wait
        self._lock = Lock()
        self._lanes = BoundedSemaphore(limits.lanes)
        self._total = Bill()
        self._under_way = 0
        self._dearest = 0.0  # usd of a call
        self._next = 0.0  # when the next try may begin

    def begin(self, spent: Mapping[str, float]) -> None:
        """Count on from what was spent before, for the caps."""
        self._stopped.clear()
        with self._lock:
            self._total = Bill(calls=int(spent.get("calls", 0)), usd=spent.get("usd", 0.0))

    def close(self) -> None:
        """No further try; one that waits for its turn gives up."""
        self._stopped.set()
        self.backend.close()

    def ask(self, subjects: Sequence[Subject], bill: Bill) -> list[GraderAnswer]:
        """An answer to each, in one call that is tried again where it fails; every try is added
        to ``bill``. Failed where none succeeds."""
        attempt = 0
        while True:
            self._reserve()
            failed, tokens, answers = self._try(subjects, attempt)
            self._settle(bill, tokens, failed is not None)
            if failed is None:
                return answers
            if failed.final or attempt == self.limits.retries:
                tries = f" (after {attempt + 1} tries)" if attempt else ""
                raise Failed(f"{failed}{tries}", final=failed.final)
            draw = random.Random(seed_of("backoff", subjects[0].key, attempt)).uniform(0.5, 1.0)
            self._sleep(max(failed.after, draw * min(2.0**attempt, LONGEST_WAIT)))
            attempt += 1

    def _try(
        self, subjects: Sequence[Subject], attempt: int
    ) -> tuple[Failed | None, tuple[int, int], list[GraderAnswer]]:
        # Another id at each try, so that a late or repeated answer is none to this one.
        questions = [
            GraderQuestion(f"{i + 1}-{digest(s.key, attempt)[:8]}", s.prompt,
                     tuple(file for each in s.shown for file in each.files))
            for i, s in enumerate(subjects)
        ]  # fmt: skip
        asked = ServiceRequest(
            self.model, self.instructions, questions, self.schema, self.temperature
        )
        tokens = (0, 0)
        try:
            with self._lanes:
                said = self.backend(asked)
            tokens = (said.tokens_in, said.tokens_out)
            return None, tokens, list(read(said.text, self.kind, [q.id for q in questions]))
        except Failed as failed:
            return failed, max(tokens, failed.tokens), []

    def _reserve(self) -> None:
        """A place within the caps and the rate; Failed where there is none."""
        limits = self.limits
        with self._lock:
            calls = self._total.calls + self._under_way
            if limits.max_calls is not None and calls >= limits.max_calls:
                raise Failed(
                    f"its cap of {limits.max_calls} calls (max_calls) is reached", final=True
                )
            if limits.max_usd is not None:
                # What is under way may be as dear as the dearest so far.
                ahead = self._total.usd + (self._under_way + 1) * self._dearest
                if self._total.usd >= limits.max_usd or ahead > limits.max_usd:
                    raise Failed(
                        f"its cap of {limits.max_usd:g} USD (max_usd) is reached", final=True
                    )
            self._under_way += 1
            start = max(self._now(), self._next)
            wait = start - self._now()
            if limits.per_minute:
                self._next = start + 60.0 / limits.per_minute
        if wait > 0:
            self._sleep(wait)
        if self._stopped.is_set():
            with self._lock:
                self._under_way -= 1
            raise Failed("the run was stopped", final=True)

    def _settle(self, bill: Bill, tokens: tuple[int, int], failed: bool) -> None:
        usd = (tokens[0] * self.limits.usd_in + tokens[1] * self.limits.usd_out) / 1e6
        cost = Bill(1, int(failed), *tokens, usd)
        bill.add(cost)
        with self._lock:
            self._total.add(cost)
            self._under_way -= 1
            self._dearest = max(self._dearest, usd)
