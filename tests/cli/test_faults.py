"""A process that is killed, or whose disk fails, at a change of its run folder: it can go on."""

from __future__ import annotations

import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import VIVID, answered, journal, logical

from noisesearch.files.writing import leftover
from noisesearch.store.run_store import RunStore
from noisesearch.testing.faults import (
    FULL,
    KILL,
    READ_ONLY,
    Ended,
    Fault,
    Ordeal,
    command,
    kind,
    suffer,
)

SPEC = {"format": 1}
PAID = """
import os, signal
from pathlib import Path
from noisesearch.verifiers.slow_verifier import SlowReply, SlowVerifier

class Paid(SlowVerifier):
    name, parts, paid, lanes = "paid", ("bright",), True, 2

    def look(self, looks):
        with Path("calls.txt").open("a") as calls:
            calls.writelines(look.key + "\\n" for look in looks)
        if len(Path("calls.txt").read_text().split()) >= int(Path("dies").read_text()):
            os.kill(os.getpid(), signal.SIGKILL)
        return [SlowReply({"bright": float(look.picture.mean())}, {"usd": 0.25}) for look in looks]

SERVICE = Paid()
"""


def request(*more: str, verifier: str = "vivid.py:vivid") -> list[str]:
    return ["a red circle", "two blue squares", "--steps", "2", "--guidance", "1", "--rows", "4",
            "--seed", "5", "--verifier", verifier, *more]  # fmt: skip


