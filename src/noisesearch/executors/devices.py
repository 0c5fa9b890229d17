"""Workers on several devices of this machine: a process for each."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Sequence

from ..verifiers.process.child import Child, ChildFailed
from .shipped_run import ShippedRun
from .worker_group import Event, Joined, Lost, Parcel, Told

COMMAND = (sys.executable, "-m", "noisesearch.executors.device_process")
FOREVER = threading.TIMEOUT_MAX / 4


class Devices:
    """A crew with a process for each of ``devices``; see the contract of Crew.

    Processes and not threads: of one interpreter, one thread at a time could tell its device what
    to do next. One that is lost after it has joined is started again.
    """

    def __init__(self, setup: ShippedRun, devices: Sequence[str]) -> None:
        self._setup = setup
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._children: dict[str, Child] = {}
        self._device: dict[str, str] = {}  # of every worker there ever was
        self._coming: set[str] = set()
        for device in devices:
            self._start(device)

    @property
    def expecting(self) -> bool:
        return bool(self._coming) or not self._events.empty()

    def _start(self, device: str) -> None:
        name = f"{len(self._device)} ({device})"
        self._device[name] = device
        child = self._children[name] = Child(COMMAND)
        self._coming.add(name)
        child.send(self._setup.at(device).json())
        threading.Thread(target=self._listen, args=(name, child), daemon=True).start()

    def _listen(self, name: str, child: Child) -> None:
        """What one process says, in a thread of its own."""
        try:
            hello = child.heard(json.loads, FOREVER)
            if "rows" not in hello:
                raise ChildFailed(str(hello.get("message")))
            self._events.put(Joined(name, hello["rows"]))
            while True:
                self._events.put(Told(name, child.heard(json.loads, FOREVER)))
        except (ChildFailed, ValueError, AttributeError) as error:
            self._events.put(Lost(name, str(error)))

    def give(self, worker: str, parcel: Parcel) -> None:
        if worker in self._children:
            self._children[worker].send(parcel)

    def events(self, seconds: float) -> Sequence[Event]:
        found: list[Event] = []
        try:
            found.append(self._events.get(timeout=seconds))
            while True:
                found.append(self._events.get_nowait())
        except queue.Empty:
            pass
        known = [event for event in found if event.worker in self._children]
        for event in known:
            if isinstance(event, Joined):
                self._coming.discard(event.worker)
            elif isinstance(event, Lost):
                self._end(event.worker)
        return known

    def _end(self, worker: str) -> None:
        self._children.pop(worker).stop(at_once=True)
        # One that could not begin could not begin again.
        if worker not in self._coming:
            self._start(self._device[worker])
        self._coming.discard(worker)

    def dismiss(self, worker: str) -> None:
        if worker in self._children:
            self._children.pop(worker).stop(at_once=True)

    def close(self) -> None:
        for child in self._children.values():
            child.stop(at_once=True)
        self._children.clear()
