"""`run PROMPTS` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import QUICK, Tool

PROMPTS = ("a red circle", "two blue squares", "a green ring")
SEARCH = ("--verifier", "vivid.py:vivid", "--budget", "3candidates", "--seed", "3", *QUICK)


def test_files_of_prompts_from_the_shell(tool: Tool) -> None:
    (tool.cwd / "p.jsonl").write_text("".join(json.dumps({"text": p}) + "\n" for p in PROMPTS))
    (tool.cwd / "p.txt").write_text("\n".join(PROMPTS))
    (tool.cwd / "e.toml").write_text("summary = 'x'\n[[arms]]\nname = 'a'\n")
    prompts = ["run", "p.jsonl", "--column", "text", *SEARCH]
    (plan, done, again, one, column, option, twice, seeds, clock, of_experiment, unknown,
     misplaced) = tool.batch(
        [*prompts, "--plan", "--json"],
        [*prompts, "--shard", "2", "--out", "out", "--json"],
        [*prompts, "--shard", "2", "--out", "out"],
        ["generate", *PROMPTS, *SEARCH, "--out", "one", "--json"],
        ["run", "p.jsonl", *SEARCH],
        ["run", "p.txt", *SEARCH, "--budgets", "3"],
        ["run", "p.txt", "a red circle", *SEARCH],
        ["run", "p.txt", "--seeds", "2", *SEARCH],
        ["run", "p.txt", "--seconds", "2", *SEARCH],
        ["run", "e.toml", "--shard", "2"],
        ["run", "e.toml", "--model", "shapes"],
        ["run", "--model", "shapes", "p.txt"],
    )  # fmt: skip
    assert plan.json()["prompts"] == 3 and plan.json()["ledger"]["nfe"] == 3 * 3 * 2
    found = done.json()
    assert found["complete"] and (found["prompts"], found["shards"]) == (3, 2)
    assert "shard 2 of 2" in done.err and "goes on" in done.err
    assert again.status == 0 and "3 of 3 prompts" in again.out and "shard 1" not in again.err
    files = sorted((tool.cwd / "out" / "results").iterdir())
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    searches = one.json()["searches"]
    assert [(r["prompt"], r["score"], r["trajectory"]) for r in rows] == [
        (s["condition"], s["winner"]["score"], s["winner"]["trajectory"]) for s in searches
    ]
    kept = {path.name for path in (tool.cwd / "out").glob("shards/*/samples/*.png")}
    assert kept == {Path(r[name]).name for r in rows for name in ("image", "baseline_image")}
    column.refused("line 1 of p.jsonl: it has no 'prompt'")
    assert option.status == 2 and "No such option" in option.err
    twice.refused("prompts come from p.txt", "'a red circle' is one too many")
    seeds.refused("--seeds belongs to an experiment")
    clock.refused("seconds would cut", "30s/condition")
    of_experiment.refused("--shard belongs to a file of prompts")
    unknown.refused("--model belongs to a file of prompts")
    misplaced.refused("stands where the file must be")
    assert not (tool.cwd / "runs").exists(), "what is refused leaves nothing behind"
