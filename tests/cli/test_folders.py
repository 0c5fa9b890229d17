"""Run folders that are damaged, held, foreign, full or not to be written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Tool, answered, logical, quick

from noisesearch import trust

RED = "a red circle"
BUDGET = ("--budget", "10candidates", "--seed", "3", "--json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run and its JSON."""
    tool = Tool(tmp_path_factory.mktemp("whole"))
    content = tool.run(*quick(RED), *BUDGET, "--out", "run").json()
    return tool.cwd / "run", content


@pytest.fixture
def run(tool: Tool, whole: tuple[Path, dict[str, Any]]) -> Path:
    """A copy of it to be damaged."""
    return copied(whole[0], tool.cwd / "run")


def copied(run: Path, to: Path) -> Path:
    """A copy whose verifier, a file of code, may run there too."""
    folder = Path(shutil.copytree(run, to))
    trust(folder)
    return folder


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def respecify(run: Path, **settings: object) -> None:
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, **settings}))


def test_torn_last_line(tool: Tool, run: Path, whole: tuple[Path, dict[str, Any]]) -> None:
    before = answered(run)
    damage(run / "journal.jsonl", lambda data: data[:-40])
    (done,) = tool.batch(["resume", "run", "--json"])
    assert logical(done.json()) == logical(whole[1])
    assert "the last line of the journal was torn" in done.err
    assert f"{len(before) - 1} answered candidates are kept" in done.err
    assert sorted(answered(run)) == sorted(before)


def test_corrupted_line(tool: Tool, run: Path, whole: tuple[Path, dict[str, Any]]) -> None:
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if b'"reply"' in line)
    lines[number] = lines[number].replace(b'"parts"', b'"pants"')
    (run / "journal.jsonl").write_bytes(b"".join(lines))
    bad, kept = tool.batch(["resume", "run"], ["resume", "run", "--repair", "--json"])
    bad.refused(f"line {number + 1} of run/journal.jsonl is corrupted", "nothing was changed",
                "noisesearch resume run --repair")  # fmt: skip
    assert logical(kept.json()) == logical(whole[1])
    assert "1 corrupted lines of the journal were left out" in kept.err
    assert (run / "journal.jsonl.damaged").read_bytes() == b"".join(lines)


def test_other_makings_are_refused(tool: Tool, run: Path) -> None:
    """Another version, other weights, a spec that is not whole, winners that cannot be read."""
    fingerprints = json.loads((run / "spec.json").read_text())["fingerprints"]
    prints = {name: "0123456789abcdef" for name in fingerprints}
    changes: list[tuple[dict[str, object], tuple[str, ...]]] = [
        ({"version": "0.0.1"}, ("noisesearch 0.0.1", "pip install noisesearch==0.0.1")),
        ({"format": 99}, ("format 99",)),
        ({"fingerprints": prints}, ("other weights", "0123456789abcdef", "new run")),
        ({"steps": "many"}, ("spec.json is not complete", "steps", "'many'")),
    ]
    for number, (change, _) in enumerate(changes):
        respecify(copied(run, tool.cwd / f"run{number}"), **change)
    (tool.cwd / "run/winners.json").write_text("{")
    journals = [(tool.cwd / f"run{n}/journal.jsonl").read_bytes() for n in range(len(changes))]
    *done, shown = tool.batch(
        *(["resume", f"run{n}"] for n in range(len(changes))), ["show", "run"]
    )
    for number, (one, (_, words)) in enumerate(zip(done, changes, strict=True)):
        one.refused(*words)
        path = tool.cwd / f"run{number}/journal.jsonl"
        assert path.read_bytes() == journals[number]
    shown.refused("run/winners.json cannot be read", "noisesearch resume run")


def test_a_folder_with_a_run_is_not_written_over(tool: Tool, run: Path) -> None:
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "lock"}
    (done,) = tool.batch([*quick("two blue squares"), *BUDGET, "--out", "run"])
    done.refused("run holds a run already", "noisesearch resume run", "--out")
    after = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "lock"}
    assert after == before


def test_one_writer_at_a_time(tool: Tool) -> None:
    first = tool.start(*quick(RED, verifier="vivid.py:slow"), "--budget", "1000candidates",
                       "--out", "run")  # fmt: skip
    try:
        wait_for(lambda: (tool.cwd / "run/journal.jsonl").exists(), first)
        resumed, made, shown = tool.batch(
            ["resume", "run"], [*quick(RED), "--out", "run"], ["show", "run"]
        )
    finally:
        first.kill()
        first.communicate()
    for done in (resumed, made):
        done.refused(f"run is being written by the living process {first.pid}")
    assert "living" not in shown.err


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk(tool: Tool, small_disk: Path, whole: tuple[Path, dict[str, Any]]) -> None:
    (small_disk / "ballast").write_bytes(b"x" * 48 * 1024)
    full = tool.run(*quick(RED), *BUDGET, "--out", "small/run")
    full.refused("the disk is full", "noisesearch resume small/run", "is kept")
    kept = len(answered(small_disk / "run"))
    (small_disk / "ballast").unlink()
    copied(small_disk / "run", tool.cwd / "run")
    done = tool.run("resume", "run", "--json")
    assert logical(done.json()) == logical(whole[1])
    assert f"{kept} answered candidates are kept" in done.err


@pytest.mark.parametrize("limit", [pytest.param(1500, marks=pytest.mark.slow), 6000])
def test_files_may_not_grow(tool: Tool, limit: int, whole: tuple[Path, dict[str, Any]]) -> None:
    """A limit on the size of files: the journal's lines stay whole."""
    process = tool.start(
        *quick(RED), *BUDGET, "--out", "run",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert out == ""
    assert "no file may grow that large" in err
    assert "Traceback" not in err
    assert "noisesearch resume run" in err
    kept = answered(tool.cwd / "run")
    done = tool.run("resume", "run", "--json")
    assert logical(done.json()) == logical(whole[1])
    assert f"{len(kept)} answered candidates are kept" in done.err
    assert "torn" not in done.err


def test_read_only_file_system(tool: Tool, small_disk: Path, run: Path) -> None:
    options = ["mount", "-o", "remount,ro", str(small_disk)]
    (small_disk / "spec.json").write_bytes((run / "spec.json").read_bytes())
    trust(small_disk)
    subprocess.run(options, check=True)
    made, resumed = tool.batch([*quick(RED), *BUDGET, "--out", "small/run"], ["resume", "small"])
    made.refused("cannot write small/run", "may not be written")
    resumed.refused("cannot write small", "may not be written")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_read_only_folder(tool: Tool, run: Path) -> None:
    closed = tool.cwd / "closed"
    closed.mkdir()
    for folder in (closed, run):
        folder.chmod(0o555)
    made, resumed = tool.batch([*quick(RED), *BUDGET, "--out", "closed/run"], ["resume", "run"])
    made.refused("cannot write closed/run", "may not be written")
    # The lock is there already, so it opens; what is new in the folder does not.
    assert resumed.status == 2
    assert "may not be written" in resumed.err
