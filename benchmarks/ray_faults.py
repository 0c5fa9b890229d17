"""Faults on a real Ray cluster of this machine, against a run that nothing disturbs.

    python benchmarks/ray_faults.py [--quick] [--json] [--schedules 100] [--first 0] [--record DIR]

A schedule is a run of 2,000 candidates on three nodes, in which at seeded times workers are killed
or made ten times slower, one breaks the schema of its reports, nodes are lost and join, and the
driver's process is killed with SIGKILL and the run gone on with. Winners, scores and logical
ledgers must be those of the undisturbed run in one process. ``--quick`` runs one schedule.
What ``--record`` finds recorded of other schedules it keeps, so that a campaign can be made in
parts: ``--first`` is the seed of a part's first schedule.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from noisesearch.executors.choice import ExecutorChoice
from noisesearch.executors.ray_group import RayWorker, crew_of
from noisesearch.executors.shipped_run import ShippedRun
from noisesearch.executors.worker_group import Parcel, WorkerGroup
from noisesearch.runs.run import Run
from noisesearch.setup.request import Request
from noisesearch.testing.bench import without_seconds
from recording import record

CANDIDATES, PROMPTS = 2000, 8
NODES = 3
NAME = "ray-faults"  # of the record
WORKER_FAULTS = ("killed", "slow", "broken")
OTHER_FAULTS = ("node lost", "node joins", "driver killed")
SLOW = 10
PATIENCE = 900.0  # seconds without an end after which a schedule has failed


@dataclass(frozen=True)
class Fault:
    """What happens once so many candidates are answered."""

    after: int
    kind: str


def schedule(seed: int) -> list[Fault]:
    """Every kind once, and as many again by chance, at times of their own."""
    draw = random.Random(seed)
    kinds = [*WORKER_FAULTS, *OTHER_FAULTS]
    # A broken worker is not replaced, so there is one of them.
    kinds += draw.choices([kind for kind in kinds if kind != "broken"], k=len(kinds))
    return sorted((Fault(draw.randrange(50, CANDIDATES - 200), k) for k in kinds),
                  key=lambda fault: fault.after)  # fmt: skip


class Misled(RayWorker):
    """A worker that can be told to be of no use."""

    _slow = 1
    _broken = False

    def mislead(self, kind: str) -> None:
        self._slow = SLOW if kind == "slow" else self._slow
        self._broken = kind == "broken"

    def work(self, parcel: Parcel) -> dict[str, Any]:
        started = time.monotonic()
        report = super().work(parcel)
        time.sleep((self._slow - 1) * (time.monotonic() - started))
        if self._broken and report["answers"]:
            first = report["answers"][0]
            first["parts"] = dict.fromkeys(first["parts"], float("nan"))
        return report


class Disturbed(ExecutorChoice):
    """Ray, with workers that can be misled."""

    def _crew(self, run: Run, setup: ShippedRun) -> WorkerGroup:
        return crew_of(run.loaded, setup, self.address, Misled)


class Disturbs:
    """Does to workers what a schedule says, by how many candidates the journal has."""

    def __init__(self, run: Run, faults: list[Fault], seed: int) -> None:
        self._run, self._draw = run, random.Random(seed)
        self._left = [f for f in faults if f.kind in WORKER_FAULTS and f.after >= len(run.store)]

    def replied(self, driver: Any, live: Any, reply: Any) -> None:
        import ray

        while self._left and len(self._run.store) >= self._left[0].after:
            kind = self._left.pop(0).kind
            actors = list(driver.executor.crew._actors.values())
            if not actors:
                continue
            actor = self._draw.choice(actors)
            if kind == "killed":
                ray.kill(actor)
            else:
                actor.mislead.remote(kind)

    def improved(self, driver: Any, live: Any, reply: Any) -> None:
        pass


def request() -> Request:
    """The cheapest world there is."""
    return Request(
        [f"prompt {i}" for i in range(PROMPTS)],
        model="noisesearch.testing.mixture_model:MixtureModel", algorithm="zero-order",
        parameters={"neighbours": 16}, budget=f"{CANDIDATES // PROMPTS}candidates", steps=2,
        rows=16, device="cpu", dtype="float32", seed=1, keep="winners",
    )  # fmt: skip


def drive(folder: Path, address: str | None, seed: int) -> None:
    """Begin the run of a folder or go on with it; at an address with its schedule's faults."""
    import torch

    torch.set_num_threads(1)
    there = (folder / "spec.json").exists()
    run = Run.open(folder) if there else Run.create(folder, request().resolve().searches)
    try:
        if address is None:
            run.execute()
        else:
            run.execute(Disturbs(run, schedule(seed), seed), where=Disturbed("ray", address))
    finally:
        run.close()


