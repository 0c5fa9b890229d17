"""Faults on purpose: commands in processes of their own that die, or whose disk fails, at a
chosen change of a folder."""

from __future__ import annotations

import builtins
import errno
import io
import json
import multiprocessing
import os
import random
import runpy
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files.journal import Journal

KILL, FULL, READ_ONLY = "kill", "full", "read-only"
ERRORS = {FULL: errno.ENOSPC, READ_ONLY: errno.EROFS}
# What the interpreter reports before it does it, and which of its arguments are paths.
EVENTS = {
    "open": 1,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.truncate": 1,
}
TAKES_ROOM = ("open", "os.mkdir", "write")  # a full disk still lets files be renamed and removed


@dataclass(frozen=True)
class Fault:
    """What befalls a process at its ``step``-th change of a folder, the first being 1.

    ``kill``: it is gone, without a word. ``full`` and ``read-only``: that change fails, and so do
    all that need room, or all, from there on. Of a write a ``share`` is done before.
    """

    kind: str
    step: int
    share: float = 0.0


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status (-9: killed), what it said, and the change at which
    its fault struck, such as ``write journal.jsonl``; empty where it did not."""

    status: int
    out: str
    err: str
    struck: str


class Trap:
    """Counts the changes of a folder that this process makes, and lets its fault strike.

    Contract: sees every opening for writing, write, renaming and deletion by way of Python; it
    cannot be taken off again, so it is for processes that end.
    """

    def __init__(self, folder: Path, fault: Fault, note: Path) -> None:
        self.folder, self.fault = str(folder.resolve()), fault
        self._note = note.open("w")
        self._steps = 0
        self._lock = threading.RLock()
        self._plain = io.open
        sys.addaudithook(self._audit)
        io.open = builtins.open = self._open

    def _inside(self, path: Any) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False  # of a file that is open already
        return os.path.commonpath([os.path.abspath(path), self.folder]) == self.folder

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        paths = [p for p in arguments[: EVENTS.get(event, 0)] if self._inside(p)]
        writes = event != "open" or bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if paths and writes and self.struck(event, paths[-1]):
            self.strike(paths[-1])

    def _open(
        self, file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any
    ) -> Any:
        """As ``io.open``; what is written within the folder is watched."""
        if not self._inside(file) or mode not in ("ab", "wb"):
            return self._plain(file, mode, buffering, *rest, **more)
        raw = _WatchedFile(file, mode, self)
        return raw if buffering == 0 else io.BufferedWriter(raw)

    def struck(self, event: str, path: Any) -> bool:
        """Count a change; True where the fault strikes at it."""
        with self._lock:
            self._steps += 1
            first = self._steps == self.fault.step
            if first:
                name = os.path.basename(path)
                print(event.removeprefix("os."), name, file=self._note, flush=True)
            if self.fault.kind == FULL and event not in TAKES_ROOM:
                return False
            return first or (self.fault.kind != KILL and self._steps > self.fault.step)

    def strike(self, path: Any) -> None:
        """The end of the process, or the error of its disk."""
        if self.fault.kind == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # in whichever thread: the process goes as a whole
        number = ERRORS[self.fault.kind]
        raise OSError(number, os.strerror(number), str(path))


class _WatchedFile(io.FileIO):
    """A file whose writes are changes."""

    def __init__(self, path: Any, mode: str, trap: Trap) -> None:
        super().__init__(path, mode)
        self._at, self._trap = path, trap

    def write(self, data: Any) -> int:
        if self._trap.struck("write", self._at):
            super().write(bytes(data)[: int(self._trap.fault.share * len(data))])
            self._trap.strike(self._at)
        return super().write(data)


def _work(work: Callable[..., None], arguments: Sequence[Any], cwd: Path, notes: Path,
          folder: Path, fault: Fault | None) -> None:  # fmt: skip
    """What the process does."""
    os.chdir(cwd)
    with (notes / "out").open("w") as out, (notes / "err").open("w") as err:
        if fault is not None:
            Trap(folder, fault, notes / "struck")
        with redirect_stdout(out), redirect_stderr(err):
            work(*arguments)


def suffer(
    work: Callable[..., None], *arguments: Any, cwd: Path, folder: Path, fault: Fault | None = None
) -> Ended:
    """``work(*arguments)`` in a process of its own, whose ``fault`` strikes at a change of
    ``folder``. ``work`` is a function of a module, since the process finds it by name.

    All processes are copies of one that has imported what they need.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "noisesearch.cli", "noisesearch.runs.run",
                                    "noisesearch.worker.engine"])  # fmt: skip
    with tempfile.TemporaryDirectory() as made:
        notes = Path(made)
        process = context.Process(
            target=_work, args=(work, arguments, cwd, notes, folder, fault), daemon=True
        )
        process.start()
        process.join()
        said = {p.name: p.read_text() for p in notes.iterdir()}
        status = process.exitcode
        process.close()
    assert status is not None
    return Ended(status, said.get("out", ""), said.get("err", ""), said.get("struck", "").strip())


