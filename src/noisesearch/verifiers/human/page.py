"""A person asked on a page, all open questions at once: RUN/human.html, written anew as they come.

The page is a file that needs no server. It looks for news by loading itself in a hidden frame,
and its answers get to the run through ``human/answers.txt``: written by the page where the browser
may write files, by ``noisesearch answer`` (the page shows the command), or by hand.
"""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib.resources import files
from os.path import relpath
from pathlib import Path

from ...candidates.keys import digest
from ...files.writing import replace
from .questions import ALIKE, SKIP, NoAnswer, Question
from .record import BOX, FOLDER
from .terminal import STOPPED

NAME = "human.html"


class HumanPage:
    """Keeps the page; what is answered there is found in the box, not heard here."""

    terminal = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open: dict[str, tuple[Question, Sequence[Path]]] = {}
        self._refused: dict[str, str] = {}
        self._said = False  # where the page is
        self._run = Path()
        self._shell = files(__package__).joinpath("page.html").read_text("utf-8")

    def begin(self, run: Path) -> None:
        """Told where the page goes, perhaps after a run that was stopped."""
        self._run, self._said = run.resolve(), False
        self._over.clear()
        self._open.clear()
        self._refused.clear()

    @contextmanager
    def asking(self, question: Question, pictures: Sequence[Path]) -> Iterator[None]:
        """The question is on the page."""
        with self._lock:
            self._open[question.name] = question, pictures
            self._write()
            if not self._said:
                self._said = True
                print(f"a person is asked: open {(self._run / NAME).as_uri()}, or see "
                      f"{self._command}", file=sys.stderr)  # fmt: skip
        try:
            yield
        finally:
            with self._lock:
                # What is open when the run stops stays: it can be answered before it goes on.
                if not self._over.is_set():
                    self._open.pop(question.name)
                    self._refused.pop(question.name, None)
                    self._write()

    def heard(self, seconds: float) -> None:
        """Nothing is ever said here; waits."""
        if self._over.wait(seconds):
            raise NoAnswer(STOPPED)

    def refuse(self, question: Question, why: str) -> None:
        """Say on the page, and where the run is, what is wrong with an answer."""
        print(f"{question.name}: {why}", file=sys.stderr)
        with self._lock:
            self._refused[question.name] = why
            self._write()

    def close(self) -> None:
        """Nobody waits for an answer any more; the page says so."""
        with self._lock:
            if self._said and not self._over.is_set():
                self._over.set()
                self._write()
        self._over.set()

    @property
    def _command(self) -> str:
        return f"noisesearch answer {shlex.quote(str(self._run))}"

    def _write(self) -> None:
        names = sorted(self._open, key=lambda name: (len(name), name))  # q2 before q10
        sections = [self._section(*self._open[name]) for name in names]
        note = f'<p id="note" role="status">{self._note()}</p>'
        page = self._shell.replace("<!-- questions -->", "\n".join([note, *sections]))
        page = page.replace("<!-- command -->", escape(self._command))
        page = page.replace("<!-- box -->", escape(str(self._run / FOLDER / BOX)))
        page = page.replace("<!-- run -->", escape(self._run.name))
        replace(self._run / NAME, page.encode())

    def _note(self) -> str:
        if not self._over.is_set():
            return "" if self._open else "Nothing to answer now. Questions appear by themselves."
        if self._open:
            resume = escape(f"noisesearch resume {shlex.quote(str(self._run))}")
            return f"The run is stopped. What is answered now counts when it goes on: {resume}"
        return "The run is over and asks nothing more."

    def _section(self, question: Question, pictures: Sequence[Path]) -> str:
        shown = "\n".join(
            self._candidate(question, number, picture)
            for number, picture in zip(question.numbers, pictures, strict=True)
        )
        refused = escape(self._refused.get(question.name, ""))
        return f"""<section id="{question.name}" aria-labelledby="{question.name}-of"
 data-shown="{digest(question.shown)}" data-refused="{refused}">
<h2 id="{question.name}-of"><span>{question.name}</span> {escape(question.condition)}</h2>
<div class="shown">
{shown}
</div>
<p class="refused" role="alert">{refused}</p>
<p class="actions"><button class="send" disabled>Answer</button>
<button data-answer="{ALIKE}">All are alike</button>
<button data-answer="{SKIP}">Skip</button> <output></output></p>
</section>"""

    def _candidate(self, question: Question, number: int, picture: Path) -> str:
        name = "0 · the best so far" if number == 0 else str(number)
        source = escape(relpath(picture, self._run))
        return f"""<figure><button class="candidate" data-number="{number}" aria-pressed="false">
<img src="{source}" alt="candidate {name}" loading="lazy"><span class="place"></span></button>
<figcaption>{name} <a href="{source}" target="_blank">open</a></figcaption></figure>"""
