"""Ctrl-C and kill -9 at any moment: nothing is lost and nothing is different."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import Tool, answered, logical, quick

ALGORITHMS = ("zero-order", "random")


def request(algorithm: str, out: str) -> list[object]:
    return [
        *quick("a red circle", "two blue squares", verifier="vivid.py:slow"), "--seed", "5",
        "--algorithm", algorithm, "--budget", "40candidates", "--rows", "4", "--out", out,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What uninterrupted runs give, by algorithm."""
    tool = Tool(tmp_path_factory.mktemp("whole"))
    done = tool.batch(*([*request(name, name), "--json"] for name in ALGORITHMS))
    return {name: one.json() for name, one in zip(ALGORITHMS, done, strict=True)}


def wait_for_replies(folder: Path, number: int, process: subprocess.Popen[str]) -> None:
    """Until the journal has so many replies or the process has ended."""
    path = folder / "journal.jsonl"
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        if path.exists() and path.read_bytes().count(b'"reply":') >= number:
            return
        time.sleep(0.002)
    assert process.poll() is not None, "the search does not get on"


@pytest.mark.parametrize(
    "algorithm", ["zero-order", pytest.param("random", marks=pytest.mark.slow)]
)
def test_interrupt(tool: Tool, algorithm: str, whole: dict[str, dict[str, Any]]) -> None:
    process = tool.start(*request(algorithm, "run"), "--json")
    wait_for_replies(tool.cwd / "run", 9, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "noisesearch: interrupted; the best so far is saved in run" in err
    assert "go on with: noisesearch resume run" in err
    content = json.loads(out)
    assert not content["complete"]
    assert content["searches"]
    for search in content["searches"]:
        assert (tool.cwd / search["winner"]["image"]).exists()
    for name in ("best.png", "grid.png", "winners.json"):
        assert (tool.cwd / "run" / name).exists()
    shown, resumed = tool.batch(["show", "run", "--json"], ["resume", "run", "--json"])
    assert logical(shown.json()) == logical(content)
    same(resumed.json(), whole[algorithm], tool.cwd / "run")


def test_interrupt_before_anything_is_there(tool: Tool) -> None:
    process = tool.start(*request("random", "run"))
    wait_for_replies(tool.cwd / "run", 0, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "noisesearch: interrupted" in err


def same(content: dict[str, Any], whole: dict[str, Any], folder: Path) -> None:
    """Winners and logical ledgers are equal, and nothing was computed that was journalled."""
    assert content["complete"]
    assert logical(content) == logical(whole)
    keys = answered(folder)
    assert len(keys) == len(set(keys)) == 80
    for search in content["searches"]:
        for unit, count in search["ledger"]["physical"].items():
            assert count >= search["ledger"][unit]


def kill_and_resume(tool: Tool, algorithm: str, kills: int, dice: random.Random) -> int:
    """The number of kills that met a living process; the run is whole afterwards or killed."""
    met = 0
    command: list[object] = request(algorithm, "run")
    for _ in range(kills):
        have = len(whole_replies(tool.cwd / "run"))
        process = tool.start(*command)
        if dice.random() < 0.9:
            wait_for_replies(tool.cwd / "run", have + dice.randint(0, 12), process)
        time.sleep(dice.uniform(0, 0.1))
        met += process.poll() is None
        # Its group too; the process is not yet waited for, so the group's number is its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if (tool.cwd / "run/spec.json").exists():
            command = ["resume", "run"]
    return met


def whole_replies(folder: Path) -> list[str]:
    path = folder / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if '"reply":' in line and line.endswith("\n")]


@pytest.mark.slow
def test_kills(tool: Tool, whole: dict[str, dict[str, Any]]) -> None:
    assert kill_and_resume(tool, "zero-order", 5, random.Random(1)) >= 3
    done = tool.run("resume", "run", "--json")
    same(done.json(), whole["zero-order"], tool.cwd / "run")


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("number", range(5))
def test_many_kills(
    tool: Tool, algorithm: str, number: int, whole: dict[str, dict[str, Any]]
) -> None:
    assert kill_and_resume(tool, algorithm, 5, random.Random(f"{algorithm} {number}")) >= 3
    done = tool.run("resume", "run", "--json")
    same(done.json(), whole[algorithm], tool.cwd / "run")
