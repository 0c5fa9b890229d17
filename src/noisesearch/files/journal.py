"""An append-only file of JSON lines, each with a checksum; one writer, torn tails repaired."""

from __future__ import annotations

import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import StoreError
from .json_text import parsed
from .writing import disk_error, replace

SYNC_SECONDS = 1.0
NODE = b'{"node":"'  # how the line of a recipe's node begins; its key follows
_written = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def seal(record: Mapping[str, Any]) -> bytes:
    """One line: the record as JSON with the CRC-32 of everything before it as last field."""
    body = _written(record)[:-1]
    return f'{body},"crc":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def unseal(line: bytes, skim: bool = False) -> dict[str, Any] | None:
    """The record of a line, or None where the line is not whole. With ``skim`` that of a recipe's
    node is its key alone: three lines of four are such, and who resumes needs no more of them."""
    body, mark, tail = line.rstrip(b"\n").rpartition(b',"crc":"')
    if not mark or tail != b'%08x"}' % zlib.crc32(body):
        return None
    if skim and body.startswith(NODE):
        return {"node": body[len(NODE) :].partition(b'"')[0].decode(errors="replace")}
    record: dict[str, Any] = parsed(body + b"}")
    return record


class Journal:
    """Contract: a line that :meth:`append` returned from survives ``kill -9``, and a power cut
    but for the last second. Readers need no lock; the caller holds the writer's.
    """

    def __init__(self, path: Path, *, write: bool = True) -> None:
        self.path, self.write = path, write
        self.torn = 0  # bytes of a torn last line that read() cut off
        self.left_out = 0  # corrupted lines that a repair left out
        self._file: BinaryIO | None = None
        self._end: int | None = None  # of the last whole line, where half of one is after it
        self._synced = 0.0

    def read(self, repair: bool = False, skim: bool = False) -> Iterator[dict[str, Any]]:
        """All records, one by one, ``skim`` as :func:`unseal` has it. A torn last line is cut off;
        a corrupted one is refused.

        With ``repair`` lines that are not whole are left out and the old file is kept beside it.
        A reader leaves the file as it is: its last line may be in the middle of being written.
        """
        if not self.path.exists():
            return
        self.torn = self.left_out = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                record = unseal(line, skim)
                # Torn even where only the newline is not there: the next record would join it.
                if not line.endswith(b"\n"):
                    self.torn = len(line)
                elif record is not None:
                    yield record
                elif repair:
                    self.left_out += 1
                else:
                    raise self._corrupted(number, file)
        if self.torn and self.write:
            os.truncate(self.path, self.path.stat().st_size - self.torn)
        if self.left_out and self.write:
            shutil.copy2(self.path, self.path.with_name(self.path.name + ".damaged"))
            with self.path.open("rb") as file:
                replace(self.path, b"".join(line for line in file if unseal(line) is not None))

    def _corrupted(self, first: int, rest: BinaryIO) -> StoreError:
        """The error for a file whose ``first`` line that is not whole has just been read."""
        later = [unseal(line) is None for line in rest if line.endswith(b"\n")]
        return StoreError(
            f"line {first} of {self.path} is corrupted ({1 + sum(later)} of "
            f"{first + len(later)} lines are); nothing was changed. To go on from the good lines "
            f"(the old file stays as {self.path.name}.damaged): "
            f"noisesearch resume {self.path.parent} --repair"
        )

    def append(self, *records: Mapping[str, Any]) -> None:
        """Write and flush; fsync at most once a second. A line that did not fit is taken back."""
        try:
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
            if self._end is not None:
                self._file.truncate(self._end)
            self._end = self._file.seek(0, os.SEEK_END)
            data = b"".join(map(seal, records))
            while data:
                data = data[self._file.write(data) :]
            if time.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except BaseException as error:  # an interrupt too must not leave half a line
            self._take_back()
            if isinstance(error, OSError):
                raise disk_error(error, self.path) from error
            raise
        self._end = None

    def _take_back(self) -> None:
        """Cut off what was written since the last whole line. Where the disk does not let us, the
        next line does it, or the next reader."""
        if self._file is not None and self._end is not None:
            with suppress(OSError):
                self._file.truncate(self._end)
                self._end = None

    def close(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            with file:
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(error, self.path) from error
