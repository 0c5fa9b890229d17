"""Answers that were paid for, kept on disk: one JSON file each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import ValidationError

from ...errors import ConfigError, NoisesearchError
from ...files.writing import replace
from .schema import Kind

OFF = "off"


def usual() -> Path:
    """The folder of this user's caches, by the habits of the system."""
    at_home = "Library/Caches" if sys.platform == "darwin" else ".cache"
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / at_home
    return Path(root) / "noisesearch" / "llm-grader"


class Cache:
    """``folder``: where; empty the usual place, ``off`` keeps nothing."""

    def __init__(self, folder: str) -> None:
        self.folder = None if folder == OFF else Path(folder).expanduser() if folder else usual()
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the grader's cache {self.folder} cannot be made ({error}); choose another with "
                "cache=FOLDER, or cache=off"
            ) from error

    def get(self, key: str, kind: type[Kind]) -> Kind | None:
        """The answer; a file that is not whole is as good as none."""
        if self.folder is None:
            return None
        try:
            return kind.model_validate_json(self._path(self.folder, key).read_bytes())
        except (OSError, ValidationError):
            return None

    def put(self, key: str, answer: Kind) -> None:
        """Keep it where that can be done: an answer is worth more than its copy."""
        if self.folder is None:
            return
        path = self._path(self.folder, key)
        try:
            path.parent.mkdir(exist_ok=True)
            replace(path, answer.model_dump_json(indent=1).encode())
        except (OSError, NoisesearchError):
            pass

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key[:2] / f"{key}.json"
