"""What a large job needs of its driver: memory, time and disk by the number of prompts.

    python benchmarks/scale.py [--quick] [--json] [--prompts 1000 10000 100000] [--record DIR]

A file of so many prompts is searched shard by shard with a denoiser that is a formula, so that
what is measured is all but networks. Each size is a process of its own. ``memory_ratio``: peak
memory at the most prompts over that at the fewest (goal: at most 1.1). ``growth_kib``: what the
process had more at its end than after its first two shards, over the prompts in between.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from noisesearch.runs.run import Run
from noisesearch.setup.request import Request
from noisesearch.shards.prompt_files import PromptFile
from noisesearch.shards.sharded import Sharded
from noisesearch.testing import MixtureModel
from recording import record

CANDIDATES, SHARD = 2, 256
GOAL = 1.1


def resident() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def one(prompts: int) -> dict[str, Any]:
    """Search a file of so many prompts in this process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts.txt"
        file.write_text("".join(f"prompt {i}\n" for i in range(prompts)))
        request = Request(
            (), model=MixtureModel(), algorithm="random", budget=f"{CANDIDATES}candidates",
            rows=32, keep="winners", steps=1, dtype="float32", device="cpu",
        )  # fmt: skip
        whole = Sharded(PromptFile(file), request, SHARD)
        held: list[float] = []
        out = Path(folder) / "out"
        cpu, wall = time.process_time(), time.perf_counter()

        def quiet(run: Run) -> nullcontext[None]:
            return nullcontext()

        found = whole.run(out, lambda sentence: held.append(resident()), quiet)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        # Before the files are counted, which takes memory for every one of them.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        assert found["complete"]
        first = min(1, len(held) - 1)
        between = max(1, prompts - (first + 1) * SHARD)
        journals = sum(path.stat().st_size for path in out.glob("shards/*/journal.jsonl"))
        disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        answers = prompts * CANDIDATES
        return {
            "prompts": prompts,
            "peak_mib": round(peak, 1),
            "growth_kib": round(1024 * (held[-1] - held[first]) / between, 4),
            "cpu_ms_per_prompt": round(1e3 * cpu / prompts, 3),
            "seconds": round(wall, 1),
            "journal_bytes_per_candidate": round(journals / answers),
            "disk_bytes_per_prompt": round(disk / prompts),
        }


def apart(prompts: int) -> dict[str, Any]:
    """The same in a process of its own, since a peak is of a whole process."""
    print(f"{prompts} prompts", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--one", str(prompts)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1,000 and 4,000 prompts")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    parser.add_argument("--prompts", type=int, nargs="+")
    parser.add_argument("--record", type=Path, help="folder for the figures")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one)))
        return
    sizes = asked.prompts or ([1000, 4000] if asked.quick else [1000, 10_000, 100_000])
    rows = [apart(prompts) for prompts in sorted(sizes)]
    found = {
        "memory_ratio": round(rows[-1]["peak_mib"] / rows[0]["peak_mib"], 3),
        "candidates": CANDIDATES,
        "shard": SHARD,
        "rows": rows,
    }
    if asked.record:
        record(asked.record, "scale", found)
    print(json.dumps(found, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
