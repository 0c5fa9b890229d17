"""Graders of a service in this process, and pictures that say who they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from noisesearch.candidates.condition import Condition
from noisesearch.files.pictures import Picture
from noisesearch.verifiers.llm import LLMGrader
from noisesearch.verifiers.llm.grader import Grader
from noisesearch.verifiers.llm.referee import Referee
from noisesearch.verifiers.slow_verifier import CandidatePicture
from support.grader_server import GraderServer

RED = Condition(text="a red circle")


def numbered(i: int, condition: Condition = RED) -> CandidatePicture:
    """A picture that holds its own number, up to a thousand."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0], picture[..., 1] = i % 256, i // 256
    return CandidatePicture(picture, condition, f"candidate-{i}")


def number(picture: Picture, question: Mapping[str, Any]) -> float:
    """The number, as a mark from 0 to 100."""
    return (int(picture[0, 0, 0]) + 256 * int(picture[0, 0, 1])) / 10


def graded(server: GraderServer, **given: Any) -> Grader | Referee:
    """The grader that these settings open, which never really waits between its tries."""
    settings = {"model": "stub", "endpoint": server.endpoint, "cache": "off", **given}
    opened = LLMGrader(**settings).open()
    assert isinstance(opened, Grader | Referee)
    opened.asker.caller._sleep = Waits()
    return opened


class Waits(list[float]):
    """In place of sleeping: the seconds that there would have been."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)
