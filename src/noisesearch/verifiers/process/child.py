"""A process that is spoken to in lines of JSON, and what becomes of it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, TypeVar

Heard = TypeVar("Heard")
FAREWELL = 2.0  # seconds that a process has to end by itself when its stdin is closed


class ChildFailed(Exception):
    """The process ended, went silent or wrote what is no answer; the message says which."""


class Child:
    """One process. Its output is read by threads, so that it never waits for us, nor we for it
    beyond a time limit; of its stderr the last line is kept. Raises OSError where it cannot start.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # In a session of its own: Ctrl-C is for the search, which then ends the process.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._letters: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._said = ""
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._read, self._overhear, self._post)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: Mapping[str, Any]) -> None:
        self._letters.put(json.dumps(message).encode() + b"\n")

    def heard(self, meaning: Callable[[bytes], Heard | None], seconds: float) -> Heard:
        """What the first line means that means anything; ChildFailed where none comes in time."""
        until = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise ChildFailed(f"it gave no answer within {seconds:g} s{self._last}") from None
            if line is None:
                raise ChildFailed(f"it ended with {self._ending()}{self._last}")
            found = meaning(line)
            if found is not None:
                return found

    def stop(self, at_once: bool = False) -> None:
        """It ends by itself soon after its stdin closes, or is killed with all its children;
        ``at_once`` where it is of no use any more."""
        self._letters.put(None)
        if not at_once:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(FAREWELL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdout, self._process.stderr):
            _there(pipe).close()

    @property
    def _last(self) -> str:
        return f"; it last said: {self._said}" if self._said else ""

    def _ending(self) -> str:
        """How it ended, once it is known; its last words are in by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL)
        self._threads[1].join(FAREWELL)
        code = self._process.returncode
        if code is None:
            return "its output closed"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def _read(self) -> None:
        for line in _there(self._process.stdout):
            self._lines.put(line)
        self._lines.put(None)

    def _overhear(self) -> None:
        for line in _there(self._process.stderr):
            self._said = line.decode("utf-8", "replace").strip()[:300] or self._said

    def _post(self) -> None:
        """Written in a thread, since a process that does not read would hold us up."""
        pipe = _there(self._process.stdin)
        with contextlib.suppress(OSError):  # it is gone, which its closed stdout says too
            while (letter := self._letters.get()) is not None:
                pipe.write(letter)
                pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "all three were asked for"
    return pipe
