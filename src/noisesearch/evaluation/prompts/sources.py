"""Where a benchmark's prompts are: a file or folder of the user's, or a data set on the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError
from ...files.hub import downloaded

HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
FILES = (".csv", ".tsv", ".json", ".jsonl", ".txt")  # endings of what is no hub id


@dataclass(frozen=True)
class PromptSource:
    """A benchmark whose prompts are not ours to ship. ``form``: how the user names their place;
    ``get``: where they are to be had; ``patterns``: its files in a data set of the hub."""

    benchmark: str
    form: str
    get: str
    patterns: tuple[str, ...]

    def refusal(self, why: str) -> ConfigError:
        """``why`` these are not its prompts, and how to get them."""
        return ConfigError(f"{why}; {self.instead}")

    @property
    def instead(self) -> str:
        return f"{self.get}, and give their place: --prompts {self.form}"

    def place(self, given: str) -> Path:
        """The file or folder, after a download where a hub id is given."""
        if not given:
            raise self.refusal(f"the prompts of {self.benchmark} are not part of this package")
        path = Path(given).expanduser()
        if path.exists():
            return path
        if not HUB_ID.fullmatch(given) or path.suffix in FILES or path.parent.is_dir():
            raise self.missing(path)
        what = f"{given!r}, the prompts of {self.benchmark},"
        return downloaded(given, self.patterns, what, self.instead, kind="dataset")

    def missing(self, path: Path) -> ConfigError:
        return self.refusal(f"no prompts of {self.benchmark} at {path}")


def text_of(path: Path) -> str:
    """What a file says; ConfigError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(
            f"prompts file {path} cannot be read ({reason.lower()}); give a text file in "
            "UTF-8 with one prompt a line"
        ) from error


def lines_of(path: Path) -> list[str]:
    """The lines that hold anything, without the space around them."""
    return [line for line in map(str.strip, text_of(path).splitlines()) if line]


def one_of(folder: Path, patterns: Sequence[str], source: PromptSource) -> Path:
    """The only file in a folder, or below it, that matches; ConfigError otherwise."""
    found = sorted({path for pattern in patterns for path in folder.rglob(pattern)})
    if len(found) == 1:
        return found[0]
    if not found:
        raise source.missing(folder)
    names = ", ".join(str(path.relative_to(folder)) for path in found[:3])
    raise ConfigError(
        f"{folder} holds several files that could be the prompts of {source.benchmark} ({names}); "
        "name one"
    )
