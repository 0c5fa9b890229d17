"""What a person was asked in a run and what was answered: the folder ``human`` of the run."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...candidates.condition import Condition
from ...files.journal import Journal
from .questions import SKIP, Question

FOLDER = "human"
BOX = "answers.txt"


@dataclass(frozen=True)
class HumanAnswer:
    """What was said, in the person's words, and the seconds from the question to it."""

    text: str
    seconds: float


class HumanRecord:
    """Questions, answers and numbers of a run, kept as they come in ``human/journal.jsonl``.

    Contract: what a method returned from is there after a kill. A question has one name for ever:
    asked again with the same candidates it is the same one, with others it has another name, so
    that no answer gets to candidates it was not given for.
    """

    def __init__(self, run: Path, *, write: bool = True) -> None:
        self.folder = run / FOLDER
        if write:
            self.folder.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(self.folder / "journal.jsonl", write=write)
        self._lock = threading.Lock()
        self.questions: dict[str, Question] = {}
        self.answers: dict[str, HumanAnswer] = {}
        self._numbers: dict[str, dict[str, float]] = defaultdict(dict)  # by condition
        # What a damaged line held is asked again, which is better than not going on.
        for line in self._journal.read(repair=True):
            if "question" in line:
                shown = tuple(line["shown"])
                best = shown[0] if line["best"] else None
                of = Question(line["question"], line["condition"], line["of"], shown, best)
                self.questions[of.name] = of
            elif "answer" in line:
                self.answers[line["answer"]] = HumanAnswer(line["text"], line["seconds"])
            elif "numbers" in line:
                self._numbers[line["of"]] |= line["numbers"]

    def question(self, condition: Condition, shown: tuple[str, ...], best: str | None) -> Question:
        """The question about these candidates: one that is there, unless it was skipped."""
        with self._lock:
            for known in self.questions.values():
                if (known.of, known.shown, known.best) == (condition.key, shown, best):
                    answer = self.answers.get(known.name)
                    if answer is None or answer.text != SKIP:
                        return known
            name = f"q{len(self.questions) + 1}"
            new = Question(name, str(condition), condition.key, shown, best)
            self._keep({"question": name, "condition": new.condition, "of": new.of,
                        "shown": list(shown), "best": best is not None})  # fmt: skip
            self.questions[name] = new
            return new

    def answered(self, question: Question, answer: HumanAnswer) -> None:
        """Keep what was said."""
        with self._lock:
            self._keep({"answer": question.name, "text": answer.text, "seconds": answer.seconds})
            self.answers[question.name] = answer

    def numbered(self, condition: Condition, numbers: Mapping[str, float]) -> None:
        """Keep the numbers that candidates were given."""
        with self._lock:
            self._keep({"numbers": dict(numbers), "of": condition.key})
            self._numbers[condition.key] |= numbers

    def numbers(self, condition: Condition) -> Mapping[str, float]:
        """The number of every candidate of a condition that has one."""
        return self._numbers[condition.key]

    def best(self, condition: Condition) -> tuple[str | None, float]:
        """The best candidate so far and its number; None and 0 where none has a number."""
        numbers = self._numbers[condition.key]
        key = max(numbers, key=numbers.__getitem__, default=None)
        return key, 0.0 if key is None else numbers[key]

    def spent(self, key: str) -> dict[str, float]:
        """What the answers cost that brought a candidate in: the questions that show it last."""
        of = [q.name for q in self.questions.values() if q.shown[-1] == key]
        said = [a for a in map(self.answers.get, of) if a is not None and a.text != SKIP]
        return cost(said)

    def open(self) -> list[Question]:
        """Questions without an answer; a condition has one at a time, the last."""
        last = {q.of: q for q in self.questions.values()}
        return [q for q in last.values() if q.name not in self.answers]

    def pictures(self, question: Question) -> list[Path]:
        """Where the pictures of a question are, or will be."""
        return [self.folder / question.name / f"{number}.png" for number in question.numbers]

    def best_picture(self, condition: Condition) -> Path:
        """Where the picture of the best so far is."""
        return self.folder / "best" / f"{condition.key}.png"

    def _keep(self, line: Mapping[str, Any]) -> None:
        self._journal.append(line)
        self._journal.close()  # on the disk: at a person's pace there is time for that


def cost(said: list[HumanAnswer]) -> dict[str, float]:
    """What answers cost, by unit; nothing where there are none."""
    if not said:
        return {}
    return {"questions": len(said), "seconds": sum(answer.seconds for answer in said)}


class Box:
    """``human/answers.txt``, where answers can be put while a run is running or stopped.

    A line is ``q3 = 2``; # begins a comment, and of several lines for a question the last counts.
    Names are never used again, so old lines may stay.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / FOLDER / BOX

    def given(self, name: str) -> str | None:
        """What is answered to a question, or None."""
        try:
            lines = self.path.read_text("utf-8", errors="replace").splitlines()
        except OSError:  # not there, or being replaced: there is a next time
            return None
        said = [line.partition("#")[0].partition("=") for line in lines]
        return next((a.strip() for key, mark, a in reversed(said) if mark and key.strip() == name),
                    None)  # fmt: skip

    def put(self, answers: Mapping[str, str]) -> None:
        """Add answers."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{name} = {text}\n" for name, text in answers.items()))
