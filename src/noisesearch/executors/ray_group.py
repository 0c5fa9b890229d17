"""Workers on Ray: an actor for each device of a cluster, on one machine or many."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, NoisesearchError
from ..models.choice import placement
from ..setup.python_objects import PythonObjects
from .messages import failure
from .shipped_run import ShippedRun, objects
from .worker_group import Event, Joined, Lost, Parcel, Told

if TYPE_CHECKING:
    from ..setup.loaded import Loaded
    from ..verifiers.protocol import Verifier

# Seconds after which it is looked which nodes there are. What is lost is not replaced at once:
# of a node that is gone Ray takes a moment to know.
LOOK = 2.0
LOOPBACK = "127.0.0.1"
# Of a Ray that we start: nothing is told to anybody, and devices are left as they are.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class RayWorker:
    """The actor: one station on one device."""

    def open(self, setup: Mapping[str, Any], given: PythonObjects) -> dict[str, Any]:
        """Load the run's parts; how many rows its batches have, or what went wrong."""
        try:
            self._station = ShippedRun.read(setup).station(given)
        except NoisesearchError as error:
            return failure(error)
        return {"rows": self._station.worker.rows}

    def work(self, parcel: Parcel) -> dict[str, Any]:
        return self._station.work(parcel)


@dataclass
class Cluster:
    """The Ray that is used; ``ours`` where it was started here, to be ended with the run."""

    ours: bool

    @classmethod
    def at(cls, address: str | None) -> Cluster:
        """Join the cluster of an address, or one that this process has joined already; else start
        one on this machine, which only this machine can reach."""
        try:
            import ray
        except ImportError as error:
            raise ConfigError(
                "executor 'ray' needs Ray: pip install 'noisesearch[ray]'"
            ) from error
        if ray.is_initialized():
            return cls(False)
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        said: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
        if address is None:
            ray.init(include_dashboard=False, _node_ip_address=LOOPBACK, **said)
            return cls(True)
        try:
            ray.init(address=address, **said)
        except (ConnectionError, ValueError, RuntimeError) as error:
            why = str(error).strip().partition("\n")[0]
            raise ConfigError(
                f"no Ray cluster answers at {address!r} ({why}); start one with: ray start --head"
            ) from error
        return cls(True)

    @staticmethod
    def devices(unit: str, each: int) -> int:
        """How many workers the nodes that are alive have room for."""
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum(int(resources.get(unit, 0)) // each for resources in nodes)

    def close(self) -> None:
        import ray

        if self.ours:
            ray.shutdown()


@dataclass
class RayWorkerGroup:
    """An actor for each device; see the contract of the pool's Crew.

    ``given``: the run's Python objects, in the object store. ``demand``: what Ray sets aside for
    a worker. ``judges``: actors of heavy verifiers, each of which takes the place of a worker.
    Devices that come are used, actors of those that go are lost; one that dies alone is started
    again, one that could not begin or was dismissed is not.
    """

    cluster: Cluster
    setup: ShippedRun
    given: Any
    demand: Mapping[str, float]
    judges: Sequence[Any] = ()
    seat: type = RayWorker
    clock: Callable[[], float] = time.monotonic
    _actors: dict[str, Any] = field(default_factory=dict)
    _refs: dict[Any, str] = field(default_factory=dict)  # what is waited for, of whom
    _coming: set[str] = field(default_factory=set)
    _out: int = 0  # places that are not filled again
    _made: int = 0
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self._fill()

    @property
    def expecting(self) -> bool:
        return bool(self._coming) or self._room > 0

    @property
    def _room(self) -> int:
        """How many workers the cluster has devices for, without those that were of no use."""
        unit, each = next(iter(_units(self.demand)))
        return max(0, self.cluster.devices(unit, each) - len(self.judges) - self._out)

    def _fill(self) -> None:
        """As many actors as there is room for; of those that wait for a place none too many."""
        import ray

        self._looked = self.clock()
        room = self._room
        while len(self._actors) < room:
            self._made += 1
            name = str(self._made)
            seat = ray.remote(self.seat).options(**self.demand).remote()
            self._actors[name] = seat
            self._coming.add(name)
            self._refs[seat.open.remote(self.setup.json(), self.given)] = name
        for name in [*self._coming][: max(0, len(self._actors) - room)]:
            self._end(name)

    def give(self, worker: str, parcel: Parcel) -> None:
        self._refs[self._actors[worker].work.remote(parcel)] = worker

    def events(self, seconds: float) -> Sequence[Event]:
        import ray

        if self.clock() - self._looked >= LOOK:
            self._fill()
        if not self._refs:
            time.sleep(seconds)
            return []
        refs = list(self._refs)
        first, _ = ray.wait(refs, num_returns=1, timeout=seconds)
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0) if first else ([], [])
        return [event for ref in ready if (event := self._event(ref)) is not None]

    def _event(self, ref: Any) -> Event | None:
        import ray

        name = self._refs.pop(ref)
        if name not in self._actors:
            return None
        try:
            content = ray.get(ref)
        except ray.exceptions.RayError as error:
            self._out += isinstance(error, ray.exceptions.RayTaskError) and name in self._coming
            self._end(name)
            return Lost(name, _reason(error))
        if name not in self._coming:
            return Told(name, content)
        if "rows" not in content:
            self._out += 1
            self._end(name)
            return Lost(name, content["message"])
        self._coming.discard(name)
        return Joined(name, content["rows"])

    def _end(self, worker: str) -> None:
        import ray

        self._coming.discard(worker)
        actor = self._actors.pop(worker, None)
        if actor is not None:
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)

    def dismiss(self, worker: str) -> None:
        self._out += 1
        self._end(worker)

    def close(self) -> None:
        import ray

        for worker in list(self._actors):
            self._end(worker)
        for judge in self.judges:
            with suppress(ray.exceptions.RayError):
                ray.kill(judge)
        self.cluster.close()


