"""A person asked in the terminal, one question at a time."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .questions import NoAnswer, Question

STOPPED = "the run was stopped before an answer came"


class Terminal:
    """Questions go to stderr, answers come from a file descriptor, standard input by default.

    It is read without Python's buffers: a thread that waits in those would keep the program from
    ending.
    """

    terminal = True

    def __init__(self, source: int | None = None) -> None:
        self._source = source
        self._turn = threading.Lock()
        self._typed = b""
        self._over = ""  # the reason why no answer can come any more

    def begin(self, run: Path) -> None:
        """A new run, perhaps after one that was stopped."""
        self._over = ""

    @contextmanager
    def asking(self, question: Question, pictures: Sequence[Path]) -> Iterator[None]:
        """The question is on the screen, and no other."""
        with self._turn:
            if self._over:
                raise NoAnswer(self._over)
            print(f"\n{question.name}: {question.condition}", file=sys.stderr)
            for number, picture in zip(question.numbers, pictures, strict=True):
                best = "  (the best so far)" if number == 0 else ""
                print(f"  {number}  {picture}{best}", file=sys.stderr)
            print(f"Which is the best? Give {question.help}.", file=sys.stderr)
            self._prompt(question)
            yield

    def heard(self, seconds: float) -> str | None:
        """A line that was typed, None where there is none after so many seconds."""
        if self._over:
            raise NoAnswer(self._over)
        if b"\n" not in self._typed:
            source = sys.stdin.fileno() if self._source is None else self._source
            if not select.select([source], [], [], seconds)[0]:
                return None
            read = os.read(source, 4096)
            if not read and not self._typed:
                self._over = "standard input has ended, so nobody can answer"
                raise NoAnswer(self._over)
            self._typed += read or b"\n"
        if b"\n" not in self._typed:
            return None
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode(errors="replace")

    def refuse(self, question: Question, why: str) -> None:
        """Say what is wrong with an answer, and ask again."""
        print(why, file=sys.stderr)
        self._prompt(question)

    def _prompt(self, question: Question) -> None:
        print(f"{question.name} = ", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nobody waits for an answer any more."""
        self._over = self._over or STOPPED
