"""What the engine itself takes: driver, slots, journal, resume, and a search beside bare networks.

    python benchmarks/engine.py [--quick] [--json] [--record DIR]

* ``driver_ms_per_ask``: processor time of driver, algorithm, ledger and journal for an ask, with
  an executor that answers at once; the dearest of three algorithms (goal: under 0.3).
* ``occupancy_16``: the mean share of 16 slots that hold work with 16 live searches; the median
  over the algorithms, which ``occupancy`` has one by one, with 1 and 4 searches too (goal: 0.95).
  Gradients and searches for sets have none.
* ``resume_seconds``: processor time to go on with a run of 100,000 asks, all of which the journal
  answers (goal: under 10; with ``--quick`` from 10,000).
* ``search_over_bare`` (goal: at most 1.05) and ``speedup_over_naive``: see bare.py.
* ``where``: what a search of the world *shapes* spends its time on, in full samples and in drafts.

Medians over repeats. Processor time is that of this process: on a machine that others use too the
clock on the wall says as much about them.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bare import PROMPTS, load, rounded, start_up, usual
from noisesearch import ConfigError
from noisesearch.candidates.budget import Budget
from noisesearch.candidates.executor import Executor
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.driver.driver import Driver
from noisesearch.names import registry
from noisesearch.setup import workers
from noisesearch.setup.hardware import threads
from noisesearch.setup.loaded import Loaded
from noisesearch.setup.request import Request
from noisesearch.setup.searches import Searches
from noisesearch.setup.selection import algorithm_of
from noisesearch.store.run_store import RunStore
from noisesearch.testing import Bench
from noisesearch.testing.bench import MadeUp
from recording import record
from where import table

DRIVEN = ("random", "zero-order", "paths")
LIVE = (1, 4, 16)
SLOTS = 16
GRADIENTS = ("first-order",)
RESUMED = "zero-order"  # the longest recipes, so the most to read
WHOLE = 100_000  # asks


def made_up(trajectory: Trajectory, _: int) -> Mapping[str, float]:
    """Numbers that follow from the trajectory, so that searches go different ways."""
    return {"brightness": int(trajectory.key[:8], 16) / 2**32,
            "evenness": int(trajectory.key[8:16], 16) / 2**32}  # fmt: skip


def mixed(name: str, searches: int, candidates: int, **settings: Any) -> Loaded:
    """Searches of the mixture, whose network is a formula."""
    prompts = [f"prompt {i}" for i in range(searches)]
    drafts = {"draft": ("steps:3",)} if "draft" in _fields(name) else {}
    bench = Bench(Path(), algorithm_of(name, drafts), prompts=prompts)
    return bench.parts(budget=f"{candidates}candidates", **settings)


def _fields(name: str) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(registry.load("algorithm", name), "model_fields", {})
    return fields


def driven(
    loaded: Loaded, folder: Path, made: Callable[[RunStore], Executor]
) -> tuple[float, int]:
    """Processor seconds of a run, new or resumed, without the loading of models; and its asks."""
    budget = loaded.spec.budget
    gc.collect()
    started = time.process_time()
    searches = Searches(loaded, budget).all()
    known = (folder / "spec.json").exists()
    store = RunStore(folder) if known else RunStore.create(folder, loaded.spec.model_dump())
    executor = made(store)
    try:
        driver = Driver(searches, loaded.algorithm, executor, store, budget)
        driver.run()
    finally:
        executor.close()
        store.close()
    return time.process_time() - started, driver.answered


def driver(searches: int, candidates: int, repeats: int) -> dict[str, Any]:
    """By algorithm: milliseconds of processor time and journal bytes for an ask."""
    found = {}
    for name in DRIVEN:
        parts, times = mixed(name, searches, candidates), []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                run = Path(folder) / "run"
                seconds, asks = driven(parts, run, lambda _: MadeUp(made_up))
                size = (run / "journal.jsonl").stat().st_size
            times.append(1e3 * seconds / asks)
        found[name] = {"ms": statistics.median(times), "journal_bytes": round(size / asks)}
        say(f"driver, {name}: {found[name]['ms']:.3f} ms an ask")
    return found


def resume(searches: int, candidates: int, repeats: int) -> dict[str, Any]:
    """Seconds to replay a run that is done, from opening its folder to its winners."""
    parts = mixed(RESUMED, searches, candidates)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        _, asks = driven(parts, run, lambda _: MadeUp(made_up))
        times = []
        for _ in range(repeats):
            executor = MadeUp(made_up)
            seconds, answered = driven(parts, run, lambda _, to=executor: to)
            assert answered == asks and not executor.asked, "the journal answers everything"
            times.append(seconds)
    seconds = statistics.median(times)
    say(f"resume: {seconds:.2f} s for {asks} asks")
    return {"asks": asks, "seconds": seconds, "ms_per_ask": 1e3 * seconds / asks}


def occupancy(candidates: int) -> dict[str, Any]:
    """By algorithm and number of live searches the share of slots that held work."""
    found: dict[str, Any] = {}
    for name in registry.TABLES["algorithm"]:
        try:
            found[name] = {str(live): _occupied(name, live, candidates) for live in LIVE}
        except ConfigError as error:
            found[name] = str(error)
        say(f"occupancy, {name}: {found[name]}")
    return found


def _occupied(name: str, live: int, candidates: int) -> float:
    loaded = mixed(name, live, candidates, rows=SLOTS)
    if loaded.joint:
        raise ConfigError("one search makes the set of all prompts")
    if name in GRADIENTS:
        raise ConfigError("gradients go through the network in batches of their own")
    opened: list[Any] = []

    def made(store: RunStore) -> Executor:
        opened.append(workers.of(loaded, None, store.arrays.get))
        found: Executor = opened[-1]
        return found

    with tempfile.TemporaryDirectory() as folder:
        driven(loaded, Path(folder) / "run", made)
    share: float = opened[-1].occupancy
    return share


def where() -> dict[str, Any]:
    """The table of full samples and that of an algorithm that looks at drafts."""
    drafts = Request(PROMPTS, algorithm="draft", budget=Budget(8, "candidates"), rows=32)
    found = {}
    for name, parts in (("full samples", load(4)), ("drafts", drafts.resolve().loaded)):
        table(parts)  # warm up
        found[name] = table(parts)
        say(f"{name}: {found[name]['ms_per_answer']:.2f} ms an answer")
    return found


def measured(quick: bool) -> dict[str, Any]:
    """All figures."""
    repeats, many = (3, 10) if quick else (5, 100)
    asks = driver(16, 64, repeats)
    replayed = resume(many, WHOLE // 100, 3)
    slots = occupancy(16 if quick else 32)
    at_16 = [of["16"] for of in slots.values() if isinstance(of, dict)]
    return {
        "driver_ms_per_ask": max(of["ms"] for of in asks.values()),
        "occupancy_16": statistics.median(at_16),
        "occupancy_16_least": min(at_16),
        "resume_seconds": replayed["ms_per_ask"] * WHOLE / 1e3,
        **usual(quick),
        "driver": asks,
        "resume": replayed,
        "occupancy": slots,
        "where": where(),
        **start_up(),
        "threads": threads(),
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def shown(found: Mapping[str, Any]) -> str:
    """For people: the figures, then the table of where time goes."""
    lines = [f"{name}: {value}" for name, value in found.items() if name != "where"]
    for name, of in found["where"].items():
        lines.append(f"\n{name}: {of['ms_per_answer']:.2f} ms an answer")
        lines += [f"  {part:24} {row['ms_per_answer']:8.3f} ms {row['share']:7.1%}"
                  for part, row in of["parts"].items()]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats, smaller runs")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--record", type=Path, help="folder for the figures")
    parser.add_argument("--shared", action="store_true", help="note that others used the machine")
    asked = parser.parse_args()
    found = rounded(measured(asked.quick))
    if asked.shared:
        found["note"] = "the machine was shared with other work: ratios count, not seconds"
    if asked.record:
        record(asked.record, "engine", found)
    print(json.dumps(found) if asked.json else shown(found))


if __name__ == "__main__":
    main()
