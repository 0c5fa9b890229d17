"""Runs that ask a person, answered as people do: typed, and with `noisesearch answer`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable

from command_line import Tool, quick

SETTINGS = ("--budget", "5candidates", "--out", "run", "--json")


def until(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not there():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.05)


def test_in_the_terminal(tool: Tool) -> None:
    """Ctrl-C at a question ends at once; the resume asks it again and hears what is typed."""
    keyboard, terminal = pty.openpty()
    process = tool.start(*quick("a red circle", verifier="human"), *SETTINGS, stdin=terminal)
    until((tool.cwd / "run" / "human" / "q1" / "5.png").exists, process)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "go on with: noisesearch resume run" in err and "Fatal" not in err
    process = tool.start("resume", "run", "--json", stdin=terminal)
    os.write(keyboard, b"6\n2\n")
    out, err = process.communicate(timeout=120)
    os.close(keyboard)
    os.close(terminal)
    assert process.returncode == 0, err
    assert "there is no 6; " in err and "searching: 12/" not in err
    (search,) = json.loads(out)["searches"]
    assert search["winner"]["parts"] == {"human": 0} and search["baseline"]["score"] == -1
    assert search["ledger"]["verifiers"]["human"]["questions"] == 1


def test_from_another_terminal(tool: Tool) -> None:
    process = tool.start(*quick("a red circle", "two blue squares", verifier="human"), *SETTINGS)
    until((tool.cwd / "run" / "human" / "q2" / "5.png").exists, process)
    listed, table, *wrong = tool.batch(
        ("answer", "run", "--json"),
        ("answer", "run"),
        ("answer", "run", "q1"),
        ("answer", "run", "q1=6"),
        ("answer", "run", "q1=1", "q7=1"),
        ("answer", "elsewhere", "q1=1"),
    )
    asked = listed.json()
    assert [row["condition"] for row in asked] == ["a red circle", "two blue squares"]
    assert all((tool.cwd / path).is_file() for path in asked[1]["pictures"].values())
    assert table.status == 0 and "q2 (two blue squares):" in table.out
    assert "answer with: noisesearch answer run q2=ANSWER" in table.err
    for done, why in zip(
        wrong,
        ("must be written QUESTION=ANSWER", "there is no 6", "'q7' is not asked; open in run are: "
         "q1, q2", "elsewhere does not exist"),
        strict=True,
    ):  # fmt: skip
        done.refused(why)
    one, two = tool.batch(("answer", "run", "q1=3"), ("answer", "run", "q2=2,1"))
    assert one.status == two.status == 0 and "answered: q1; " in one.err
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    winners = [search["winner"]["parts"]["human"] for search in json.loads(out)["searches"]]
    assert winners == [0, 0]
    late, none = tool.batch(("answer", "run", "q1=1"), ("answer", "run"))
    late.refused("question 'q1' is answered already; open in run are: none")
    assert none.status == 0 and none.out == "" and "nothing is asked in run" in none.err