# With a blob from the start, and with one made at every round.
REQUESTS = {
    "zero-order": request("--algorithm", "zero-order", "--budget", "12candidates",
                          "--start-latents", "start.npy", "--top", "2"),
    "first-order": request("--algorithm", "first-order", "--budget", "60",
                           verifier="aesthetic"),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the requests name."""
    cwd = tmp_path_factory.mktemp("faults")
    (cwd / "vivid.py").write_text(VIVID)
    (cwd / "paid.py").write_text(PAID)
    np.save(cwd / "start.npy", np.random.default_rng(0).normal(size=(3, 32, 32)).astype("f4"))
    return cwd


@pytest.fixture(scope="module")
def wholes(place: Path) -> dict[str, Any]:
    """What a run is that nothing befalls, made when it is first asked for."""
    return {}


def whole(name: str, place: Path, wholes: dict[str, Any]) -> Any:
    if name not in wholes:
        ordeal = Ordeal(place, REQUESTS[name], name=f"whole-{name}")
        wholes[name] = logical(ordeal.finish())
    return wholes[name]


def report(place: Path, name: str) -> str:
    """The page of a finished run."""
    ended = suffer(command, "report", name, cwd=place, folder=place / name)
    assert ended.status == 0, ended.err
    return (place / name / "report.html").read_text("utf-8")


def refused(ended: Ended) -> str:
    """The one sentence of a process whose disk failed."""
    assert ended.status == 2, (ended.status, ended.err)
    assert "Traceback" not in ended.err and ended.out == ""
    (sentence,) = [x for x in ended.err.splitlines() if x.startswith("noisesearch: ")]
    return sentence


def make(folder: str) -> None:
    """A run that has all that one can begin with."""
    RunStore.create(
        Path(folder), SPEC, arrays=[np.ones(3, np.float32)], files={"inputs/image.png": b"png"}
    ).close()


def test_a_run_is_made_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """Killed at every change in turn, half of each write done."""
    struck, step = "", 0
    while struck or not step:
        step += 1
        folder = tmp_path / str(step)
        fault = Fault(KILL, step, 0.5)
        struck = suffer(make, str(folder), cwd=tmp_path, folder=folder, fault=fault).struck
        if not (folder / "spec.json").exists():
            make(str(folder))
        else:
            RunStore(folder).close()
        files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        (blob,) = (folder / "blobs").iterdir()
        assert files == sorted(
            [f"blobs/{blob.name}", "inputs/image.png", "journal.jsonl", "lock", "spec.json"]
        ), struck
        assert np.array_equal(np.load(blob), np.ones(3))
        assert (folder / "inputs/image.png").read_bytes() == b"png"
    assert step > 12, "the kills met what is made"


def check(run: Ordeal, place: Path, wholes: dict[str, Any], name: str) -> Any:
    """The run goes on to the winners and the ledger of one that nothing befell."""
    content = run.finish()
    assert logical(content) == whole(name, place, wholes)
    assert (run.tally.lost, run.tally.again) == (0, 0), run.tally
    for search in content["searches"]:
        for unit, count in search["ledger"]["physical"].items():
            assert count >= search["ledger"].get(unit, 0), "what ran in vain is counted too"
    return content


def killed(name: str, seed: int, count: int, place: Path, wholes: dict[str, Any]) -> None:
    """A run killed so many times, and then its report."""
    dice = random.Random(f"{name} {seed}")
    run = Ordeal(place, REQUESTS[name], name=f"{name}-{seed}")
    run.kills(dice, count)
    check(run, place, wholes, name)
    page = report(place, run.name)
    run.kills(dice, max(1, count // 4), "report", run.name, most=3)
    assert (run.folder / "report.html").read_text("utf-8") == page, "the old one, or the new one"
    assert run.tally.struck.total() > count // 2, "the kills met the run"
    assert {kind(p.name) for p in run.folder.iterdir() if half(p)} <= {"report.html"}
    run.finish()
    assert not [p for p in run.folder.rglob("*") if half(p)], "nothing half written is left"


def half(path: Path) -> bool:
    return leftover(path) is not None


def test_kills(place: Path, wholes: dict[str, Any]) -> None:
    killed("zero-order", 0, 3, place, wholes)


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_many_kills(name: str, place: Path, wholes: dict[str, Any]) -> None:
    killed(name, 1, 10, place, wholes)


@pytest.mark.parametrize(
    ("fault", "steps"),
    [(FULL, [25]), (READ_ONLY, [25])]
    + [pytest.param(fault, [1, 4, 12, 40, 60], marks=pytest.mark.slow)
       for fault in (FULL, READ_ONLY)],
)  # fmt: skip
def test_a_disk_that_fails(
    fault: str, steps: list[int], place: Path, wholes: dict[str, Any]
) -> None:
    """It becomes full, or can only be read from some moment on: one sentence, nothing lost."""
    run = Ordeal(place, REQUESTS["zero-order"], name=f"{fault}-{steps[-1]}")
    for step in steps:
        ended = run.strike(Fault(fault, step, 0.5 * (fault == FULL)))
        said = refused(ended)
        assert ("the disk is full" if fault == FULL else "it may not be written") in said
        there = (run.folder / "spec.json").exists()
        assert (f"noisesearch resume {run.name}" in said) == there, said
    check(run, place, wholes, "zero-order")


def test_paid_looks_that_a_kill_loses(place: Path) -> None:
    """The journal says that a service is asked before it is; a resume says how many answers
    never came."""
    more = ("--algorithm", "random", "--budget", "8candidates")
    run = Ordeal(place, request(*more, verifier="paid.py:SERVICE"), name="paid")
    lost = 0
    for dies in ("1", "5", "1000"):
        (place / "dies").write_text(dies)
        ended = run.strike(Fault(KILL, 10**6))
        assert ended.status == (-signal.SIGKILL if dies != "1000" else 0), ended.err
        assert (f"was asked {lost} times" in ended.err) == (lost > 0), ended.err
        lines = journal(run.folder)
        calls = (place / "calls.txt").read_text().split()
        asked = [key for line in lines if line.get("event") == "asking" for key in line["of"]]
        replies = [line["reply"] for line in lines if "reply" in line]
        assert not Counter(calls) - Counter(asked), "asked before the journal knew"
        if dies != "1000":
            assert len(asked) - len(replies) > lost, "the kill came while answers were due"
            lost = len(asked) - len(replies)
    usd = sum(s["ledger"]["usd"] for s in run.finish()["searches"])
    assert usd == 0.25 * len(answered(run.folder)), "what was answered"
