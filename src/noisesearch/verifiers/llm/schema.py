"""What a grader must answer: JSON of a schema, the explanation before the number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import Failed

BEST = 100
ASPECTS = ("accuracy", "originality", "visual", "consistency", "emotional")
# What all services that take a schema understand of one; limits of numbers are checked here.
UNDERSTOOD = {"type", "properties", "required", "items", "additionalProperties", "enum",
              "description"}  # fmt: skip


class GraderAnswer(BaseModel):
    """Base of answers: nothing is converted, nothing may be beyond them, no NaN.

    ``id`` repeats the question's, by which answers that come in another order are put back.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(description="the id of the question, repeated")


class Mark(BaseModel):
    """One aspect. The explanation stands first, so that the number follows from it."""

    model_config = GraderAnswer.model_config

    explanation: str = Field(min_length=1, description="one or two sentences")
    score: float = Field(ge=0, le=BEST, description=f"from 0 (worst) to {BEST} (best)")


class Grade(GraderAnswer):
    """Marks of one image."""

    accuracy: Mark
    originality: Mark
    visual: Mark
    consistency: Mark
    emotional: Mark
    overall: Mark


class PairGrade(GraderAnswer):
    """Which of two images is the better one."""

    first: str = Field(min_length=1, description="strengths and weaknesses of the first image")
    second: str = Field(min_length=1, description="strengths and weaknesses of the second image")
    explanation: str = Field(min_length=1, description="which is better by the rubric, and why")
    better: Literal["first", "second", "neither"]


Kind = TypeVar("Kind", bound=GraderAnswer)


class _All(BaseModel, Generic[Kind]):
    """The whole answer of one call."""

    model_config = GraderAnswer.model_config

    answers: list[Kind]


def schema(kind: type[GraderAnswer]) -> dict[str, Any]:
    """The JSON schema of the whole answer, without references."""
    whole = _All[kind].model_json_schema()  # type: ignore[valid-type]

    def plain(node: Any) -> Any:
        if "$ref" in node:
            return plain(whole["$defs"][node["$ref"].rpartition("/")[2]])
        kept = {key: value for key, value in node.items() if key in UNDERSTOOD}
        if "properties" in kept:
            kept["properties"] = {name: plain(v) for name, v in kept["properties"].items()}
        if "items" in kept:
            kept["items"] = plain(kept["items"])
        return kept

    made: dict[str, Any] = plain(whole)
    return made


def read(text: str, kind: type[Kind], ids: Sequence[str]) -> list[Kind]:
    """The answers to the questions ``ids``, in their order; Failed where they are not just that.

    An id that is unknown, double or missing spoils all of them: nobody knows whose the others are.
    """
    try:
        whole = _All[kind].model_validate_json(text)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Failed(f"its answer does not fit the schema ({place}: {first['msg']})") from None
    found: list[Kind] = whole.answers
    by_id = {answer.id: answer for answer in found}
    if sorted(answer.id for answer in found) != sorted(ids):
        raise Failed(f"it gave {len(found)} answers with {len(by_id.keys() & set(ids))} of the "
                     f"{len(ids)} ids that were asked, each once")  # fmt: skip
    return [by_id[id] for id in ids]
