"""What every store of a run must do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from ..candidates.ask import Reply
from ..candidates.condition import Condition
from ..candidates.noise import gaussian, neighbour
from ..candidates.trajectory import Trajectory
from ..errors import StoreError
from ..store.run_store import RunStore

SPEC = {"format": 1, "model": "none"}


class StoreType(Protocol):
    """A class like :class:`RunStore`."""

    def create(self, folder: Path, spec: dict[str, Any]) -> RunStore: ...
    def __call__(self, folder: Path, *, repair: bool = False, write: bool = True) -> RunStore: ...


def replies(count: int) -> list[Reply]:
    """A pivot and its neighbours with made-up numbers."""
    pivot = gaussian(1)
    made = []
    for i in range(count):
        noise = neighbour(pivot, i, 0.9) if i else pivot
        trajectory = Trajectory.begin(Condition(text="any"), noise, 4).denoise()
        made.append(Reply(trajectory, {"x": 0.1 * i, "y": 1.0 / (i + 1)}, {"z": "none"}))
    return made


class StoreContract:
    """Inherit and give the fixture ``store_type``, a class like :class:`RunStore`."""

    def filled(self, store_type: StoreType, folder: Path, count: int = 6) -> list[Reply]:
        """A closed run of ``count`` replies."""
        store = store_type.create(folder, SPEC)
        made = replies(count)
        for i, reply in enumerate(made):
            store.record(reply, "search", {"nfe": 4 * (i + 1), "decodes": i + 1}, float(i))
        store.close()
        return made

    def found(self, store: RunStore, made: list[Reply]) -> list[Reply | None]:
        """What the store knows of these replies; closes it."""
        seen = [store.seen(r.trajectory, ("x", "y", "z")) for r in made]
        store.close()
        return seen

    def test_round_trip(self, store_type: StoreType, tmp_path: Path) -> None:
        made = self.filled(store_type, tmp_path / "run")
        store = store_type(tmp_path / "run")
        assert len(store) == 6
        assert store.spending.physical_before == {"search": {"nfe": 24, "decodes": 6}}
        assert store.seen(made[0].trajectory, ("other",)) is None
        graph = store.graph()
        assert [graph.trajectory(r.trajectory.key) for r in made] == [r.trajectory for r in made]
        assert self.found(store, made) == made, "floats come back bit for bit"

    def test_later_parts_add_to_a_known_candidate(
        self, store_type: StoreType, tmp_path: Path
    ) -> None:
        made = self.filled(store_type, tmp_path / "run")
        trajectory = made[2].trajectory
        store = store_type(tmp_path / "run")
        store.record(Reply(trajectory, {"later": 3.0}), "search", {}, 1.0)
        store.record(Reply(trajectory, {"z": 5.0}), "search", {}, 2.0)
        for again in (store, None):
            opened = again or store_type(tmp_path / "run")
            reply = opened.seen(trajectory, ("x", "y", "z", "later"))
            assert reply is not None
            assert reply.parts == {**made[2].parts, "later": 3.0, "z": 5.0}
            assert reply.missing == {}, "a part that came later is missing no more"
            opened.close()

    def test_torn_tail(self, store_type: StoreType, tmp_path: Path) -> None:
        made = self.filled(store_type, tmp_path / "run")
        path = tmp_path / "run" / "journal.jsonl"
        whole = path.read_bytes()
        last = whole[:-1].rfind(b"\n") + 1
        for size in (last, last + 1, (last + len(whole)) // 2, len(whole) - 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            store = store_type(tmp_path / "run")
            store.record(made[5], "search", {}, 1.0)
            store.close()
            # Opened once more: what was appended to the torn file must be readable.
            assert self.found(store_type(tmp_path / "run"), made) == made, f"cut at {size}"

    def test_a_reader_changes_nothing(self, store_type: StoreType, tmp_path: Path) -> None:
        made = self.filled(store_type, tmp_path / "run")
        path = tmp_path / "run" / "journal.jsonl"
        torn = path.read_bytes()[:-7]
        path.write_bytes(torn)
        reader = store_type(tmp_path / "run", write=False)
        assert self.found(reader, made)[:5] == made[:5]
        assert path.read_bytes() == torn, "the line may be one that a living writer is writing"

    def test_corrupted_line_is_named_and_repaired(
        self, store_type: StoreType, tmp_path: Path
    ) -> None:
        made = self.filled(store_type, tmp_path / "run")
        path = tmp_path / "run" / "journal.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        number = next(i for i, line in enumerate(lines) if made[3].trajectory.key.encode() in line
                      and b'"reply"' in line)  # fmt: skip
        lines[number] = lines[number].replace(b'"parts"', b'"ports"')
        damaged = b"".join(lines)
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=rf"line {number + 1} .*--repair"):
            store_type(tmp_path / "run")
        assert path.read_bytes() == damaged
        seen = self.found(store_type(tmp_path / "run", repair=True), made)
        assert seen == [None if i == 3 else r for i, r in enumerate(made)]
        assert path.with_name("journal.jsonl.damaged").read_bytes() == damaged
        assert self.found(store_type(tmp_path / "run"), made) == seen

    def test_nodes_are_written_once(self, store_type: StoreType, tmp_path: Path) -> None:
        made = self.filled(store_type, tmp_path / "run")
        store = store_type(tmp_path / "run")
        for reply in made:
            store.record(reply, "search", {}, 1.0)
        store.close()
        text = (tmp_path / "run" / "journal.jsonl").read_text()
        keys = [line["node"] for line in map(json.loads, text.splitlines()) if "node" in line]
        assert len(keys) == len(set(keys)) == 3 * 6, "a noise, a start and an end for each"

    def test_blobs(self, store_type: StoreType, tmp_path: Path) -> None:
        store = store_type.create(tmp_path / "run", SPEC)
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        key = store.arrays.put(array)
        assert store.arrays.put(array.copy()) == key and store.arrays.put(array + 1) != key
        assert np.array_equal(store.arrays.get(key), array)
        with pytest.raises(StoreError, match="not complete"):
            store.arrays.get("0" * 32)
        store.close()

    def test_one_writer(self, store_type: StoreType, tmp_path: Path) -> None:
        self.filled(store_type, tmp_path / "run")
        code = (
            "import sys; from pathlib import Path\n"
            "from noisesearch.store.lock import acquire\n"
            "held = acquire(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "run")]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            with pytest.raises(StoreError, match=f"living process {other.pid}"):
                store_type(tmp_path / "run")
            store_type(tmp_path / "run", write=False).close()
            other.kill()
        store_type(tmp_path / "run").close()

    def test_a_folder_is_not_taken_twice(self, store_type: StoreType, tmp_path: Path) -> None:
        self.filled(store_type, tmp_path / "run")
        with pytest.raises(StoreError, match="holds a run already"):
            store_type.create(tmp_path / "run", SPEC)
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "photo.png").write_bytes(b"")
        with pytest.raises(StoreError, match="not empty"):
            store_type.create(tmp_path / "full", SPEC)
        assert [p.name for p in (tmp_path / "full").iterdir() if p.name != "lock"] == ["photo.png"]
        with pytest.raises(StoreError, match="does not exist"):
            store_type(tmp_path / "nowhere")
