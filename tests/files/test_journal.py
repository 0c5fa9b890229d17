"""A long run's journal: it grows with the replies and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from noisesearch import ZeroOrder
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.errors import StoreError
from noisesearch.files.journal import seal, unseal
from noisesearch.files.writing import replace
from noisesearch.store.run_store import RunStore
from noisesearch.testing import Bench
from noisesearch.testing.bench import MadeUp

ROUNDS = 2000


def test_a_journal_grows_linearly(tmp_path: Path) -> None:
    """2,000 zero-order rounds: the pivot of each is a node on the pivot before it."""
    path = tmp_path / "run" / "journal.jsonl"
    sizes: list[int] = []

    def number(_: Trajectory, i: int) -> Mapping[str, float]:
        if i % 4 == 1:  # the first of a round; 0 is the first pivot itself
            sizes.append(path.stat().st_size)
        return {"brightness": 0.3 + (i * 0.618034) % 1, "evenness": 0.7 - (i * 0.7548777) % 1}

    # The pivot moves at every round: chains of 2,000 nodes.
    bench = Bench(tmp_path, ZeroOrder(pivot="move"), prompts=["one"])
    parts = bench.parts(budget=f"{4 * ROUNDS}candidates")
    outcome = bench.run("run", parts, wrap=lambda _: MadeUp(number))
    (live,) = outcome.searches
    assert len(live.record.replies) == 4 * ROUNDS
    chain = (live.record.winners or ())[0].noise
    depth = 0
    while chain.children:
        chain, depth = chain.children[0], depth + 1
    assert depth == ROUNDS
    per_round = [(sizes[n - 1] - sizes[0]) / n for n in (500, 1000, 2000)]
    # Times and counts are a few digits longer towards the end, nothing else.
    assert max(per_round) / min(per_round) < 1.03, per_round
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    keys = [line["node"] for line in lines if "node" in line]
    assert len(keys) == len(set(keys)), "every node once"
    store = RunStore(tmp_path / "run", write=False)
    assert (
        store.graph().trajectory((live.record.winners or ())[0].key).noise.key
        == (live.record.winners or ())[0].noise.key
    )


def test_seals() -> None:
    record: dict[str, Any] = {"text": 'a "quoted", é\n\r\u2028 line', "n": 0.1, "crc": "mine"}
    line = seal(record)
    assert line.count(b"\n") == 1 and line.endswith(b"\n") and len(line.splitlines()) == 1
    assert unseal(line) == {**record, "crc": "mine"}
    for i in range(len(line) - 1):
        assert unseal(line[:i] + bytes([line[i] ^ 1]) + line[i + 1 :]) is None, i
    assert unseal(b"") is None and unseal(b"{}\n") is None


def test_a_skimmed_node_is_its_key() -> None:
    """And a line that is not whole is none, however it is read."""
    node, reply = seal({"node": "a" * 32, "op": "gaussian"}), seal({"reply": "b", "parts": {}})
    assert unseal(node, skim=True) == {"node": "a" * 32}
    assert unseal(reply, skim=True) == {"reply": "b", "parts": {}}
    assert unseal(node.replace(b"gaussian", b"gaussiam"), skim=True) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is a folder; give the name of a file"),
        ("there", "it is a folder; give the name of a file"),
        ("é" * 300, "… is longer than names may be here; give a shorter one"),
        ("no/such", "cannot write no/such: the system says no such file or directory"),
    ],
)
def test_files_that_cannot_be_written(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(StoreError, match=why):
        replace(Path(name), b"x")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"], "nothing is left of the try"
