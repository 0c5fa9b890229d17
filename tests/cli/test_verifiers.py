"""Verifiers that fail, and verifiers that were Python objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Done, Tool, answered, logical, quick

RED = "a red circle"
BUDGET = ("--algorithm", "random", "--budget", "20candidates", "--seed", "3", "--json")
BAD = '''
import torch

calls = 0

def raises(images, conditions):
    raise RuntimeError("no paper left")

def short(images, conditions):
    return images.mean(dim=(1, 2, 3))[1:]

def nan(images, conditions):
    return images.mean(dim=(1, 2, 3)) * float("nan")

def strings(images, conditions):
    return ["good"] * len(images)

def nothing(images, conditions):
    return None

def once(images, conditions):
    """No number for the best row of the first batch."""
    global calls
    calls += 1
    scores = images.std(dim=(1, 2, 3)) * 10
    if calls == 1:
        scores[scores.argmax()] = float("nan")
    return scores
'''
REASONS = {
    "raises": ("RuntimeError: no paper left",),
    "short": ("numbers for", "images", "(19,)"),
    "nan": ("gave nan",),
    "strings": ("numbers", "<U4"),
    "nothing": ("numbers", "object"),
}


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    tool = Tool(tmp_path_factory.mktemp("verifiers"))
    (tool.cwd / "bad.py").write_text(BAD)
    return tool


@pytest.fixture(scope="module")
def done(tool: Tool) -> dict[str, Done]:
    commands = {
        name: [*quick(RED, verifier=f"bad.py:{name}"), *BUDGET, "--out", name]
        for name in (*REASONS, "once")
    }
    commands["good"] = [*quick(RED), *BUDGET, "--out", "good"]
    commands["again"] = ["resume", "once", "--json"]
    commands["retry"] = ["resume", "once", "--retry-failed", "--json"]
    return dict(zip(commands, tool.batch(*commands.values()), strict=True))


@pytest.mark.parametrize("name", REASONS)
def test_a_verifier_that_fails_ends_the_run(name: str, tool: Tool, done: dict[str, Done]) -> None:
    done[name].refused(
        f"part {name!r} is missing in 20 of 20", f"noisesearch resume {name} --retry-failed",
        *REASONS[name],
    )  # fmt: skip
    assert len(answered(tool.cwd / name)) == 20


def test_a_failed_reply_ranks_last(tool: Tool, done: dict[str, Done]) -> None:
    (good,) = done["good"].json()["searches"]
    (once,) = done["once"].json()["searches"]
    assert once["winner"]["score"] < good["winner"]["score"]
    assert once["ledger"]["nfe"] == good["ledger"]["nfe"]
    assert "1 of 20 candidates have no score 'once'" in done["once"].err
    assert "gave nan" in done["once"].err
    assert "--retry-failed" in done["once"].err


def test_a_failure_is_remembered(done: dict[str, Done]) -> None:
    assert logical(done["again"].json()) == logical(done["once"].json())
    assert "1 of 20 candidates have no score" in done["again"].err


def test_failed_replies_are_asked_again(tool: Tool, done: dict[str, Done]) -> None:
    (good,) = done["good"].json()["searches"]
    # The file is imported anew, so its first call leaves a hole again: that one row's.
    (retry,) = done["retry"].json()["searches"]
    assert len(answered(tool.cwd / "once")) == 21
    assert retry["ledger"]["nfe"] == good["ledger"]["nfe"]
    assert retry["ledger"]["physical"]["nfe"] == good["ledger"]["nfe"], "its picture is there"


MADE_IN_PYTHON = """
import noisesearch as ns
def bright(images, conditions):
    return images.mean(dim=(1, 2, 3))
def mine(problem):
    yield [ns.score(problem.sample(problem.noise(i))) for i in range(4)]
    return []
settings = dict(budget=16, seed=1, steps=2, guidance=1)
ns.search("a red circle", verifier=[bright, "vivid.py:vivid"], out="one", **settings)
ns.search("a red circle", verifier=bright, algorithm=mine, out="both", **settings)
ns.search("a red circle", verifier="vivid.py:vivid", algorithm=ns.ZeroOrder(cosine=0.9),
          out="known", **settings)
results = ns.resume("one", verifier=bright)
print(len(results), results[0].winner.trajectory)
try:
    ns.search("a red circle", verifier=[lambda i, c: i, lambda i, c: i], **settings)
except ns.ConfigError as error:
    print(error)
"""


def test_python_objects_are_resumed_from_python(tool: Tool) -> None:
    made = tool.python(MADE_IN_PYTHON)
    assert made.status == 0, made.err
    resumed, twice = made.out.splitlines()
    assert "two verifiers are named 'verifier'" in twice
    one, verify, both, known, shown = tool.batch(
        ["resume", "one"], ["show", "one", "--verify"], ["resume", "both"],
        ["resume", "known", "--json"], ["show", "one", "--json"],
    )  # fmt: skip
    for done in (one, verify):
        done.refused("verifier 'bright'", "from Python: noisesearch.resume('one', verifier=…)")
    both.refused("verifier 'bright'", "algorithm 'mine'", "verifier=…, algorithm=…")
    assert Path(known.json()["run"]).name == "known"
    assert shown.json()["searches"][0]["winner"]["trajectory"] == resumed.split()[1]
