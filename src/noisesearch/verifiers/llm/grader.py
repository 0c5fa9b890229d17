"""Marks from 0 to 100 for each image by itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..slow_verifier import CandidatePicture, SlowReply, SlowVerifier
from .errors import Failed
from .pictures import GraderPictures
from .questions import Answered, Asker
from .schema import ASPECTS, Grade

NAME = "llm-grader"
MEAN, SPREAD = f"{NAME}.mean", f"{NAME}.spread"
# Not measured here: Table 7 of arXiv 2501.09732 has the overall mark rise by 3.8 points where the
# best of 64 is chosen by other verifiers; were those correlated with it at 0.3, its deviation
# among candidates would be 3.8 / (0.3 · 2.4) = 5.3.
SCALE = 5.0


@dataclass(frozen=True)
class Grader(SlowVerifier):
    """Each image graded by the rubric: the five aspects, their ``mean``, and the grader's own
    overall mark, which is what a search goes by. Asked ``repeats`` times, the means of the
    answers, and their standard deviation as ``spread``."""

    video = True  # a few frames in one question
    paid = True

    asker: Asker[Grade]
    repeats: int = 1
    fingerprint: str = ""
    lanes: int = 4
    name: str = NAME

    @property
    def group(self) -> bool:  # type: ignore[override]
        """Several questions in one call need several looks at a time."""
        return self.asker.per_call > 1

    @property
    def reported(self) -> tuple[str, ...]:
        """Parts that are reported, and wanted by no objective that does not name them."""
        aspects = tuple(f"{NAME}.{aspect}" for aspect in ASPECTS)
        return (*aspects, MEAN, *([SPREAD] if self.repeats > 1 else []))

    @property
    def parts(self) -> tuple[str, ...]:  # type: ignore[override]
        return (NAME, *self.reported)

    @property
    def scale(self) -> Mapping[str, float]:
        return dict.fromkeys(self.parts, SCALE)

    def begin(self, folder: Path, spent: Mapping[str, float]) -> None:
        self.asker.caller.begin(spent)

    def close(self) -> None:
        self.asker.caller.close()

    def look(self, looks: Sequence[CandidatePicture]) -> Sequence[SlowReply]:
        shown = [GraderPictures(look.picture) for look in looks]
        rounds = [self._round(looks, shown, repeat) for repeat in range(self.repeats)]
        return [self._verdict(of) for of in zip(*rounds, strict=True)]

    def _round(
        self, looks: Sequence[CandidatePicture], shown: Sequence[GraderPictures], repeat: int
    ) -> list[Answered[Grade]]:
        found: list[Answered[Grade]] = [Answered(None) for _ in looks]
        subjects = {}
        for i, look in enumerate(looks):
            try:
                subjects[i] = self.asker.subject(look.condition, [shown[i]], repeat)
            except Failed as failed:
                found[i] = Answered(None, str(failed))
        for i, answered in zip(subjects, self.asker.ask(list(subjects.values())), strict=True):
            found[i] = answered
        return found

    def _verdict(self, of: Sequence[Answered[Grade]]) -> SlowReply:
        """The mean over repeats, if at least half of them were answered."""
        spent = total(answered.spent for answered in of)
        grades = [answered.answer for answered in of if answered.answer is not None]
        if 2 * len(grades) < len(of):
            reason = next(answered.reason for answered in of if answered.answer is None)
            return SlowReply(dict.fromkeys(self.parts, f"{NAME}: {reason}"), spent)
        marks = {f"{NAME}.{a}": mean([getattr(g, a).score for g in grades]) for a in ASPECTS}
        overall = [grade.overall.score for grade in grades]
        parts: dict[str, float | str] = {
            NAME: mean(overall),
            **marks,
            MEAN: mean([*marks.values()]),
        }
        if self.repeats > 1:
            parts[SPREAD] = f"{NAME}: one answer of {self.repeats} has no spread"
            if len(overall) > 1:
                parts[SPREAD] = deviation(overall)
        return SlowReply(parts, spent)


def total(of: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Sums by unit."""
    sums: dict[str, float] = {}
    for spent in of:
        for unit, count in spent.items():
            sums[unit] = sums.get(unit, 0) + count
    return sums


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of what the values are drawn from, estimated (n - 1)."""
    middle = mean(values)
    return math.sqrt(math.fsum((v - middle) ** 2 for v in values) / (len(values) - 1))
