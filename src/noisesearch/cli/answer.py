"""`answer`: what the verifier `human` asks, from another terminal or while the run is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from .application import Json, app, interruptible, say, write

if TYPE_CHECKING:
    from ..verifiers.human.questions import Question
    from ..verifiers.human.record import HumanRecord


@app.command()
@interruptible
def answer(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    answers: Annotated[
        list[str] | None, typer.Argument(metavar="[QUESTION=ANSWER]...", show_default=False)
    ] = None,
    json_: Json = False,
) -> None:
    """Answer what a run asks of a person; without answers, list what is open."""
    from ..store.run_store import read_spec
    from ..verifiers.human.record import Box, HumanRecord

    read_spec(folder)
    record = HumanRecord(folder, write=False)
    asked = {question.name: question for question in record.open()}
    said: dict[str, str] = {}
    for pair in answers or []:
        name, mark, text = (piece.strip() for piece in pair.partition("="))
        if not mark:
            raise ConfigError(f"{pair!r} must be written QUESTION=ANSWER, such as q1=3")
        if name not in asked:
            why = "is answered already" if name in record.answers else "is not asked"
            there = ", ".join(asked) or "none"
            raise ConfigError(f"question {name!r} {why}; open in {folder} are: {there}")
        asked[name].order(text)
        said[name] = text
    if said:
        Box(folder).put(said)
        say(f"answered: {', '.join(said)}; the run takes it up, or does when it is resumed")
        return
    if json_:
        write([_row(record, question) for question in asked.values()], True)
        return
    for question in asked.values():
        write({f"{question.name} ({question.condition})": _pictures(record, question)}, False)
        say(f"answer with: noisesearch answer {folder} {question.name}=ANSWER\n"
            f"  {question.help}")  # fmt: skip
    if not asked:
        say(f"nothing is asked in {folder}")


def _row(record: HumanRecord, question: Question) -> dict[str, Any]:
    of = {"question": question.name, "condition": question.condition}
    return {**of, "pictures": _pictures(record, question)}


def _pictures(record: HumanRecord, question: Question) -> dict[str, str]:
    paths = map(str, record.pictures(question))
    return dict(zip(map(str, question.numbers), paths, strict=True))
