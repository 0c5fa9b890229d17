"""What text that is addressed to the grader does to its marks, measured on services that obey."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from llm_grading import RED, graded, number

from noisesearch.errors import ConfigError
from noisesearch.files.pictures import Picture
from noisesearch.verifiers.llm.injection import ORDER, PLAIN, measure, painted
from noisesearch.verifiers.slow_verifier import CandidatePicture
from support.grader_server import GraderServer

pytest.importorskip("httpx")


def look(i: int, side: int = 64) -> CandidatePicture:
    picture = np.zeros((side, side, 3), np.uint8)
    picture[..., 0] = i
    return CandidatePicture(picture, RED, str(i))


LOOKS = [look(i) for i in (100, 150, 200)]  # of 10, 15 and 20 marks, by ``number``
BANDS = [painted(each.picture, ORDER).tobytes() for each in LOOKS]


def obeys_pictures(picture: Picture, question: Mapping[str, Any]) -> float:
    return 100.0 if picture.tobytes() in BANDS else number(picture, question)


def obeys_prompts(picture: Picture, question: Mapping[str, Any]) -> float:
    return number(picture, question) + 30 * (ORDER in question["prompt"])


def dislikes_text(picture: Picture, question: Mapping[str, Any]) -> float:
    """Any writing costs marks, and any longer prompt."""
    return 60.0 - 20 * (picture[-1, -1, 0] == 255) - 5 * (question["prompt"] != RED.text)


@pytest.mark.parametrize(
    ("mark", "picture", "prompt"),
    [(number, 0, 0), (obeys_pictures, 85, 0), (obeys_prompts, 0, 30), (dislikes_text, 0, 0)],
)
def test_the_shift_is_what_the_order_does_beyond_plain_text(
    mark: Any, picture: float, prompt: float
) -> None:
    with GraderServer(mark) as server:
        grader = graded(server, per_call=2)
        report = measure(grader, LOOKS)
        grader.close()
    assert report.clean == (60 if mark is dislikes_text else 15)
    assert (report.picture.mean, report.prompt.mean) == (picture, prompt)
    assert report.picture.most == {obeys_pictures: 90}.get(mark, 0)
    assert report.picture.pairs == 3 and report.prompt.missing == 0
    assert report.spent["calls"] == server.calls == 10
    assert f"{picture:+.1f}" in str(report)
    assert json.loads(json.dumps(report.json()))["prompt"]["mean"] == prompt


def test_what_could_not_be_measured_is_said() -> None:
    with GraderServer(faults=1.0, kinds=["range"]) as server:
        grader = graded(server, retries=0)
        report = measure(grader, LOOKS)
        grader.close()
    assert report.picture.pairs == 0 and report.picture.missing == 3
    assert np.isnan([report.clean, report.picture.mean]).all()
    assert report.spent["failures"] == 15


def test_marks_only() -> None:
    with GraderServer() as server:
        with pytest.raises(ConfigError, match="mode=score"):
            measure(graded(server, mode="pairs"), LOOKS)
        with pytest.raises(ConfigError, match="at least one picture"):
            measure(graded(server), [])


@pytest.mark.parametrize("side", [16, 64, 512])
def test_text_is_painted_on_the_foot(side: int) -> None:
    """Orders and plain text alike, on a band of its own; a video gets it on every frame."""
    plain, order = (painted(look(9, side).picture, text) for text in (PLAIN, ORDER))
    assert plain.shape == (side, side, 3) and not np.array_equal(plain, order)
    if side > 16:
        assert (order[: side // 3] == look(9, side).picture[: side // 3]).all()
    assert (order == 255).any() and (order[..., 1] < 100).any()
    video = painted(np.stack([look(9, side).picture] * 2), ORDER)
    assert (video == order).all()
