"""`run` and `reproduce` as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Tool

SPEC = """
summary = "steps and candidates"
prompts = ["a red circle", "two blue squares"]
[defaults]
model = "shapes-small"
verifier = "vivid.py:vivid"
steps = 2
guidance = 1.0
[[arms]]
name = "random {candidates}"
candidates = [1, 4]
[[claims]]
says = "search makes it more vivid"
column = "vivid"
contrast = { "random 4" = 1, "random 1" = -1 }
more_than = 0
"""


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "spec.toml").write_text(SPEC)
    (folder / "wrong.toml").write_text(SPEC.replace("summary", "sumary"))
    (folder / "armless.toml").write_text(SPEC.replace("[[arms]]", "[about]"))
    (folder / "other_arm.toml").write_text(SPEC.replace('{ "random 4"', '{ "random 5"'))
    (folder / "dear.toml").write_text("most_nfe = 3\n" + SPEC)
    return Tool(folder)


def test_experiments_from_the_shell(tool: Tool) -> None:
    (plan, seen, ran, again, wrong, armless, arm, dear, other, unknown, listed, *reported) = (
        tool.batch(
            ["run", "spec.toml", "--plan", "--json"],
            ["run", "spec.toml", "--plan"],
            ["run", "spec.toml", "--out", "out", "--json"],
            ["run", "spec.toml", "--out", "out"],
            ["run", "wrong.toml", "--out", "none"],
            ["run", "armless.toml", "--out", "none"],
            ["run", "other_arm.toml", "--out", "none"],
            ["run", "dear.toml", "--out", "none"],
            ["run", "spec.toml", "--seeds", "2", "--out", "out"],
            ["reproduce", "fig2"],
            ["list", "experiments", "--json"],
            ["run", "out/experiment.json", "--out", "out"],
            ["run", "nothing.json", "--out", "none"],
            ["run", "out/table.json", "--out", "none"],
            ["report", "out", "--json"],
            ["report", "out/runs"],
        )
    )
    assert plan.json()["nfe"] == 4 * 2 * 2  # of two prompts; the four candidates serve both arms
    assert [line.split()[-2] for line in seen.out.splitlines()[1:3]] == ["2", "8"]  # NFE an image
    assert "in all: 16 NFE in 1 runs" in seen.out
    table = ran.json()
    assert [arm["arm"] for arm in table["arms"]] == ["random 1", "random 4"]
    assert [claim["says"] for claim in table["claims"]] == ["search makes it more vivid"]
    assert table["verdict"] in again.out and "run 1 of" not in again.err
    wrong.refused("unknown experiment key 'sumary': did you mean 'summary'")
    armless.refused("has no arm, so nothing would run; add a table [[arms]]")
    arm.refused("unknown arm 'random 5': did you mean 'random 4'")
    dear.refused("most_nfe allows 3")
    other.refused("holds another experiment, which differs in seeds")
    unknown.refused("unknown experiment 'fig2'")
    assert not (tool.cwd / "none").exists()
    same, lost, none, page, no_run = reported
    assert table["verdict"] in same.out and "run 1 of" not in same.err
    lost.refused("nothing.json cannot be read")
    none.refused("out/table.json holds no experiment")
    assert page.json()["report"] == "out/report.html" and page.err == ""
    no_run.refused("out/runs is not a run")
    assert {"fig1", "table8"} <= {each["name"] for each in listed.json()}
    spec = json.loads((tool.cwd / "out" / "experiment.json").read_text())
    assert set(spec["versions"]) == {"noisesearch", "python", "torch", "numpy"}
    done = json.loads(next((tool.cwd / "out").glob("runs/*/arms.json")).read_text())
    assert any(name.startswith("model ") for name in done["fingerprints"])


def test_an_experiment_is_killed_and_gone_on_with(tool: Tool) -> None:
    """With kill -9, at the first answer that is in the journal."""
    slow = SPEC.replace("vivid.py:vivid", "vivid.py:slow").replace("[1, 4]", "[1, 64]")
    (tool.cwd / "slow.toml").write_text(
        slow.replace('vivid"', 'slow"').replace("random 4", "random 64")
    )
    started = tool.start("run", "slow.toml", "--out", "killed")
    journal: list[Path] = []
    while started.poll() is None:
        journal = [p for p in tool.cwd.glob("killed/runs/*/journal.jsonl")
                   if '"reply"' in p.read_text()]  # fmt: skip
        if journal:
            started.kill()
            started.communicate()
    assert journal, "it was over before it could be killed"
    before = {line for line in journal[0].read_text().splitlines()[:-1] if '"reply"' in line}
    done = tool.run("run", "slow.toml", "--out", "killed", "--json")
    assert [arm["nfe"] for arm in done.json()["arms"]] == [2, 128]
    assert before <= set(journal[0].read_text().splitlines())
