"""A small experiment for the tests of its page: steps, searches, a verifier that nobody asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noisesearch.experiments import outcome
from noisesearch.experiments.campaign import Campaign
from noisesearch.experiments.spec import experiment

MODEL = "noisesearch.testing.mixture_model:MixtureModel"
PROMPTS = [f"prompt {i}" for i in range(12)]
VERIFIERS = """
def light(images, conditions):
    return images.mean((1, 2, 3))

def dark(images, conditions):
    return -images.mean((1, 2, 3))
"""


def campaign(folder: Path, **changes: Any) -> Campaign:
    """Two steps arms, three sizes of a search, and one of another verifier, over two seeds."""
    file = folder / "two.py"
    file.write_text(VERIFIERS)
    content: dict[str, Any] = {
        "summary": "steps and candidates",
        "question": "Is it better to search?",
        "finding": "It is.",
        "prompts": PROMPTS,
        "seeds": 2,
        "defaults": {"model": MODEL, "verifier": f"{file}:light"},
        "arms": [
            {"name": "steps {steps}", "line": "more steps", "candidates": 1, "steps": [6, 3]},
            {"name": "random {candidates}", "candidates": [8, 2, 4], "steps": 3},
            {"name": "darker", "verifier": f"{file}:dark", "candidates": 4, "steps": 3},
        ],
        "measure": {"columns": [f"{file}:light"]},
        "plot": {"y": ["light"]},
        "claims": [
            {"says": "eight are lighter than two", "column": "light", "more_than": 0,
             "contrast": {"random 8": 1, "random 2": -1}},
            {"says": "dark is light", "column": "light", "more_than": 0,
             "contrast": {"darker": 1, "random 8": -1}},
        ],
    }  # fmt: skip
    return Campaign(experiment({**content, **changes}))


def finished(folder: Path, name: str = "done", **changes: Any) -> Path:
    """A folder with its results, as the command leaves it."""
    whole = campaign(folder, **changes)
    whole.run(folder / name)
    outcome.write(outcome.outcome(whole, folder / name), folder / name)
    return folder / name
