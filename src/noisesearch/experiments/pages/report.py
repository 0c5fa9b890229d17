"""The page of a folder, of one run or of an experiment, in one HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...files.writing import replace
from ...pages import run_page
from ..folder import SPEC
from . import page as experiment_page

PICTURES = ("auto", "embed", "link")


@dataclass(frozen=True)
class WrittenReport:
    """A written report: the file, its size, and whether it needs the folder beside it."""

    path: Path
    size: int
    linked: bool
    remarks: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        return {"report": str(self.path), "bytes": self.size, "linked": self.linked,
                "remarks": list(self.remarks)}  # fmt: skip


def report(folder: Path, out: Path | None = None, pictures: str = "auto") -> WrittenReport:
    """Write the report of a run's or an experiment's folder; default ``report.html`` in it.

    ``pictures``: whether those of all candidates are in the page (``embed``, it can be sent
    alone) or in the folder (``link``); ``auto`` embeds up to 4,096 of them. Baselines and winners
    of a run are always in the page.
    """
    if pictures not in PICTURES:
        raise ConfigError(f"pictures is {pictures!r}, but must be one of {', '.join(PICTURES)}")
    path = folder / "report.html" if out is None else out
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file, such as {path / 'report.html'}")
    of = experiment_page if (folder / SPEC).exists() else run_page
    page = of.page(folder, path, pictures)
    written = page.text.encode()
    replace(path, written)
    return WrittenReport(path, len(written), page.linked, page.remarks)
