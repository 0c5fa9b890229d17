"""A run folder may come from anybody: nothing in it may lead out of it, or be no file."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import StoreError


def check_enclosed(folder: Path) -> None:
    """StoreError where a link below the folder leads out of it, or something there is neither file
    nor folder.

    Through such links a run would read, overwrite and delete files that are not its own, and
    whoever opens a pipe waits for ever. The folder itself may be a link.
    """
    whole = folder.resolve()
    left = [str(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(whole):
                        raise StoreError(
                            f"{entry.path} is a link to {os.readlink(entry.path)}, out of the run "
                            "folder; put the file itself there, or take the link away"
                        )
                    if entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    elif not entry.is_file() and not entry.is_dir():
                        raise StoreError(
                            f"{entry.path} is neither a file nor a folder, which nothing of a run "
                            "is; take it away"
                        )
        except OSError as error:
            raise StoreError(
                f"{folder} cannot be looked through ({error}); allow reading of all that is in it"
            ) from error
