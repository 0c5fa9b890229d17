"""What a worker is made of: data that crosses to wherever it runs, and the station made of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..candidates.executor import swaps
from ..files.pictures import Picture, png, read
from ..files.remote_code import trust_remote_code, trusted
from ..setup.python_objects import FunctionAlgorithm, PythonObjects
from ..store.given_images import InputImages
from ..store.spec import RunSpec
from ..verifiers.slow_verifier import CandidatePicture, SlowReply, SlowVerifier
from .messages import data, text
from .worker_loop import Fetch, Sink, Source, WorkerLoop

if TYPE_CHECKING:
    from ..candidates.ask import Ask, Reply
    from ..setup.loaded import Loaded
    from ..verifiers.protocol import Verifier

LOADED = ("model ", "verifier ", "draft ")  # fingerprints of what a worker loads


@dataclass(frozen=True)
class ShippedRun:
    """A run as its workers need it.

    ``device``: where this one works, the spec's where empty. ``rows``: fewer than the spec's,
    where memory ran out before. ``away``: name in the spec, name, parts and fingerprint of the
    verifiers that are asked at the driver's side. ``remote_code``: whether the Python of models'
    repositories may run.
    """

    spec: RunSpec
    images: InputImages = field(default_factory=InputImages)
    rows: int | None = None
    away: Sequence[tuple[str, str, tuple[str, ...], str]] = ()
    device: str = ""
    remote_code: bool = field(default_factory=trusted)

    @classmethod
    def of(cls, loaded: Loaded, rows: int | None = None) -> ShippedRun:
        absent = [(name, v.name, tuple(v.parts), v.fingerprint) for name, v in named(loaded)
                  if isinstance(v, SlowVerifier)]  # fmt: skip
        return cls(loaded.spec, loaded.images, rows, absent)

    def at(self, device: str) -> ShippedRun:
        return replace(self, device=device)

    def json(self) -> dict[str, Any]:
        images = {name: getattr(self.images, name) for name in self.images.keys}
        return {
            "spec": self.spec.model_dump(),
            "images": {name: text(png(picture)) for name, picture in images.items()},
            "rows": self.rows,
            "away": [list(one) for one in self.away],
            "device": self.device,
            "remote_code": self.remote_code,
        }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> ShippedRun:
        images = {n: read(io.BytesIO(data(file))) for n, file in content["images"].items()}
        away = [(a, b, tuple(parts), print_) for a, b, parts, print_ in content["away"]]
        spec = RunSpec.read(content["spec"], "the run")
        return cls(spec, InputImages(**images), content["rows"], away, content["device"],
                   content["remote_code"])  # fmt: skip

    def station(self, given: PythonObjects = PythonObjects()) -> WorkerLoop:
        """Load all that makes and scores candidates; StoreError where its weights are not those
        of the run. ``given``: Python objects that came along."""
        from ..setup import fingerprints
        from ..setup.loaded import Loaded
        from ..store.picture_recipe import fields_of

        if self.remote_code:
            trust_remote_code()
        prints = {k: v for k, v in self.spec.fingerprints.items() if k.startswith(LOADED)}
        # What compares candidates stays where they are compared.
        changed = {"device": self.device or self.spec.device, "fingerprints": prints,
                   "objective": ""}  # fmt: skip
        absent = {known_as: DriverSideVerifier(name, loaded, fingerprint)
                  for known_as, name, loaded, fingerprint in self.away}  # fmt: skip
        objects = replace(
            given,
            algorithm=FunctionAlgorithm(self.spec.algorithm, lambda problem: iter(())),
            verifiers={**given.verifiers, **absent},
            images=self.images,
        )
        loaded = Loaded.load(self.spec.model_copy(update=changed), objects)
        fingerprints.check(loaded, "the run")

        def file(trajectory: Any, picture: Picture) -> bytes:
            return png(picture, **fields_of(trajectory, self.spec))

        station = WorkerLoop(lambda *doors: Work(loaded, self.rows, *doors), file)
        for scorer in station.worker.scorers:  # type: ignore[attr-defined]
            scorer.hand = lambda of, picture, verifier: station.show(of, picture, verifier.name)
        return station


class DriverSideVerifier(SlowVerifier):
    """Stands for a verifier that is asked at the driver's side."""

    def __init__(self, name: str, parts: tuple[str, ...], fingerprint: str) -> None:
        self.name, self.parts, self.fingerprint = name, parts, fingerprint

    def look(self, looks: Sequence[CandidatePicture]) -> Sequence[SlowReply]:
        raise AssertionError("pictures for it are handed to the driver")


class Work:
    """The worker of a run's parts, as a station needs it."""

    def __init__(
        self, loaded: Loaded, rows: int | None, sink: Sink, fetch: Fetch, source: Source
    ) -> None:
        from ..setup import workers
        from ..worker.draft_workers import DraftWorkers

        self._rows = rows or loaded.spec.rows
        self._worker = worker = workers.of(loaded, sink, fetch, source, rows, self._narrowed)
        self.scorers = worker.scorers
        several = worker.workers.values() if isinstance(worker, DraftWorkers) else (worker,)
        self._usages = [one.usage for one in several]

    def _narrowed(self, rows: int) -> None:
        self._rows = min(self._rows, rows)

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def swaps(self) -> int:
        return swaps(self._worker)

    def submit(self, ask: Ask) -> None:
        self._worker.submit(ask)

    def cancel(self, ask: Ask) -> None:
        self._worker.cancel(ask)

    def wait(self) -> Sequence[tuple[Ask, Reply]]:
        return self._worker.wait()

    def ran(self) -> Mapping[str, Mapping[str, int]]:
        usage = dict(self._worker.usage)
        for of in self._usages:
            of.clear()
        return usage

    def close(self) -> None:
        self._worker.close()


def objects(loaded: Loaded) -> PythonObjects:
    """The Python objects of a run that no name brings back, of those that a worker needs."""
    of = loaded.spec.objects
    needed = of.get("verifier", ())
    verifiers = {
        name: v for name, v in named(loaded) if name in needed and not isinstance(v, SlowVerifier)
    }
    return PythonObjects(loaded.model if of.get("model") else None, verifiers=verifiers)


def named(loaded: Loaded) -> list[tuple[str, Verifier]]:
    """Every verifier of a run under its name in the spec."""
    return [*zip(loaded.spec.verifiers, loaded.verifiers, strict=True),
            *zip(loaded.spec.watch, loaded.watch, strict=True)]  # fmt: skip
