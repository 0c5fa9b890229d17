"""Hostile input: values of every kind in every place, and what a command may do with them."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisesearch.__main__ import main

HANG = 120  # seconds after which a command is said to hang; those here take tenths of one
WORLD = "noisesearch.testing.mixture_model:MixtureModel"
# A verifier of that world in a file of one's own.
SEEING = "from noisesearch.testing.mixture_model import brightness\nLIGHT = brightness()\n"
DEEP = 100_000  # brackets within each other, more than any reader's stack

TEXTS = (
    "", " ", "\x00", "../../victim", "/etc/passwd", "a\nb", "\u202eexe.gnp", "CON", "\ud800",
    "<script>alert(1)</script>", "full", "nan", "-1", "1e999", "x" * 10_000, "9" * 5_000,
    "%s{0}", "é" * 300, "os:abort", "process:touch victim", "./victim.py:run",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, -1e308)
ODD = (None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"b": []}})
NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"))

values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(ODD),
    st.sampled_from(NOT_NUMBERS),
    st.text(max_size=20),
    st.integers(-(2**70), 2**70),
)


@dataclass(frozen=True)
class Change:
    """One value of a JSON document put in another's place, or taken out."""

    place: int  # among all places of the document, counted round
    value: Any
    gone: bool

    def made(self, content: Any) -> Any:
        """The document with the change; it is left as it is itself."""
        content = json.loads(json.dumps(content))
        places = [None, *_places(content)]
        place = places[self.place % len(places)]
        if place is None:
            return None if self.gone else self.value
        within, key = place
        if self.gone:
            del within[key]
        else:
            within[key] = self.value
        return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(content, dict | list):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in list(pairs):
            yield content, key
            yield from _places(value)


# Most places are deep inside, so few changes are of the whole.
changes = st.builds(Change, st.integers(0, 10**6), values, st.integers(0, 5).map(lambda n: not n))


@dataclass(frozen=True)
class Damage:
    """What happens to bytes: some are cut off, flipped, doubled or put in."""

    kind: str
    at: float
    length: float
    data: bytes

    def done(self, content: bytes) -> bytes:
        start = int(self.at * len(content))
        end = min(len(content), start + 1 + int(self.length * 64))
        match self.kind:
            case "cut":
                return content[:start]
            case "flip":
                return (
                    content[:start] + bytes(b ^ 0x55 for b in content[start:end]) + content[end:]
                )
            case "out":
                return content[:start] + content[end:]
            case "double":
                return content[:end] + content[start:]
        return content[:start] + self.data + content[start:]


damages = st.builds(
    Damage, st.sampled_from(["cut", "flip", "out", "double", "in"]), st.floats(0, 1),
    st.floats(0, 1), st.binary(max_size=40),
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit status and what it wrote."""

    status: int
    out: str
    err: str


class Hang(BaseException):
    """No answer in all the time that there was; not an Exception, so that nothing catches it."""


def command(*arguments: object) -> Ended:
    """The real entry point in this process; a traceback or a hang fails the test."""
    out, err, status = _stream("strict"), _stream("backslashreplace"), 0
    words = ["noisesearch", *map(str, arguments)]
    before, sys.argv = sys.argv, words
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), in_time(words):
            main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except Exception as error:
        raise AssertionError(
            f"{words} ended with a traceback:\n{traceback.format_exc()}"
        ) from error
    finally:
        sys.argv = before
    ended = Ended(status, _written(out), _written(err))
    assert status in (0, 1, 2), (words, ended)
    if status:  # of ours one sentence, of the reader of options its usage
        said = [line for line in ended.err.splitlines() if line.startswith("noisesearch: ")]
        assert len(said) == 1 or "Usage:" in ended.err, (words, ended)
    return ended


def _stream(errors: str) -> io.TextIOWrapper:
    """As a pipe's or a file's: what has no UTF-8 cannot be written unless somebody sees to it."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", errors, write_through=True)


def _written(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


@contextlib.contextmanager
def in_time(what: object) -> Iterator[None]:
    """Fails where its block never ends."""

    def stop(*_: object) -> None:
        raise Hang(f"{what} did not end within {HANG} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(check: Callable[..., None], examples: int, **strategies: st.SearchStrategy[Any]) -> None:
    """The check on so many examples, the same ones each time, as long as they take."""
    budget = settings(max_examples=examples, derandomize=True, deadline=None, database=None,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
    budget(given(**strategies)(lambda **drawn: check(**drawn)))()


def tree(folder: Path, but: Path) -> Mapping[str, bytes | str]:
    """Everything in a folder but for what is in another, with its content."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if path == but or but in path.parents:
            continue
        name = str(path.relative_to(folder))
        found[name] = str(path.readlink()) if path.is_symlink() else (
            path.read_bytes() if path.is_file() else "folder"
        )  # fmt: skip
    return found
