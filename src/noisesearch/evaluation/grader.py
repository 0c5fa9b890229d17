"""The table of a language model's marks (Table 7 of arXiv 2501.09732) as a metric of a set."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PrivateAttr

from ..candidates.condition import Condition
from ..errors import BackendError
from ..verifiers.llm import LLMGrader
from ..verifiers.llm.grader import MEAN, NAME, Grader, total
from ..verifiers.llm.schema import ASPECTS
from ..verifiers.slow_verifier import CandidatePicture, SlowReply
from .protocol import Figures, ImageSet, prompts_of

# The columns in the paper's order, by the verifier's part; the grader's own overall mark is last.
COLUMNS = {**{f"{NAME}.{aspect}": aspect for aspect in ASPECTS}, NAME: "overall", MEAN: "mean"}
TOGETHER = 64  # pictures in memory


class GraderTable(LLMGrader):
    """Five aspects, the grader's own overall mark and the mean of the five, from 0 to 100.

    The settings are the verifier's. What has been asked before is in its cache, so that a metric
    that was stopped is gone on with. The model must not be the one that was searched with, or it
    marks what it chose.
    """

    name = "grader"
    summary: ClassVar[str] = "a language model's marks in six columns, 0 to 100, more is better"

    _opened: list[Grader] = PrivateAttr(default_factory=list)  # one, once it is needed
    # By unit, over all sets that it measured: caps are of all of them together.
    _spent: dict[str, float] = PrivateAttr(default_factory=dict)

    mode: Literal["score"] = Field("score", description="marks for each image")

    def check(self, images: ImageSet) -> None:
        """ConfigError where an image has no prompt, or the key or a package is missing."""
        prompts_of(images, self.name)
        self._grader()

    def measure(self, images: ImageSet) -> Figures:
        """Marks of each image (NaN where it got none) and what they cost; BackendError where not
        one image got any."""
        prompts, grader = prompts_of(images, self.name), self._grader()
        grader.begin(Path(), self._spent)
        verdicts: list[SlowReply] = []
        try:
            for start in range(0, len(prompts), TOGETHER):
                rows = range(start, min(start + TOGETHER, len(prompts)))
                looks = [
                    CandidatePicture(images.picture(i), Condition(text=prompts[i]), "")
                    for i in rows
                ]
                verdicts += grader.look(looks)
        finally:
            grader.close()
        figures: dict[str, float | list[float]] = {
            f"{self.name}.{column}": [_mark(verdict, part) for verdict in verdicts]
            for part, column in COLUMNS.items()
        }
        spent = total(verdict.spent for verdict in verdicts)
        self._spent = total((self._spent, spent))
        reasons = [why for v in verdicts if isinstance(why := v.parts[NAME], str)]
        if len(reasons) == len(verdicts):
            raise BackendError(f"metric {self.name!r} got no marks for any image: {reasons[0]}")
        return {**figures, **{f"{self.name}.{unit}": count for unit, count in spent.items()}}

    def _grader(self) -> Grader:
        if not self._opened:
            opened = self.open()
            assert isinstance(opened, Grader)  # mode is score
            self._opened.append(opened)
        return self._opened[0]


def _mark(verdict: SlowReply, part: str) -> float:
    mark = verdict.parts[part]
    return float("nan") if isinstance(mark, str) else mark
