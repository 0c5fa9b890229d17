"""Counts of what three trips do: a request, one ask, a resume. Run as a script: it prints JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import noisesearch as ns
from noisesearch.candidates.ask import score
from noisesearch.candidates.budget import Budget
from noisesearch.driver.live_search import LiveSearch
from noisesearch.objectives import text as objective_text
from noisesearch.runs.run import Run
from noisesearch.setup import workers
from noisesearch.store.spec import RunSpec

counts: Counter[str] = Counter()
folders: list[str] = []  # whose files are counted


def counted(owner: Any, name: str, what: str, only: Callable[..., bool] = lambda *_: True) -> None:
    """Count the calls of a function under ``what``."""
    plain = getattr(owner, name)
    function = getattr(plain, "__func__", plain)
    bound = isinstance(owner.__dict__.get(name), classmethod)

    def count(*args: Any, **settings: Any) -> Any:
        if only(*args):
            counts[what] += 1
        return function(*args, **settings)

    setattr(owner, name, classmethod(count) if bound else count)


def opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Count the files of ``folders`` that are opened to be read."""
    if event != "open" or not isinstance(arguments[0], str):
        return
    mode = arguments[1] or "r"
    path = arguments[0]
    if folders and mode in ("r", "rb") and any(path.startswith(f) for f in folders):
        counts["read " + path.rpartition("/")[2]] += 1


def trip(of: Callable[[], Any]) -> dict[str, int]:
    """What ``of()`` does."""
    counts.clear()
    of()
    return dict(counts)


def main(folder: Path) -> None:
    logging.disable(logging.CRITICAL)
    counted(LiveSearch, "__post_init__", "searches built")
    counted(RunSpec, "model_copy", "specs copied")
    counted(objective_text, "parse", "objectives parsed")
    counted(Budget, "parse", "budgets parsed", lambda _, text: not isinstance(text, Budget))
    run = folder / "run"
    settings: dict[str, Any] = {"model": "shapes", "algorithm": "zero-order", "steps": 2}
    ns.search("a red circle", budget="2candidates", out=folder / "first", **settings)  # imports
    folders.append(str(run))
    sys.addaudithook(opened)
    found = {"request": trip(lambda: ns.search("a red circle", budget="8candidates", out=run,
                                               **settings))}  # fmt: skip
    there = Run.open(run)
    worker = workers.of(there.loaded, None)
    problem = there.searches[0].problem
    fresh = problem.sample(problem.noise(99))

    def ask() -> None:
        worker.submit(score(fresh))
        assert worker.wait()

    found["ask"] = trip(ask)
    there.close()
    found["resume"] = trip(lambda: ns.resume(run))
    found["extended"] = trip(lambda: ns.resume(run, budget="12candidates"))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
