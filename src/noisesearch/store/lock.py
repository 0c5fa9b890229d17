"""The lock of a folder: one process at a time writes there."""

from __future__ import annotations

import errno
import logging
import os
from io import FileIO
from pathlib import Path

from filelock import lock_descriptor

from ..errors import StoreError
from ..files.writing import disk_error

LOG = logging.getLogger("noisesearch")
# What the system answers where the platform or the file system has no locks.
NO_LOCKS = {
    getattr(errno, name)
    for name in ("ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK")
    if hasattr(errno, name)  # not every system has every name
}
_unprotected: set[Path] = set()  # folders without a lock that were warned about


def acquire(folder: Path) -> FileIO:
    """Return the lock file of a folder, held by this process until the file is closed.

    The lock is the system's, so it ends with its process. StoreError names the process that
    holds it. Where the system has no locks, a warning says so and nothing keeps others out.
    """
    try:
        held = (folder / "lock").open("a+b", buffering=0)
    except OSError as error:
        raise disk_error(error, folder) from error
    try:
        if not _locked(held, folder):
            raise StoreError(
                f"{folder} is being written by the living process {_holder(held)}; "
                "wait for it, or stop it and resume"
            )
        held.truncate(0)
        held.write(f" {os.getpid()}".encode())
    except OSError as error:
        held.close()
        raise disk_error(error, folder) from error
    except BaseException:
        held.close()
        raise
    return held


def _locked(held: FileIO, folder: Path) -> bool:
    """Return whether this process may write the folder: it has the lock, or there are none."""
    try:
        # A descriptor of our own: filelock's classes truncate the file, which holds the number of
        # the process, and some take a lock that outlives its process where there is no other.
        return lock_descriptor(held.fileno(), blocking=False)
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS:
            raise
    _warn(folder)
    return True


def _holder(held: FileIO) -> str:
    """Return the number of the process that holds the lock, as it wrote it."""
    held.seek(1)  # on Windows the lock is on the first byte, which nobody else can read
    return held.read().decode("ascii", "replace").strip() or "unknown"


def _warn(folder: Path) -> None:
    """Say once that a folder, with all folders in it, is not protected."""
    whole = folder.resolve()
    if _unprotected.isdisjoint((whole, *whole.parents)):
        _unprotected.add(whole)
        LOG.warning(
            "%s is on a platform or file system without locks: "
            "two processes must not write this folder at the same time", folder
        )  # fmt: skip
