"""The one-line way in: `search`, and the request behind it and the command line."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from .algorithms.problem import Algorithm
from .driver.driver import Watcher
from .errors import unknown
from .executors.choice import LOCAL, ExecutorChoice
from .models.choice import as_model
from .runs.results import Result, Results
from .runs.run import Run
from .setup import python_objects, selection
from .setup.notices import notice
from .setup.python_objects import PythonObjects
from .setup.request import Request

LOG = logging.getLogger("noisesearch")  # goes to stderr, where nobody says otherwise


class Temporary:
    """A folder that goes with the last result that holds it, and without a word."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp(prefix="noisesearch-")
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)


@overload
def search(conditions: str | None, **settings: Any) -> Result: ...
@overload
def search(conditions: Sequence[str], **settings: Any) -> Results: ...
def search(
    conditions: str | Sequence[str] | None,
    *,
    out: str | Path | None = None,
    seconds: float | None = None,
    watcher: Watcher | None = None,
    executor: str = LOCAL,
    address: str | None = None,
    devices: str | Sequence[str] = (),
    **settings: Any,
) -> Result | Results:
    """Search for a better image of each condition; one string gives a Result, a list Results.

    ``settings`` are the fields of :class:`Request`: model, verifier (a name, names separated by
    commas, a function ``f(images [B, 3, H, W] in [0, 1], conditions)`` or a list of these),
    algorithm (a name or an object), budget, seed, steps, guidance and so on. The run folder is
    ``out``; without it a temporary one that lives as long as the results. Candidates are made in
    this process, on several ``devices`` of this machine, or by the ``executor`` "ray" on all of
    the cluster at ``address`` (see docs/many-devices.md).
    """
    several = not (conditions is None or isinstance(conditions, str))
    prompts: Sequence[str | None] = list(conditions or ()) if several else [conditions]  # type: ignore[list-item]
    for name in settings:
        if name not in Request.__dataclass_fields__:
            raise unknown("setting", name, Request.__dataclass_fields__)
    where = ExecutorChoice.of(executor, address, devices)
    request = Request(prompts, **settings)
    request.device = where.device(request.device)
    resolved = request.resolve()
    loaded = resolved.loaded
    if loaded.start is not None and loaded.start.remark:
        warnings.warn(loaded.start.remark, stacklevel=2)
    owner = None if out is not None else Temporary()
    folder = Path(out) if out is not None else Path(owner.name)  # type: ignore[union-attr]
    run = Run.create(folder, resolved.searches, owner)
    if said := notice(loaded):
        LOG.warning(said)
    try:
        results = run.execute(watcher, seconds, where)
    finally:
        run.close()
    return results if several else results[0]


def resume(
    run: str | Path,
    *,
    budget: str | int | None = None,
    yes: bool = False,
    model: Any = None,
    algorithm: Algorithm | None = None,
    verifier: Any = (),
    seconds: float | None = None,
    watcher: Watcher | None = None,
    executor: str = LOCAL,
    address: str | None = None,
    devices: str | Sequence[str] = (),
) -> Results:
    """Go on with a run folder; Python objects that it was made with are given again. Where its
    candidates are made may be another place than before."""
    where = ExecutorChoice.of(executor, address, devices)
    verifiers: Mapping[str, Any] = {
        python_objects.name_of(v): selection.as_verifier(v, python_objects.name_of(v))
        for v in python_objects.as_list(verifier)
    }
    if algorithm is not None:
        algorithm = selection.as_algorithm(algorithm, python_objects.name_of(algorithm))
    wanted = None if budget is None else str(budget)
    known = None if model is None else as_model(model)
    opened = Run.open(
        Path(run), PythonObjects(known, algorithm, verifiers), budget=wanted, yes=yes
    )
    try:
        return opened.execute(watcher, seconds, where)
    finally:
        opened.close()
