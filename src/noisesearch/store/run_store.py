"""The run folder: what was asked, what was answered, and the pictures."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..candidates.ask import NOTHING, Reply
from ..candidates.trajectory import Graph, Trajectory, nodes
from ..errors import StoreError
from ..files.journal import Journal
from ..files.json_text import parsed
from ..files.writing import disk_error, replace, sweep
from .creation import as_json, make, taken
from .formats import current_names, current_spec
from .links import check_enclosed
from .lock import acquire
from .run_arrays import RunArrays
from .schema import check_line
from .spending import Spending

Value = TypeVar("Value")


@dataclass(slots=True)
class _Known:
    """What the journal says of a trajectory, all its replies together; shared with them."""

    parts: Mapping[str, float]
    missing: Mapping[str, str]
    cost: Mapping[str, float]
    blobs: Mapping[str, str]


class RunStore:
    """A run folder, open for one writer.

    ``spec.json`` says what was asked for; ``journal.jsonl`` holds recipe nodes, each once, and
    replies by trajectory key; ``samples/`` the complete candidates as PNG.
    """

    def __init__(self, folder: Path, *, repair: bool = False, write: bool = True) -> None:
        self.folder = folder
        read_spec(folder)  # StoreError where the folder is no run
        self._lock = acquire(folder) if write else None
        self.journal = Journal(folder / "journal.jsonl", write=write)
        self.known: set[str] = set()
        self.spending = Spending(self.journal)
        self.arrays = RunArrays(folder)
        self.rows: int | None = None  # that memory had room for, where it ran out
        self._choices: dict[str, list[int]] = {}  # indices, by what was chosen from
        self._replies: dict[str, _Known] = {}
        self._dropped: set[str] = set()  # replies whose arrays nobody needs any more
        self._holders: Counter[str] = Counter()  # how many replies need an array
        try:
            with uncollected():
                self._load(repair)
            if write:
                (folder / "samples").mkdir(exist_ok=True)
                for place in (folder, folder / "samples", folder / "blobs"):
                    sweep(place)
                self.journal.append({"event": "open"})
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(
        cls,
        folder: Path,
        spec: Mapping[str, Any],
        *,
        arrays: Iterable[npt.NDArray[np.float32]] = (),
        files: Mapping[str, bytes] | None = None,
        owned: Callable[[], None] = lambda: None,
    ) -> RunStore:
        """A new run in an empty or new folder, with the arrays and files that belong to it.

        The spec gets its name last: a folder with a ``spec.json`` is whole, and one that a killed
        process left without is made anew. ``owned`` is called before that, once it is ours.
        """
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder} is a file; choose a new or empty folder with --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_enclosed(folder)
            if taken(folder):
                # Said before the lock is made: nothing is left in a folder that is another's.
                raise StoreError(
                    f"{folder} is not empty and not a run; choose a new or empty folder with --out"
                )
            with acquire(folder):
                if (folder / "spec.json").exists():
                    raise StoreError(
                        f"{folder} holds a run already; go on with it: noisesearch resume "
                        f"{folder}, or choose another folder with --out"
                    )
                owned()
                make(folder, spec, arrays, files or {})
        except OSError as error:
            raise disk_error(error, folder) from error
        return cls(folder)

    def _load(self, repair: bool) -> None:
        for record in self.journal.read(repair, skim=True):
            check_line(record, self.journal.path)
            self.spending.read(record)
            if "node" in record:
                self.known.add(record["node"])
            elif "reply" in record:
                # The names are those of all other lines.
                parts, cost = ({intern(k): v for k, v in record[name].items()}
                               for name in ("parts", "cost"))  # fmt: skip
                missing, blobs = record["missing"] or NOTHING, record.get("blobs") or NOTHING
                self._remember(record["reply"], _Known(parts, missing, cost, blobs))
            elif record.get("event") == "choice":
                self._choices[record["choice"]] = record["indices"]
            elif record.get("event") == "dropped":
                self._drop(record["of"])
            elif record.get("event") == "wanted again":
                self._want_again()
            elif record.get("event") == "rows":
                self.rows = record["rows"]
        self.spending.close_session()

    def _remember(self, key: str, new: _Known) -> None:
        old = self._replies.get(key)
        if new.blobs:
            held = set() if old is None else set(old.blobs.values())
            self._holders.update(set(new.blobs.values()) - held)
        if old is None:
            self._replies[key] = new
            return
        # What was missing and came later, or the other way round, is in one of the two.
        fresh = new.parts.keys() | new.missing.keys()
        old.parts = {**_without(old.parts, fresh), **new.parts}
        old.missing = {**_without(old.missing, fresh), **new.missing}
        old.cost, old.blobs = {**old.cost, **new.cost}, {**old.blobs, **new.blobs}

    def __len__(self) -> int:
        return len(self._replies)

    def answered(self) -> list[str]:
        """The keys of all trajectories with a reply, in the order of the journal."""
        return list(self._replies)

    def seen(self, trajectory: Trajectory, parts: tuple[str, ...]) -> Reply | None:
        """The journalled reply if it has an answer or a reason for every part."""
        known = self._replies.get(trajectory.key)
        if known is None or any(p not in known.parts and p not in known.missing for p in parts):
            return None
        return Reply(trajectory, known.parts, known.missing, known.cost, known.blobs)

    def record(self, reply: Reply, search: str, physical: Mapping[str, int], at: float) -> None:
        """Journal a reply with the recipe nodes that are new; it is never computed again."""
        fresh = list(nodes(reply.trajectory, self.known))
        record = {
            "reply": reply.trajectory.key,
            "search": search,
            "parts": dict(reply.parts),
            "missing": dict(reply.missing),
            "cost": {name: round(s, 7) for name, s in reply.cost.items()},
            "physical": dict(physical),
            "seconds": round(at, 4),
        }
        if reply.blobs:
            record["blobs"] = dict(reply.blobs)
        if reply.spent:
            record["spent"] = {name: dict(units) for name, units in reply.spent.items()}
        self.journal.append(*({"node": n.key, **n.line()} for n in fresh), record)
        self.known.update(n.key for n in fresh)
        known = _Known(reply.parts, reply.missing, reply.cost, reply.blobs)
        self._remember(reply.trajectory.key, known)
        self.spending.pay(record)

    def narrowed(self, rows: int) -> None:
        """Journal that memory ran out, so that a resume does not try more rows again."""
        self.event("rows", rows=rows)
        self.rows = rows

    def event(self, name: str, **what: Any) -> None:
        self.journal.append({"event": name, **what})

    def chosen(self, choice: str, choose: Callable[[], Sequence[int]]) -> list[int]:
        """The indices that a choice came to: as journalled, or made now and journalled."""
        if choice not in self._choices:
            indices = list(choose())
            self.event("choice", choice=choice, indices=indices)
            self._choices[choice] = indices
        return self._choices[choice]

    def forget_failed(self) -> int:
        """Take replies with missing parts as not given, so that they are asked again."""
        failed = [k for k, r in self._replies.items() if r.missing]
        self._holders.subtract(b for key in failed if key not in self._dropped
                               for b in set(self._replies[key].blobs.values()))  # fmt: skip
        self._dropped.difference_update(failed)
        for key in failed:
            del self._replies[key]
        return len(failed)

    def graph(self) -> Graph:
        """Every recipe of the run, rebuilt from the journal alone."""
        graph = Graph()
        for record in self.journal.read():
            if "node" in record:
                line = {k: v for k, v in record.items() if k != "node"}
                graph.add(record["node"], current_names(line))
        return graph

    def drop(self, replies: Iterable[str]) -> None:
        """Delete the arrays of some replies, by trajectory, that no other reply holds.

        The replies stay answered, so a resume does not ask for the arrays again; journalled
        first, so that it knows which are gone.
        """
        if self.arrays.keep:
            return
        fresh = [key for key in replies if key in self._replies and key not in self._dropped]
        if fresh:
            self.event("dropped", of=fresh)
        for blob in self._drop(fresh):
            self.arrays.delete(blob)

    def _drop(self, replies: Iterable[str]) -> list[str]:
        """Returns the arrays that are no longer held."""
        self._dropped.update(replies)
        known = (self._replies[key] for key in replies if key in self._replies)
        blobs = [blob for of in known for blob in set(of.blobs.values())]
        self._holders.subtract(blobs)
        return [blob for blob in blobs if not self._holders[blob]]

    def want_again(self) -> None:
        """From here on, arrays that were dropped are asked for anew where a search needs them."""
        if self._dropped:
            self.event("wanted again")
            self._want_again()

    def _want_again(self) -> None:
        for key in self._dropped:
            self._replies[key].blobs = NOTHING
        self._dropped.clear()

    def sample_path(self, key: str) -> Path:
        return self.folder / "samples" / f"{key}.png"

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a JSON file of the run."""
        replace(self.folder / name, as_json(content))

    def close(self) -> None:
        self.journal.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage: hundreds of thousands of records are read to be kept, and answer as
    many asks; to look through them again and again takes a fifth to a half of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _without(names: Mapping[str, Value], left_out: Collection[str]) -> dict[str, Value]:
    return {name: value for name, value in names.items() if name not in left_out}


def read_spec(folder: Path) -> dict[str, Any]:
    """The spec of a run folder; StoreError where there is none or it cannot be read."""
    path = folder / "spec.json"
    if not path.is_file():
        what = "is not a run" if folder.exists() else "does not exist"
        raise StoreError(
            f"{folder} {what}: a run folder with a spec.json is needed; "
            f'make one with: noisesearch generate "a red circle" --out {folder}'
        )
    check_enclosed(folder)
    try:
        spec = parsed(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}); restore it from a copy") from error
    if not isinstance(spec, dict):
        raise StoreError(f"{path} holds no spec of a run; restore it from a copy")
    return current_spec(spec)
