"""Requests that are right: what is printed, what is in the folder, what goes on from there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, Tool, answered, journal, logical, quick
from PIL import Image

PROMPTS = ("a red circle", "two blue squares")
BUDGET = ("--budget", "10candidates", "--seed", "3")
COMMANDS: dict[str, list[object]] = {
    "again": [*quick(*PROMPTS), *BUDGET, "--out", "again", "--json"],
    "file": [*quick("--prompts", "prompts.txt"), *BUDGET, "--out", "file", "--json"],
    "other seed": [*quick(*PROMPTS), *BUDGET, "--out", "other", "--json", "--seed", "4"],
    "unnamed": [*quick(*PROMPTS), *BUDGET],
    "unnamed again": [*quick(*PROMPTS), *BUDGET],
    "plan": [*quick(*PROMPTS), *BUDGET, "--plan", "--json"],
    "plan in words": [*quick(*PROMPTS), *BUDGET, "--plan"],
    "plan random": [*quick(*PROMPTS), *BUDGET, "--algorithm", "random", "--plan", "--json"],
    "random": [*quick(*PROMPTS), *BUDGET, "--algorithm", "random", "--json", "--out", "random"],
    "long final": [
        *quick(*PROMPTS), "--budget", "16", "--final-steps", "4", "--json", "--out", "final",
    ],
    "plan long final": [
        *quick(*PROMPTS), "--budget", "16", "--final-steps", "4", "--json", "--plan",
    ],
    "top": [
        *quick(*PROMPTS), *BUDGET, "--top", "3", "--keep", "winners", "--json", "--out", "top",
    ],
    "resume": ["resume", "run", "--json"],
    "show": ["show", "run", "--json"],
    "show in words": ["show", "run"],
    "verify": ["show", "run", "--verify", "--json"],
    "verify in words": ["show", "run", "--verify"],
    "smaller": ["resume", "run", "--budget", "2candidates"],
    "models": ["list", "models", "--json"],
    "algorithms": ["list", "algorithms", "--json"],
    "solvers": ["list", "solvers", "--json"],
    "words": ["list", "words", "--json"],
    "algorithms in words": ["list", "algorithms"],
    "clock": [
        *quick(*PROMPTS, verifier="vivid.py:slow"),
        "--budget", "1000000", "--seconds", "3", "--json", "--out", "clock",
    ],
    "clock budget": [
        *quick(*PROMPTS, verifier="vivid.py:slow"), "--budget", "2s", "--json", "--out", "clock2",
    ],
    "unconditional": [*quick("--unconditional"), *BUDGET, "--json", "--out", "none"],
}  # fmt: skip


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return Tool(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def first(tool: Tool) -> Done:
    """A run in a process of its own, its stdout and stderr in pipes."""
    return tool.run(*quick(*PROMPTS), *BUDGET, "--out", "run", "--json")


@pytest.fixture(scope="module")
def spent(tool: Tool, first: Done) -> int:
    """Replies in the journal before anything else was done with the run."""
    return len(answered(tool.cwd / "run"))


@pytest.fixture(scope="module")
def done(tool: Tool, first: Done, spent: int) -> dict[str, Done]:
    text = f"\n# a comment\n{PROMPTS[0]}\n\n   {PROMPTS[1]}  \n"
    (tool.cwd / "prompts.txt").write_text(text)
    return dict(zip(COMMANDS, tool.batch(*COMMANDS.values()), strict=True))


def test_json_is_one_object_and_nothing_else(first: Done) -> None:
    content = first.json()
    assert content["run"] == "run"
    assert [s["condition"] for s in content["searches"]] == list(PROMPTS)
    for search in content["searches"]:
        assert {"score", "parts", "trajectory"} <= set(search["baseline"])
        assert {"score", "parts", "trajectory", "image"} <= set(search["winner"])
        assert search["winners"][0] == search["winner"]
        assert search["winner"]["score"] >= search["baseline"]["score"]
        ledger = search["ledger"]
        assert {"nfe", "forwards", "decodes", "seconds", "physical"} <= set(ledger)
        assert ledger["nfe"] == ledger["physical"]["nfe"] == 20
        assert ledger["verifiers"]["vivid"]["samples"] == 10


def test_progress_goes_to_stderr(first: Done) -> None:
    assert "run folder run" in first.err


def test_what_a_verifier_prints_goes_to_stderr(done: dict[str, Done]) -> None:
    assert done["clock"].json()["searches"] and "looking at" in done["clock"].err


def test_no_control_characters_in_a_pipe(first: Done, done: dict[str, Done]) -> None:
    for text in (first.out, first.err, done["unnamed"].out, done["unnamed"].err):
        assert text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\x9b]", text)


def test_folder(tool: Tool, first: Done) -> None:
    folder = tool.cwd / "run"
    for name in ("best.png", "grid.png"):
        with Image.open(folder / name) as image:
            image.verify()
    assert logical(json.loads((folder / "winners.json").read_text())) == logical(first.json())
    assert json.loads((folder / "spec.json").read_text())["seed"] == 3
    samples = {path.stem for path in (folder / "samples").glob("*.png")}
    assert samples == set(answered(folder))
    assert not list(folder.glob(".*"))


def test_the_same_seed_gives_the_same(first: Done, done: dict[str, Done]) -> None:
    assert logical(done["again"].json()) == logical(first.json())
    for search, again in zip(
        first.json()["searches"], done["again"].json()["searches"], strict=True
    ):
        assert search["winner"]["image"] != again["winner"]["image"]


def test_pictures_are_the_same(tool: Tool, first: Done, done: dict[str, Done]) -> None:
    for search in done["again"].json()["searches"]:
        image = Path(search["winner"]["image"])
        assert (tool.cwd / image).read_bytes() == (
            tool.cwd / "run" / "samples" / image.name
        ).read_bytes()


def test_another_seed_gives_others(first: Done, done: dict[str, Done]) -> None:
    for mine, other in zip(
        first.json()["searches"], done["other seed"].json()["searches"], strict=True
    ):
        assert mine["baseline"]["trajectory"] != other["baseline"]["trajectory"]
        assert mine["winner"]["trajectory"] != other["winner"]["trajectory"]


def test_prompts_from_a_file(first: Done, done: dict[str, Done]) -> None:
    assert logical(done["file"].json()) == logical(first.json())


def test_folders_without_a_name(tool: Tool, done: dict[str, Done]) -> None:
    assert done["unnamed"].status == done["unnamed again"].status == 0
    assert done["unnamed"].out.splitlines()[-1] == "pictures: runs/1/grid.png"
    assert done["unnamed again"].out.splitlines()[-1] == "pictures: runs/2/grid.png"
    assert (tool.cwd / "runs/1/grid.png").exists()
    assert sorted(p.name for p in (tool.cwd / "runs").iterdir()) == ["1", "2"]


def test_table(first: Done, done: dict[str, Done]) -> None:
    head, *rows = done["unnamed"].out.splitlines()[:3]
    assert head.split() == ["condition", "baseline", "winner", "gain", "NFE", "parts", "of",
                            "the", "winner"]  # fmt: skip
    for row, search in zip(rows, first.json()["searches"], strict=True):
        assert row.startswith(search["condition"])
        assert f"{search['winner']['score']:.3f}" in row


def test_show_in_words(first: Done, done: dict[str, Done]) -> None:
    searches = first.json()["searches"]
    best, spent = done["show in words"].out.split("\n\n")[:2]
    head, *rows = best.splitlines()
    assert head.split() == ["condition", "baseline", "winner", "gain", "NFE", "vivid"]
    for row, search in zip(rows, searches, strict=True):
        of, to = (search[which]["parts"]["vivid"] for which in ("baseline", "winner"))
        assert row.startswith(search["condition"]) and row.endswith(f" {of:.3f} → {to:.3f}")
    costs = {row.split()[0]: row.split()[1:] for row in spent.splitlines()}
    asked = sum(s["ledger"]["nfe"] for s in searches)
    assert costs["nfe"] == [f"{asked}", f"{sum(s['ledger']['physical']['nfe'] for s in searches)}"]
    samples = sum(s["ledger"]["verifiers"]["vivid"]["samples"] for s in searches)
    assert costs["vivid"][0] == f"{samples}"
    assert "missing" not in done["show in words"].out


@pytest.mark.parametrize(
    "plan, run",
    [("plan", None), ("plan random", "random"), ("plan long final", "long final")],
)
def test_plan_is_what_the_run_costs(
    plan: str, run: str | None, first: Done, done: dict[str, Done]
) -> None:
    planned = done[plan].json()
    assert planned["exact"]
    ran = (first if run is None else done[run]).json()
    names = {"nfe", "forwards", "flops", "decodes", "calls", "tokens", "usd", "backward"}
    for name in names:
        total = sum(s["ledger"][name] for s in ran["searches"])
        assert planned["ledger"][name] == total, name
    samples = sum(s["ledger"]["verifiers"]["vivid"]["samples"] for s in ran["searches"])
    assert planned["ledger"]["verifiers"]["vivid"]["samples"] == samples
    assert planned["baseline"]["nfe"] == sum(
        s["ledger"]["baseline"]["nfe"] for s in ran["searches"]
    )


def test_plan_in_words(done: dict[str, Done]) -> None:
    assert done["plan in words"].status == 0
    assert "nfe: 40" in done["plan in words"].out
    assert done["plan in words"].err == ""


def test_top_winners_are_kept(tool: Tool, done: dict[str, Done]) -> None:
    searches = done["top"].json()["searches"]
    wanted = set()
    for search in searches:
        scores = [w["score"] for w in search["winners"]]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        wanted |= {w["trajectory"] for w in (*search["winners"], search["baseline"])}
    assert {p.stem for p in (tool.cwd / "top/samples").iterdir()} == wanted


def test_resume_of_a_finished_run_computes_nothing(
    tool: Tool, first: Done, spent: int, done: dict[str, Done]
) -> None:
    again = done["resume"].json()
    assert logical(again) == logical(first.json())
    for mine, other in zip(first.json()["searches"], again["searches"], strict=True):
        assert mine["ledger"]["physical"] == other["ledger"]["physical"]
    assert len(answered(tool.cwd / "run")) == spent
    assert f"{spent} answered candidates are kept" in done["resume"].err


def test_show(first: Done, done: dict[str, Done]) -> None:
    assert logical(done["show"].json()) == logical(first.json())


def test_show_verify_finds_no_difference(done: dict[str, Done]) -> None:
    found = done["verify"].json()["verify"]
    assert found["winners"] == 2
    assert found["pixels"] == found["parts"] == 0
    assert "largest difference 0 of 255 in a pixel, 0 in a score" in done["verify in words"].out


def test_extension_goes_on(tool: Tool, first: Done, done: dict[str, Done]) -> None:
    more = [*quick(*PROMPTS), "--seed", "3", "--json", "--budget"]
    # The extended run's last round is whole only where the first budget ended with a round.
    whole, start, longer = tool.batch(
        [*more, "13candidates", "--out", "whole"],
        [*more, "9candidates", "--out", "longer"],
        ["resume", "longer", "--budget", "13candidates", "--json"],
    )
    assert start.status == 0
    assert logical(longer.json()) == logical(whole.json())
    assert len(answered(tool.cwd / "longer")) == len(set(answered(tool.cwd / "longer"))) == 26
    budget = json.loads((tool.cwd / "longer/spec.json").read_text())["budget"]
    assert budget == "13candidates/condition"


def test_a_smaller_budget_is_no_extension(done: dict[str, Done]) -> None:
    done["smaller"].refused("2candidates", "below the 10candidates", "a larger one")


@pytest.mark.parametrize("what", ["models", "algorithms", "solvers", "words"])
def test_lists(what: str, done: dict[str, Done]) -> None:
    rows = done[what].json()
    assert all({"name", "summary"} <= set(row) for row in rows)
    expected = {"models": "shapes", "algorithms": "zero-order", "solvers": "euler",
                "words": "circle"}  # fmt: skip
    assert expected[what] in [row["name"] for row in rows]


def test_list_of_verifiers(tool: Tool) -> None:
    rows = tool.run("list", "verifiers", "--json").json()
    names = [row["name"] for row in rows]
    assert {"clipscore", "aesthetic", "imagereward", "checker", "ensemble"} <= set(names)
    assert all(row["summary"] for row in rows)


def test_list_in_words(done: dict[str, Done]) -> None:
    assert re.search(r"^zero-order +Zero-Order Search", done["algorithms in words"].out, re.M)


@pytest.mark.parametrize("name", ["clock", "clock budget"])
def test_a_clock_ends_a_long_run(name: str, done: dict[str, Done]) -> None:
    content: dict[str, Any] = done[name].json()
    assert content["complete"]
    assert len(content["searches"]) == 2
    for search in content["searches"]:
        assert search["winner"]["score"] >= search["baseline"]["score"]
        assert 0 < search["ledger"]["nfe"] < 1000000


def test_unconditional(done: dict[str, Done]) -> None:
    assert len(done["unconditional"].json()["searches"]) == 1


def test_journal_lines_are_sealed(tool: Tool, first: Done) -> None:
    assert all("crc" in record for record in journal(tool.cwd / "run"))


def test_help_is_light_and_readable(tool: Tool) -> None:
    found = tool.python(
        "import sys\nfrom noisesearch.__main__ import main\n"
        "sys.argv[1:] = ['generate', '--help']\n"
        "try:\n main()\nexcept SystemExit as stop:\n assert not stop.code\n"
        "print([m for m in ('torch', 'numpy', 'PIL') if m in sys.modules])"
    )
    assert found.status == 0, found.err
    *text, heavy = found.out.splitlines()
    assert heavy == "[]"
    assert "Search for the best image of each PROMPT" in found.out
    for option in ("--model", "--verifier", "--algorithm", "--budget", "--seed", "--out"):
        line = next(x for x in text if re.match(rf" +{option}\b", x))
        assert len(line) <= 80


@pytest.mark.slow
def test_the_models_own_verifiers(tool: Tool) -> None:
    done = tool.run(
        "generate", "a red circle", "--budget", "5candidates", "--out", "own", "--json"
    )
    (search,) = done.json()["searches"]
    assert set(search["winner"]["parts"]) == {"clipscore", "aesthetic", "imagereward"}
