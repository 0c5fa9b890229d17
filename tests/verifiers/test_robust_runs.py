"""Whole runs of a thousand candidates whose verifiers fail three times in ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_grading import Waits
from torch import Tensor

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.files import pictures
from noisesearch.files.pictures import Picture
from noisesearch.testing import MixtureModel
from noisesearch.verifiers.llm import LLMGrader
from support.grader_server import FAULTS, GraderServer, brightness

COUNT = 1000


def run(verifier: Any, out: Path, **more: Any) -> Any:
    return ns.search(
        [None], model=MixtureModel(), verifier=verifier, algorithm="random", steps=2,
        budget=f"{COUNT}candidates", out=out, **more,
    )[0]  # fmt: skip


def picture(result: Any, key: str) -> Picture:
    return pictures.read(result.run / "samples" / f"{key}.png")


@pytest.mark.slow
@pytest.mark.parametrize("per_call", [1, 4])
def test_a_grader_whose_calls_fail(per_call: int, tmp_path: Path) -> None:
    pytest.importorskip("httpx")
    kinds = [*FAULTS[1:] * 5, *FAULTS[: per_call == 1]]
    with GraderServer(brightness, faults=0.3, kinds=kinds, seed=2) as server:
        settings = LLMGrader(model="stub", endpoint=server.endpoint, cache="off",
                             per_call=per_call, retries=1, timeout=2)  # fmt: skip
        grader = settings.open()
        grader.asker.caller._sleep = Waits()  # type: ignore[attr-defined]
        result = run(grader, tmp_path / "run")
    assert len(result.candidates) == COUNT
    scored = [c for c in result.candidates if "llm-grader" in c.parts]
    # No answer lands on another candidate, no failure becomes a score.
    for candidate in scored:
        wanted = brightness(picture(result, candidate.trajectory), {})
        assert candidate.parts["llm-grader"] == pytest.approx(wanted, abs=1e-4)
    assert 0 < result.missing["llm-grader"] == COUNT - len(scored) < 150
    best = max(scored, key=lambda c: c.parts["llm-grader"])
    assert result.winner.trajectory == best.trajectory
    # The ledger has every try; the baseline is one of the candidates.
    assert result.ledger["calls"] == server.calls
    assert result.ledger["verifiers"]["llm-grader"]["failures"] >= sum(server.faulty.values())


def faulty(images: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """Brightness; of some pictures NaN, at some it raises, and the others of its batch suffer."""
    marks = (images * 255).round().double().mean((1, 2, 3))
    odd = (marks * 12.9898).frac() * 10
    if (odd < 1).any():
        raise ValueError("this picture cannot be read")
    return marks.masked_fill(odd < 3, math.nan)


@pytest.mark.slow
def test_a_function_that_raises_and_gives_no_number(tmp_path: Path) -> None:
    with pytest.raises(ns.ConfigError, match=r"--max-missing 0\.2; the first reason"):
        run(faulty, tmp_path / "ends")
    result = run(faulty, tmp_path / "goes on", max_missing=0.5)
    scored = [c for c in result.candidates if "faulty" in c.parts]
    assert len(result.candidates) == COUNT
    assert 200 < result.missing["faulty"] == COUNT - len(scored) < 400
    for candidate in result.candidates:
        pixels = torch.from_numpy(picture(result, candidate.trajectory)).double()
        mark = pixels.mean().item()
        there = "faulty" in candidate.parts
        assert not there or candidate.parts["faulty"] == pytest.approx(mark, abs=1e-4)
    best = max(scored, key=lambda c: c.parts["faulty"])
    assert result.winner.trajectory == best.trajectory