def command(*arguments: str) -> None:
    """Run a command of ours as ``python -m noisesearch`` does, for :func:`suffer`."""
    sys.argv = ["noisesearch", *arguments]
    runpy.run_module("noisesearch", run_name="__main__")


def answered(journal: Path) -> list[str]:
    """The keys of the replies of whole lines, as often as they are journalled."""
    read = Journal(journal, write=False).read()
    return [record["reply"] for record in read if "reply" in record]


def repeated(journal: Path) -> int:
    """Replies that say nothing which a process before had not journalled already."""
    before: dict[str, set[str]] = {}
    now: dict[str, set[str]] = {}
    count = 0
    for record in Journal(journal, write=False).read():
        if record.get("event") == "open":
            for key, names in now.items():
                before.setdefault(key, set()).update(names)
            now = {}
        elif "reply" in record:
            said = {*record["parts"], *record["missing"], *record.get("blobs", ())}
            count += said <= before.get(record["reply"], set())
            now.setdefault(record["reply"], set()).update(said)
    return count


@dataclass
class Tally:
    """What faults did to runs: how often each struck where, by what was being changed; journalled
    replies that were ``lost``, and those that were computed ``again``."""

    struck: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    again: int = 0


@dataclass
class Ordeal:
    """One run that is struck again and again, and resumed each time.

    ``request``: the arguments of ``generate`` but for ``--out``. What is journalled is compared
    before and after each process.
    """

    cwd: Path
    request: Sequence[str]
    tally: Tally = field(default_factory=Tally)
    name: str = "run"

    @property
    def folder(self) -> Path:
        return self.cwd / self.name

    def strike(self, fault: Fault, *arguments: str) -> Ended:
        """A command under a fault; by default what goes on with the run."""
        ended = self._run(arguments or self._on(), fault)
        if ended.struck:
            event, _, name = ended.struck.partition(" ")
            self.tally.struck[f"{event} {kind(name)}"] += 1
        return ended

    def kills(self, dice: random.Random, count: int, *arguments: str, most: int = 40) -> None:
        """So many kills, each at one of the next ``most`` changes and of a write at any byte;
        fewer where the command comes to its end before."""
        for _ in range(count):
            fault = Fault(KILL, 1 + int(most * dice.random() ** 1.5), dice.random())
            if self.strike(fault, *arguments).status != -signal.SIGKILL:
                break

    def finish(self) -> Any:
        """Go on to the end; the JSON of the results."""
        ended = self._run((*self._on(), "--json"), None)
        assert ended.status == 0, ended.err
        self.tally.again = repeated(self.folder / "journal.jsonl")
        return json.loads(ended.out)

    def _on(self) -> tuple[str, ...]:
        """Resume where there is a run to go on with, else begin."""
        if (self.folder / "spec.json").exists():
            return "resume", self.name
        return "generate", *self.request, "--out", self.name

    def _run(self, arguments: Sequence[str], fault: Fault | None) -> Ended:
        journal = self.folder / "journal.jsonl"
        before = answered(journal)
        ended = suffer(command, *arguments, cwd=self.cwd, folder=self.folder, fault=fault)
        after = answered(journal)
        self.tally.lost += sum((Counter(before) - Counter(after)).values())
        return ended


def kind(name: str) -> str:
    """A file's name without what is different from run to run: half written ones, and those that
    are named by a key, go by their suffix."""
    stem, _, suffix = name.lstrip(".").partition(".")
    suffix = suffix.partition(".")[0]
    return f"*.{suffix}" if len(stem) == 32 else f"{stem}.{suffix}" if suffix else stem
