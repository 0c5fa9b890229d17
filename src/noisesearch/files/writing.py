"""Files that are written as a whole or not at all."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path
from threading import get_ident

from ..errors import StoreError

BESIDE = re.compile(r"\..+\.(\d+)\.\d+")  # of the files that are being written


def disk_error(error: OSError, path: Path) -> StoreError:
    """The sentence for a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "the disk is full; free some space"
    elif error.errno == errno.EFBIG:
        why = "no file may grow that large here; raise the limit (ulimit -f)"
    elif error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        why = "it may not be written; allow writing or choose another folder"
    elif error.errno == errno.ENAMETOOLONG:
        return StoreError(f"{path!s:.60}… is longer than names may be here; give a shorter one")
    else:
        why = f"the system says {(error.strerror or str(error)).lower()}; mend that"
    run = next((p for p in (path, *path.parents) if (p / "spec.json").is_file()), None)
    if run is None:
        return StoreError(f"cannot write {path}: {why} (--out names the run folder)")
    return StoreError(
        f"cannot write {path}: {why}, then go on with: noisesearch resume {run} "
        "(all that was journalled is kept)"
    )


def replace(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    beside = path.parent / f".{path.name}.{os.getpid()}.{get_ident()}"
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except BaseException as error:  # an interrupt too must not leave half a file
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            if os.path.isdir(path):  # and not its own: the name may be too long to ask
                why = "it is a folder; give the name of a file"
                raise StoreError(f"cannot write {path}: {why}") from error
            raise disk_error(error, path) from error
        raise


def leftover(path: Path) -> re.Match[str] | None:
    """What :func:`replace` was writing when its process was killed: a match, whose first group is
    the process's number."""
    return BESIDE.fullmatch(path.name)


def sweep(folder: Path) -> None:
    """Delete what killed processes left half written in a folder, where there is one."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if (half := leftover(path)) and not _writing(int(half[1])):
            path.unlink(missing_ok=True)


def _writing(process: int) -> bool:
    """True where another process with this number lives: it may be writing that file."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is somebody else's
    return process != os.getpid()