def found(folder: Path) -> list[Any]:
    """What must not depend on faults: winners with their numbers, and logical ledgers."""
    searches = json.loads((folder / "winners.json").read_text())["searches"]
    return [[[w["trajectory"], w["parts"]] for w in search["winners"]]
            + [{k: v for k, v in without_seconds(search["ledger"]).items()
                if k not in ("physical", "seconds")}] for search in searches]  # fmt: skip


def answered(folder: Path) -> int:
    """Candidates in the journal so far."""
    path = folder / "journal.jsonl"
    return path.read_bytes().count(b'{"reply":') if path.exists() else 0


class Nodes:
    """The cluster, whose nodes come and go; a head without room stays."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self._cluster.address
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(NODES)]

    def happen(self, kind: str) -> None:
        if kind == "node joins":
            self._nodes.append(self._cluster.add_node(num_cpus=1))
        elif len(self._nodes) > 2:  # the broken worker's place is not filled again
            self._cluster.remove_node(self._nodes.pop(0), allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


def one(folder: Path, seed: int) -> dict[str, Any]:
    """Run one schedule to its end; what happened."""
    nodes, started, kills = Nodes(), time.monotonic(), 0
    faults = [fault for fault in schedule(seed) if fault.kind in OTHER_FAULTS]
    command = [sys.executable, __file__, "--drive", str(folder), "--address", nodes.address,
               "--first", str(seed)]  # fmt: skip
    begin = partial(subprocess.Popen, command, stdout=sys.stderr)  # Ray says there what it lost
    driver = begin()
    try:
        while (status := driver.poll()) is None and time.monotonic() - started < PATIENCE:
            if faults and answered(folder) >= faults[0].after:
                kind = faults.pop(0).kind
                if kind == "driver killed":
                    driver.send_signal(signal.SIGKILL)
                    driver.wait()
                    kills, driver = kills + 1, begin()
                else:
                    nodes.happen(kind)
            time.sleep(0.1)
    finally:
        driver.kill()
        driver.wait()
        nodes.close()
    seconds = round(time.monotonic() - started, 1)
    return {"schedule": seed, "ended": status == 0, "driver_killed": kills,
            "faults_left": len(faults), "seconds": seconds}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first")
    parser.add_argument("--quick", action="store_true", help="one schedule")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--record", type=Path, help="keep the figures in this folder")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if given.drive is not None:
        drive(given.drive, given.address, given.first)
        return 0
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        drive(folder / "undisturbed", None, 0)
        whole = found(folder / "undisturbed")
        for seed in range(given.first, given.first + (1 if given.quick else given.schedules)):
            row = one(folder / str(seed), seed)
            row["same"] = row["ended"] and found(folder / str(seed)) == whole
            print(json.dumps(row), file=sys.stderr)
            rows.append(row)
            if given.record is not None:
                record(given.record, NAME, summed([*rows, *others(given.record, rows)]))
    print(json.dumps(summed(rows)) if given.json else f"{same(rows)} of {len(rows)} the same")
    return 0 if same(rows) == len(rows) else 1


def same(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["same"] for row in rows)


def summed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a campaign."""
    return {"schedules": len(rows), "same": same(rows), "candidates": CANDIDATES,
            "rows": sorted(rows, key=lambda row: row["schedule"])}  # fmt: skip


def others(folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What is recorded of schedules that were not run now."""
    path, now = folder / f"{NAME}.json", {row["schedule"] for row in rows}
    known = json.loads(path.read_text())["rows"] if path.exists() else []
    return [row for row in known if row["schedule"] not in now]


if __name__ == "__main__":
    sys.exit(main())
