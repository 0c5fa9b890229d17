"""Algorithms and verifiers from files: runs go on from any folder, and no path enters a seed."""

from __future__ import annotations

from pathlib import Path

import pytest

import noisesearch as ns
from noisesearch.testing.mixture_model import MixtureModel

SOURCE = """
from noisesearch import score

def first(problem):
    replies = yield [score(problem.sample(problem.noise(i))) for i in range(3)]
    near = problem.seed("anything", 0)
    assert near >= 0
    return [replies[problem.seed("pick") % 3].trajectory]

def bright(images, conditions):
    return images.mean((1, 2, 3))
"""


def test_resumed_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winners = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.py").write_text(SOURCE)
        monkeypatch.chdir(folder)
        model = MixtureModel()
        ns.search(
            ["one"], model=model, algorithm="mine.py:first", verifier="mine.py:bright",
            budget="3candidates", out="run",
        )  # fmt: skip
        monkeypatch.chdir(tmp_path)
        again = ns.resume(f"{name}/run", model=model)
        winners.append(again[0].winner.trajectory)
    assert winners[0] == winners[1], "the folder of a file is no part of its seeds"
