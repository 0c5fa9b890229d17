"""A verifier in its own process and environment: packages that cannot live together still score
one search. What goes over the wire is told in docs/verifiers/process.md."""

from __future__ import annotations

import base64
import itertools
import math
import shlex
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, ValidationError

from ...errors import ConfigError
from ...files.json_text import parsed
from ...files.pictures import png
from ...names.options import sentence
from ..settings import VerifierSettings
from ..slow_verifier import CandidatePicture, SlowReply, SlowVerifier
from .child import Child, ChildFailed

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ProcessSettings(VerifierSettings):
    """A verifier in its own process and environment, written process:COMMAND."""

    name: ClassVar[str] = "process"

    command: str = Field(min_length=1, description="program and arguments, quoted as in a shell")
    called: str = Field(default="", description="name in this search; default its own")
    parts: str = Field(
        default="", description="those of its parts that count, as a+b; default all"
    )
    timeout: Positive = Field(default=120, description="seconds for a batch of pictures")
    start: Positive = Field(default=600, description="seconds until it has loaded")
    restarts: int = Field(
        default=10, ge=0, description="times that it is started anew with no score in between"
    )

    def open(self) -> ProcessVerifier:
        """Started, and ready; ConfigError says why not."""
        return ProcessVerifier(self)


class Hello(BaseModel):
    """The first line of a process: what it is."""

    noisesearch: Literal[1]
    name: str = Field(min_length=1)
    parts: dict[str, Positive] = Field(min_length=1)  # with their scales
    fingerprint: str = ""
    batch: int = Field(default=1, ge=1)


