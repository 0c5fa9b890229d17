"""The pictures of a run: kept as candidates are made, read again, swept at the end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..candidates.keys import digest
from ..candidates.trajectory import Trajectory
from ..driver.winners import unlike
from ..errors import StoreError
from ..files import pictures
from ..files.writing import replace
from ..store.picture_recipe import fields_of
from ..store.run_store import RunStore
from ..store.spec import RunSpec


@dataclass(frozen=True)
class RunPictures:
    """The files of a run's complete candidates, each with its recipe in it."""

    store: RunStore
    spec: RunSpec

    def save(self, trajectory: Trajectory, picture: pictures.Picture) -> None:
        """Write the picture of a finished sample."""
        self.keep(trajectory.key, pictures.png(picture, **fields_of(trajectory, self.spec)))

    def keep(self, key: str, file: bytes) -> None:
        """Write the file of a finished sample."""
        replace(self.store.sample_path(key), file)

    def path(self, trajectory: Trajectory) -> Path | None:
        """Return the stored picture of a candidate that was answered; None where there is none.

        One that a killed process left behind unanswered is made again, and so is counted.
        """
        path = self.store.sample_path(trajectory.key)
        return path if trajectory.key in self.store.known and path.exists() else None

    def read(self, trajectory: Trajectory) -> pictures.Picture | None:
        """Return the pixels of a stored picture; None where there is none."""
        path = self.path(trajectory)
        return None if path is None else pictures.read(path)

    def _still(self, trajectory: Trajectory) -> pictures.Picture | None:
        picture = self.read(trajectory)
        return None if picture is None else pictures.still(picture)

    def select(self, ranked: list[Trajectory], count: int) -> list[Trajectory]:
        """Return winners that are unlike each other.

        The choice is journalled, since the pictures of their rivals may be swept.
        """
        choice = digest("winners", count, [t.key for t in ranked])
        taken = self.store.chosen(choice, lambda: unlike(ranked, count, self._still))
        if max(taken, default=0) >= len(ranked):
            raise StoreError(
                f"{self.store.journal.path} has a choice of winners that are not there; restore "
                "it from a copy"
            )
        return [ranked[i] for i in taken]

    def sweep(self, kept: Collection[Path | None]) -> None:
        """Delete every picture but those that are kept."""
        for path in (self.store.folder / "samples").glob("*.png"):
            if path not in kept:
                path.unlink()
