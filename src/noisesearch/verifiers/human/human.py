"""A person as a verifier: shown the candidates of a round, asked which is the best."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from pydantic import Field

from ...candidates.condition import Condition
from ...candidates.keys import digest
from ...errors import ConfigError
from ...files.pictures import png, save_seen
from ...files.writing import replace
from ..settings import VerifierSettings
from ..slow_verifier import CandidatePicture, SlowReply, SlowVerifier
from .page import HumanPage
from .questions import NoAnswer, Order, Question, completed, levels
from .record import Box, HumanAnswer, HumanRecord, cost
from .terminal import Terminal

POLL = 0.3  # seconds between looks for an answer
LAST = 1.0  # seconds that a stopped run gives to answers that are being kept
LANES = 256  # questions that can be open at once
NAME = "human"
SKIPPED = "the person skipped it"

Looks = Mapping[str, CandidatePicture]  # by the candidates' keys


class Front(Protocol):
    """Where questions are put. ``asking`` holds one out for as long as its block lasts; ``heard``
    waits so many seconds for what is said there, and raises NoAnswer where nobody can answer any
    more; ``refuse`` says what is wrong with an answer."""

    terminal: bool

    def begin(self, run: Path) -> None: ...
    def asking(
        self, question: Question, pictures: Sequence[Path]
    ) -> AbstractContextManager[None]: ...
    def heard(self, seconds: float) -> str | None: ...
    def refuse(self, question: Question, why: str) -> None: ...
    def close(self) -> None: ...


class Human(VerifierSettings):
    """A person, asked which candidate is best, in the terminal or on a page."""

    name: ClassVar[str] = NAME

    on: Literal["terminal", "page"] | None = Field(
        default=None,
        description="where it asks; default: the terminal where there is one, else the page",
    )
    show: Literal["all", "pairs"] = Field(
        default="all", description="all candidates of a round at once, or two at a time"
    )

    def open(self) -> Person:
        on = self.on or ("terminal" if sys.stdin.isatty() else "page")
        return Person(Terminal() if on == "terminal" else HumanPage(), pairs=self.show == "pairs")


class Person(SlowVerifier):
    """Candidates of one condition are on one ladder: a number is steps above or below the best of
    the first question, which has 0.

    From the second question on the best so far is shown among the new ones; it keeps its number,
    who is better goes above it, who is worse below. So numbers of different rounds can be
    compared. What was said is kept (:class:`Record`), so that nothing is asked twice.
    """

    name = NAME
    parts = (NAME,)
    fingerprint = NAME
    lanes = LANES
    group = True

    record: HumanRecord
    box: Box

    def __init__(self, front: Front, *, pairs: bool = False) -> None:
        self.front, self.pairs = front, pairs
        self._begun = False
        self._turns: dict[str, threading.Lock] = {}  # by condition
        self._state = threading.Condition()
        self._looking = 0  # threads

    @property
    def terminal(self) -> bool:
        """True where a conversation is going on in the terminal, which nothing may disturb."""
        return self.front.terminal

    def begin(self, folder: Path, spent: Mapping[str, float]) -> None:
        self.record, self.box = HumanRecord(folder), Box(folder)
        self.front.begin(folder)
        self._begun = True

    def close(self) -> None:
        self.front.close()
        with self._state:  # what was answered in time is kept before the program ends
            self._state.wait_for(lambda: self._looking == 0, LAST)

    def look(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        with self._state:
            self._looking += 1
            if not self._begun:  # there is no run
                self.begin(Path(tempfile.mkdtemp(prefix="noisesearch-")), {})
        try:
            return self._looked(looks)
        finally:
            with self._state:
                self._looking -= 1
                self._state.notify_all()

    def _looked(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        keyed = [(look.key or digest(look.picture.tobytes().hex()), look) for look in looks]
        found: dict[tuple[Condition, str], SlowReply] = {}
        for condition in dict.fromkeys(look.condition for look in looks):
            of = {key: look for key, look in keyed if look.condition == condition}
            # One question at a time, since each begins with the best of those before.
            with self._turns.setdefault(condition.key, threading.Lock()):
                verdicts = self._judged(condition, of)
            found |= {(condition, key): verdict for key, verdict in verdicts.items()}
        return [found[look.condition, key] for key, look in keyed]

    def _judged(self, condition: Condition, looks: Looks) -> dict[str, SlowReply]:
        known = self.record.numbers(condition)
        fresh = {key: look for key, look in looks.items() if key not in known}
        missing: Mapping[str, SlowReply] = {}
        if fresh:
            try:
                missing = self._numbered(condition, fresh)
            except NoAnswer as why:
                missing = dict.fromkeys(fresh, SlowReply({NAME: str(why)}))
        return {
            key: missing[key] if key in missing
            else SlowReply({NAME: known[key]}, self.record.spent(key))
            for key in looks
        }  # fmt: skip

    def _numbered(self, condition: Condition, fresh: Looks) -> dict[str, SlowReply]:
        """Give numbers to candidates that have none; verdicts of those that were skipped."""
        best, level = self.record.best(condition)
        shown = (*([] if best is None else [best]), *fresh)
        ordered = self._knocked_out if self.pairs else self._ordered
        order, skipped = ordered(condition, shown, best, fresh)
        numbers = {k: n for k, n in levels(order, best, level).items() if k in fresh}
        first = max(numbers, key=numbers.__getitem__, default=None)
        if first is not None and (best is None or numbers[first] > level):
            _keep(self.record.best_picture(condition), fresh[first])
        if numbers:
            self.record.numbered(condition, numbers)
        return skipped

    def _ordered(
        self, condition: Condition, shown: tuple[str, ...], best: str | None, fresh: Looks
    ) -> tuple[Order, dict[str, SlowReply]]:
        """All in one question; one alone needs none."""
        if len(shown) == 1:
            return (shown,), {}
        order, answer = self._asked(condition, shown, best, fresh)
        if order is None:
            paid = {shown[-1]: _skipped(answer)}
            return (), {**dict.fromkeys(fresh, _skipped()), **paid}
        return order, {}

    def _knocked_out(
        self, condition: Condition, shown: tuple[str, ...], best: str | None, fresh: Looks
    ) -> tuple[Order, dict[str, SlowReply]]:
        """Two at a time, the better one stays: a question less than there are candidates."""
        top, so_far = shown[:1], best
        skipped: dict[str, SlowReply] = {}
        for key in shown[1:]:
            order, answer = self._asked(condition, (top[0], key), so_far, fresh)
            if order is None:
                skipped[key] = _skipped(answer)
                continue
            top = (*top, key) if len(order) == 1 else order[0]
            so_far = top[0]
        return completed((top,), [key for key in shown if key not in skipped], best), skipped

    def _asked(
        self, condition: Condition, shown: tuple[str, ...], best: str | None, fresh: Looks
    ) -> tuple[Order | None, HumanAnswer]:
        """The answer to one question, in a resumed run perhaps that of before."""
        question = self.record.question(condition, shown, best)
        answer = self.record.answers.get(question.name)
        if answer is None:
            pictures = self.record.pictures(question)
            for key, path in zip(shown, pictures, strict=True):
                if key in fresh:
                    _keep(path, fresh[key])
                else:
                    path.parent.mkdir(exist_ok=True)
                    shutil.copyfile(self.record.best_picture(condition), path)
            answer = self._heard(question, pictures)
            self.record.answered(question, answer)
            shutil.rmtree(pictures[0].parent, ignore_errors=True)  # the samples stay
        return question.order(answer.text), answer

    def _heard(self, question: Question, pictures: Sequence[Path]) -> HumanAnswer:
        """The first answer that is understood, from the front or out of the box."""
        seen = None
        with self.front.asking(question, pictures):
            started = time.monotonic()
            while True:
                boxed = self.box.given(question.name)
                text, seen = (boxed if boxed != seen else None), boxed
                if text is None:
                    text = self.front.heard(POLL)
                if text is None:
                    continue
                try:
                    question.order(text)
                except ConfigError as error:
                    self.front.refuse(question, str(error))
                else:
                    return HumanAnswer(text.strip().lower(), round(time.monotonic() - started, 3))


def _skipped(answer: HumanAnswer | None = None) -> SlowReply:
    return SlowReply({NAME: SKIPPED}, cost([] if answer is None else [answer]))


def _keep(path: Path, look: CandidatePicture) -> None:
    """A picture to be looked at: small ones enlarged, videos moving."""
    path.parent.mkdir(exist_ok=True)
    if look.picture.ndim == 4:
        replace(path, png(look.picture))
    else:
        save_seen(path, look.picture)