class ProcessVerifier(SlowVerifier):
    """Looks through a process. Those that come from several threads at once travel together, up
    to the process's batch; what came of each is told by its id and nothing else.

    A batch that the process does not survive, or does not answer in time, is asked again one by
    one in a new process, so that one bad picture costs no other its score.
    """

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        try:
            self._command = shlex.split(settings.command)
        except ValueError as error:
            raise self._wrong(f"is no command ({error})") from error
        self._child: Child | None = None
        self._failures = 0  # since it last answered
        self._numbers = itertools.count()
        self._busy = threading.Lock()
        self._waiting: deque[tuple[CandidatePicture, Future[SlowReply]]] = deque()
        self._hello: Hello | None = None
        try:
            self._child, hello = self._started()
        except ChildFailed as error:
            raise self._wrong(f"did not start: {error}") from error
        self._hello = hello
        self.fingerprint = hello.fingerprint
        self.lanes = 2 * hello.batch  # one batch is on its way while the next comes together
        self.name = settings.called or hello.name
        # Of a verifier with one part, name and part are one word.
        own = {p: self.name if p == hello.name else p for p in hello.parts}
        chosen = [p.strip() for p in settings.parts.split("+")] if settings.parts else list(own)
        self._own = {part: own[part] for part in chosen if part in own}
        if len(self._own) < len(chosen):
            self.close()
            lost = next(part for part in chosen if part not in own)
            raise self._wrong(f"has no part {lost!r}, but {', '.join(hello.parts)}")
        self.parts = tuple(self._own.values())

    @property
    def scale(self) -> Mapping[str, float]:
        assert self._hello is not None
        return {part: self._hello.parts[own] for own, part in self._own.items()}

    def look(self, looks: Sequence[CandidatePicture]) -> Sequence[SlowReply]:
        mine = [(look, Future[SlowReply]()) for look in looks]
        self._waiting.extend(mine)
        for _, verdict in mine:
            while not verdict.done():
                with self._busy:  # whoever has it serves those who wait, in their order
                    if not verdict.done():
                        self._serve()
        return [verdict.result() for _, verdict in mine]

    def close(self) -> None:
        with self._busy:
            if self._child is not None:
                self._end()
                self._child = None

    def _serve(self) -> None:
        assert self._hello is not None
        some = [self._waiting.popleft()
                for _ in range(min(self._hello.batch, len(self._waiting)))]  # fmt: skip
        try:
            verdicts = self._asked([look for look, _ in some])
        except BaseException as error:  # nobody may wait for what will not come
            for _, waiting in some:
                waiting.set_exception(error)
            raise
        for (_, waiting), verdict in zip(some, verdicts, strict=True):
            waiting.set_result(verdict)

    def _asked(self, looks: Sequence[CandidatePicture]) -> list[SlowReply]:
        try:
            return self._exchange(looks, tries=1)
        except ChildFailed:
            return [self._alone(look) for look in looks]

    def _alone(self, look: CandidatePicture) -> SlowReply:
        """The second and last try."""
        try:
            return self._exchange([look], tries=2)[0]
        except ChildFailed as error:
            return SlowReply(dict.fromkeys(self.parts, str(error)), {"calls": 2})

    def _exchange(self, looks: Sequence[CandidatePicture], tries: int) -> list[SlowReply]:
        child = self._running()
        number = next(self._numbers)
        names = [f"{number}.{i}" for i in range(len(looks))]
        rows = [{"id": name, **_row(look)} for name, look in zip(names, looks, strict=True)]
        child.send({"id": number, "looks": rows})
        try:
            answers = child.heard(lambda line: _answers(line, number), self._settings.timeout)
        except ChildFailed:
            self._gone()
            raise
        self._failures = 0
        return [self._verdict(answers.get(name), tries) for name in names]

    def _verdict(self, answers: Sequence[Mapping[str, Any]] | None, tries: int) -> SlowReply:
        """Of the answers that bear a look's id: one, unless something is wrong."""
        answer = answers[0] if answers and len(answers) == 1 else {}
        reason = "it did not answer" if not answers else "it answered twice"
        if answer:
            reason = str(answer.get("error") or "it gave no number")
        given = answer.get("parts")
        numbers = given if isinstance(given, dict) and not answer.get("error") else {}
        also = answer.get("spent")
        spent = {unit: amount for unit, amount in (also if isinstance(also, dict) else {}).items()
                 if _finite(amount) and amount >= 0}  # fmt: skip
        scores = {p: _score(numbers.get(own), reason) for own, p in self._own.items()}
        return SlowReply(scores, {"calls": tries, **spent})

    def _running(self) -> Child:
        """The process, started anew where it is gone; Broken where that does not help."""
        if self._child is None:
            if self._failures > self._settings.restarts:
                raise ChildFailed(
                    f"it failed {self._failures} times in a row, so it is left alone"
                )
            try:
                child, hello = self._started()
            except ChildFailed:
                self._failures += 1
                raise
            self._child = child
            if hello != self._hello:
                self._gone()
                raise ChildFailed("started anew, it is another verifier than it was")
        return self._child

    def _gone(self) -> None:
        assert self._child is not None
        self._end.detach()
        self._child.stop(at_once=True)
        self._child = None
        self._failures += 1

    def _started(self) -> tuple[Child, Hello]:
        try:
            child = Child(self._command)
        except (OSError, ValueError, IndexError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ChildFailed(f"{why.lower()}: {self._command[:1]}") from error
        try:
            hello = child.heard(self._greeting, self._settings.start)
        except BaseException:
            child.stop(at_once=True)
            raise
        # Whoever forgets to close, or exits, leaves no process behind.
        self._end = weakref.finalize(self, child.stop)
        return child, hello

    def _greeting(self, line: bytes) -> Hello | None:
        message = _message(line)
        if message is None or "noisesearch" not in message:
            return None  # libraries print when they are imported
        try:
            return Hello.model_validate(message)
        except ValidationError as error:
            raise ChildFailed(f"its first line says {sentence(error)}") from error

    def _wrong(self, what: str) -> ConfigError:
        return ConfigError(
            f"the verifier process:{self._settings.command} {what}; try the command alone: it "
            'must print a line {"noisesearch": 1, "name": …} and wait (docs/verifiers/process.md)'
        )


def _row(look: CandidatePicture) -> dict[str, Any]:
    """A look on the wire."""
    of = look.condition
    return {"key": look.key, "text": of.text, "label": of.label, "negative": of.negative,
            "image": base64.b64encode(png(look.picture)).decode()}  # fmt: skip


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        message = parsed(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _answers(line: bytes, number: int) -> dict[str, list[Mapping[str, Any]]] | None:
    """By the look's id, of the line that answers request ``number``; None of any other line."""
    message = _message(line)
    if message is None:
        if line.lstrip().startswith(b'{"id"'):
            raise ChildFailed("its answer is cut off")
        return None
    if message.get("id") != number:
        return None  # noise, or late
    found: dict[str, list[Mapping[str, Any]]] = {}
    answers = message.get("answers")
    if not isinstance(answers, list):
        raise ChildFailed("its answer has no list of answers")
    for answer in answers:
        if isinstance(answer, dict):
            found.setdefault(str(answer.get("id")), []).append(answer)
    return found


def _finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _score(value: Any, reason: str) -> float | str:
    if _finite(value):
        return float(value)
    if isinstance(value, str):
        return value
    return reason if value is None else f"it answered {value!r:.40}"
