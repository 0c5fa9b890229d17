"""Where a run's candidates are made: in this process, on several devices, or on Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import ConfigError, unknown

if TYPE_CHECKING:
    from ..candidates.trajectory import Trajectory
    from ..setup.loaded import Loaded
    from ..store.run_store import RunStore
    from ..verifiers.slow_verifier import SlowVerifier
    from .pool import Pool
    from .shipped_run import ShippedRun
    from .worker_group import WorkerGroup

LOCAL, RAY = "local", "ray"


class StoredPictures(Protocol):
    """The pictures of a run's folder."""

    def keep(self, key: str, file: bytes) -> None:
        """Write the file of a finished sample."""

    def path(self, trajectory: Trajectory) -> Path | None:
        """Return the file of a candidate that was answered; None where there is none."""


class Running(Protocol):
    """What workers need of an open run."""

    @property
    def loaded(self) -> Loaded: ...
    @property
    def store(self) -> RunStore: ...
    @property
    def pictures(self) -> StoredPictures: ...


@dataclass(frozen=True)
class ExecutorChoice:
    """What answers a run's asks; no part of its meaning, so that it may be another at a resume.

    ``devices``: of this machine, a worker on each; without any one worker in this process.
    ``address``: of a Ray cluster that is there; without one Ray starts here.
    """

    executor: str = LOCAL
    address: str | None = None
    devices: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, executor: str = LOCAL, address: str | None = None, devices: str | Sequence[str] = ()
    ) -> ExecutorChoice:
        """Checked; ``devices`` as a list or as text, ``0,1`` or ``cpu,cpu``."""
        if executor not in (LOCAL, RAY):
            raise unknown("executor", executor, (LOCAL, RAY))
        several = devices.split(",") if isinstance(devices, str) else devices
        names = tuple(_device(str(name).strip()) for name in several if str(name).strip())
        if address is not None and executor != RAY:
            raise ConfigError(
                f"address is {address!r}, but only Ray has one; add --executor ray or leave it out"
            )
        if names and executor == RAY:
            raise ConfigError(
                "devices are given, but Ray takes all that its cluster has; leave out --devices, "
                "or --executor ray"
            )
        return cls(executor, address, names)

    @property
    def here(self) -> bool:
        """True for one worker in this process."""
        return self.executor == LOCAL and not self.devices

    def device(self, asked: str) -> str:
        """The device that a new run is resolved for, where ``asked`` was said of it."""
        if not self.devices:
            return asked
        if asked != "auto":
            raise ConfigError(
                f"device is {asked!r} and devices are {','.join(self.devices)}; give one of both"
            )
        return self.devices[0]

    def open(self, run: Running) -> Pool:
        """The pool of workers that answers a run's asks; ConfigError where what it is made of
        cannot be had there."""
        from ..setup import residence
        from ..verifiers.slow_verifier import SlowVerifier
        from .incoming_pictures import IncomingPictures
        from .messages import ReportReader
        from .pool import Pool
        from .shipped_run import ShippedRun, named

        loaded, store = run.loaded, run.store
        away: dict[str, SlowVerifier] = {
            v.name: v for _, v in named(loaded) if isinstance(v, SlowVerifier)
        }
        residence.put_away(loaded)  # what only the workers need
        crew = self._crew(run, ShippedRun.of(loaded, store.rows))

        def stored(trajectory: Trajectory) -> bytes | None:
            path = run.pictures.path(trajectory) if trajectory.finished else None
            return None if path is None else path.read_bytes()

        said = frozenset(part for v in away.values() for part in v.parts)
        return Pool(
            crew, ReportReader(loaded.part_names, said),
            desk=IncomingPictures(loaded.part_names, run.pictures.keep, away),
            fetch=store.arrays.get, stored=stored, narrowed=store.narrowed,
        )  # fmt: skip

    def _crew(self, run: Running, setup: ShippedRun) -> WorkerGroup:
        if self.executor == RAY:
            from .ray_group import crew_of

            return crew_of(run.loaded, setup, self.address)
        from ..setup.hardware import place
        from .devices import Devices
        from .shipped_run import objects

        for device in self.devices:
            place(device)
        given = objects(run.loaded)
        for name in (*([given.model.name] if given.model else []), *given.verifiers):
            raise ConfigError(
                f"{name!r} is a Python object of this process and cannot go to those of "
                "other devices; give it by name (package.module:Name or file.py:Name), or take "
                "one device"
            )
        return Devices(setup, self.devices)


def _device(name: str) -> str:
    return f"cuda:{name}" if name.isdigit() else name
