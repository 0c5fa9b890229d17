"""The worker's side of a pool: takes parcels, works, and reports."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..candidates.ask import Ask, Reply
from ..candidates.noise import Array
from ..candidates.trajectory import Trajectory
from ..errors import NoisesearchError
from ..files.pictures import Picture, png, read
from .messages import Receiver, answer, failure, text
from .worker_group import Parcel

Sink = Callable[[Trajectory, Picture], None]
Source = Callable[[Trajectory], Picture | None]
Fetch = Callable[[str], Array]


class DeviceExecutor(Protocol):
    """What a station works with: an executor on one device."""

    @property
    def rows(self) -> int: ...
    @property
    def swaps(self) -> int: ...
    def submit(self, ask: Ask) -> None: ...
    def cancel(self, ask: Ask) -> None: ...
    def wait(self) -> Sequence[tuple[Ask, Reply]]: ...
    def ran(self) -> Mapping[str, Mapping[str, int]]:
        """What ran since it was asked last, by condition."""
        ...

    def close(self) -> None: ...


class WorkerLoop:
    """Answers parcels by one worker, which ``make(sink, fetch, source)`` gives.

    ``file`` makes the file of a finished sample. Errors that are no sentence of ours pass through:
    the worker is then of no use any more.
    """

    def __init__(
        self,
        make: Callable[[Sink, Fetch, Source], DeviceExecutor],
        file: Callable[[Trajectory, Picture], bytes],
    ) -> None:
        self._receiver, self._file = Receiver(), file
        self._asked: dict[str, Ask] = {}
        self._pictures: dict[str, bytes] = {}  # finished and not yet reported, by trajectory
        self._shown: list[tuple[str, str, bytes]] = []
        self.worker = make(self._keep, self._receiver.fetch, self._stored)

    def show(self, trajectory: Trajectory, picture: Picture, verifier: str) -> None:
        """A picture that a verifier elsewhere is asked about."""
        self._shown.append((trajectory.key, verifier, png(picture)))

    def _keep(self, trajectory: Trajectory, picture: Picture) -> None:
        self._pictures[trajectory.key] = self._file(trajectory, picture)

    def _stored(self, trajectory: Trajectory) -> Picture | None:
        file = self._receiver.pictures.get(trajectory.key)
        return None if file is None else read(io.BytesIO(file))

    def work(self, parcel: Parcel) -> dict[str, Any]:
        """Work until something that is asked is answered, and report it."""
        try:
            for key in parcel["cancel"]:
                if (ask := self._asked.pop(key, None)) is not None:
                    self.worker.cancel(ask)
            for ask in self._receiver.asks(parcel):
                self._asked[ask.key] = ask
                self.worker.submit(ask)
            answers = self._answers()
        except NoisesearchError as error:
            return failure(error)
        return self._report(answers)

    def _answers(self) -> list[tuple[Ask, Reply]]:
        """Of what is still asked; what was cancelled while it was looked at is left out."""
        while self._asked:
            found = [(ask, reply) for ask, reply in self.worker.wait() if ask.key in self._asked]
            if found:
                return found
        return []

    def _report(self, answers: Sequence[tuple[Ask, Reply]]) -> dict[str, Any]:
        for ask, _ in answers:
            del self._asked[ask.key]
        told = {ask.trajectory.key for ask, _ in answers}
        pictures, shown = self._pictures, self._shown
        waiting = {ask.trajectory.key for ask in self._asked.values()}
        self._pictures = {k: file for k, file in pictures.items() if k in waiting - told}
        self._shown = [one for one in shown if one[0] in waiting - told]
        for key in self._receiver.pictures.keys() - waiting:
            del self._receiver.pictures[key]
        return {
            "answers": [answer(ask, reply) for ask, reply in answers],
            "pictures": {key: text(file) for key, file in pictures.items() if key in told},
            "shown": [{"of": key, "verifier": verifier, "picture": text(file)}
                      for key, verifier, file in shown if key in told],
            "usage": {key: dict(units) for key, units in self.worker.ran().items()},
            "rows": self.worker.rows,
            "swaps": self.worker.swaps,
        }  # fmt: skip

    def close(self) -> None:
        self.worker.close()