def crew_of(
    loaded: Loaded, setup: ShippedRun, address: str | None, seat: type = RayWorker
) -> RayWorkerGroup:
    """A run's workers, actors of ``seat``, on the cluster at an address; ConfigError where there
    is no room for one, and where Python objects of the run cannot go there."""
    from .remote_verifiers import About, RemoteVerifier, RemoteVerifierActor, heavy

    given = objects(loaded)
    if given.model is not None and placement(given.model).device is not None:
        raise ConfigError(
            f"the {given.model.name} is in the memory of this process and cannot go to others; "
            "give its folder or hub id, or leave out --executor ray"
        )
    cluster = Cluster.at(address)
    try:
        demand = _demand(loaded)
        (unit, each), afar = next(iter(_units(demand))), heavy(loaded)
        devices = cluster.devices(unit, each)
        if devices <= len(afar):
            raise ConfigError(
                f"the Ray cluster has room for {devices} times {each} {unit}, but a worker and "
                f"{len(afar)} heavy verifiers need {len(afar) + 1}; add nodes, or leave out "
                "--executor ray"
            )
        import ray

        judges: dict[str, Any] = {}
        verifiers: dict[str, Verifier] = dict(given.verifiers)
        spec = {**loaded.spec.model_dump(), "device": _device(loaded)}
        for name, verifier in afar.items():
            # Ray begins it again elsewhere where its node is lost, and asks it again.
            lasting = {**demand, "max_restarts": -1, "max_task_retries": -1}
            actor = ray.remote(RemoteVerifierActor).options(**lasting)
            own = given.verifiers.get(name)
            judges[name] = actor.remote(spec, name, own and _crossing(own))
            verifiers[name] = RemoteVerifier(About.of(verifier), judges[name])
        crossing = _crossing(PythonObjects(given.model, verifiers=verifiers))
        at = setup.at(_device(loaded))
        return RayWorkerGroup(cluster, at, crossing, demand, list(judges.values()), seat)
    except BaseException:
        cluster.close()
        raise


def _crossing(given: Any) -> Any:
    """Python objects of a run in the object store, by Ray's own cloudpickle."""
    import ray

    try:
        return ray.put(given)
    except TypeError as error:
        why = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"a Python object of this run cannot go to other processes ({why}); give it by name "
            "(package.module:Name or file.py:Name)"
        ) from error


def _demand(loaded: Loaded) -> dict[str, float]:
    """What Ray sets aside for a worker: a whole accelerator, or the threads of a batch."""
    if loaded.spec.device.startswith("cuda"):
        return {"num_cpus": 0, "num_gpus": 1}
    return {"num_cpus": loaded.spec.threads, "num_gpus": 0}


def _units(demand: Mapping[str, float]) -> list[tuple[str, int]]:
    """What a worker's device is counted in, and how many of it one takes."""
    units = {"num_gpus": "GPU", "num_cpus": "CPU"}
    return [(unit, int(demand[name])) for name, unit in units.items() if demand[name]]


def _device(loaded: Loaded) -> str:
    """Ray shows an actor its own device alone."""
    return loaded.spec.device.partition(":")[0]


def _reason(error: BaseException) -> str:
    """The last line of what Ray says, which is the error itself, or its first."""
    cause = getattr(error, "cause", None)
    lines = str(cause or error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
