"""`show` of a picture, and exports of data, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Done, Tool, quick

COMMANDS: dict[str, list[object]] = {
    "run": [*quick("a red circle"), "--budget", "5candidates", "--out", "run", "--json"],
    "picture": ["show", "run/best.png"],
    "picture json": ["show", "run/best.png", "--json"],
    "again": ["show", "run/best.png", "--remake", "again.png"],
    "again from code": ["show", "run/best.png", "--remake", "b.png", "--model", "none.py:Model"],
    "verify a picture": ["show", "run/best.png", "--verify"],
    "remake a run": ["show", "run", "--remake", "again.png"],
    "model alone": ["show", "run", "--model", "shapes"],
    "a text": ["show", "run/spec.json"],
    "candidates": ["export", "run", "--format", "csv"],
    "pairs": ["export", "run", "--format", "preferences", "--out", "p.jsonl", "--json"],
    "both": ["export", "run", "--format", "csv", "--latents"],
    "comfyui": ["export", "run", "--format", "csv", "--comfyui"],
    "margin": ["export", "run", "--latents", "--margin", "1"],
    "unknown": ["export", "run", "--format", "xlsx"],
    "no run": ["export", "nothing", "--format", "csv"],
}


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return Tool(tmp_path_factory.mktemp("looking"))


@pytest.fixture(scope="module")
def done(tool: Tool) -> dict[str, Done]:
    return dict(zip(COMMANDS, tool.batch(*COMMANDS.values()), strict=True))


def test_a_picture(tool: Tool, done: dict[str, Done]) -> None:
    (search,) = done["run"].json()["searches"]
    lines = dict(line.split(": ", 1) for line in done["picture"].out.splitlines())
    assert lines["condition"] == "a red circle"
    assert lines["model"] == "shapes"
    assert lines["trajectory"] == search["winner"]["trajectory"]
    assert lines["scores"] == f"vivid {search['winner']['parts']['vivid']:.3f}"
    assert lines["make it again"] == "noisesearch show run/best.png --remake again.png"
    content = done["picture json"].json()
    assert content["parts"] == search["winner"]["parts"]
    assert content["recipe"][-1]["node"] == search["winner"]["trajectory"]


def test_a_picture_made_again(tool: Tool, done: dict[str, Done]) -> None:
    assert "again.png; largest difference 0 of 255 in a pixel" in done["again"].out
    (search,) = done["run"].json()["searches"]
    winner = tool.cwd / "run" / "samples" / Path(search["winner"]["image"]).name
    assert (tool.cwd / "again.png").read_bytes() == winner.read_bytes()


def test_data(tool: Tool, done: dict[str, Done]) -> None:
    assert done["candidates"].out == "5 candidates: run/candidates.csv\n"
    assert len((tool.cwd / "run/candidates.csv").read_text().splitlines()) == 6
    assert done["pairs"].json() == {"file": "p.jsonl", "rows": 1, "skipped": []}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("again from code", ("none.py",)),
        ("verify a picture", ("run/best.png is a file", "--remake")),
        ("remake a run", ("--remake belongs to a picture", "--verify")),
        ("model alone", ("--model belongs to --remake",)),
        ("a text", ("run/spec.json cannot be read", "one of its pictures")),
        ("both", ("say what to export: --latents",)),
        ("comfyui", ("--comfyui writes latents",)),
        ("margin", ("--margin", "belong to --format")),
        ("unknown", ("unknown format 'xlsx'", "parquet")),
        ("no run", ("nothing does not exist",)),
    ],
)
def test_wrong_requests(name: str, words: tuple[str, ...], done: dict[str, Done]) -> None:
    done[name].refused(*words)
