"""Many questions: from the cache, or in calls of a few at once, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock, Thread
from typing import Generic

from ...candidates.condition import Condition
from ...candidates.keys import digest
from .cache import Cache
from .calls import BackendCaller, Bill, Subject
from .errors import Failed
from .pictures import GraderPictures
from .schema import Kind


@dataclass(frozen=True)
class Answered(Generic[Kind]):
    """An answer, or the reason why there is none. ``spent`` of a call with several questions is
    the first one's."""

    answer: Kind | None
    reason: str = ""
    spent: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Asker(Generic[Kind]):
    """``per_call``: questions of a call; ``lanes``: calls at once; ``of``: what of the model and
    its instructions decides about an answer, for the cache."""

    caller: BackendCaller
    kind: type[Kind]
    cache: Cache
    per_call: int
    lanes: int
    of: str

    def subject(
        self, condition: Condition, shown: Sequence[GraderPictures], repeat: int = 0
    ) -> Subject:
        """The question about pictures of a condition; Failed where it has no words."""
        if condition.text is None and condition.label is not None:
            raise Failed(f"a grader needs a prompt, and {condition} has no words")
        prompt = {"prompt": condition.text or ""}
        if condition.negative:
            prompt["unwanted"] = condition.negative
        key = digest(self.of, prompt, [each.key for each in shown], repeat)
        return Subject(key, prompt, tuple(shown))

    def ask(self, subjects: Sequence[Subject]) -> list[Answered[Kind]]:
        """One for each, in their order; what is asked twice is paid for once."""
        found: dict[str, Answered[Kind]] = {}
        for subject in subjects:
            if (answer := self.cache.get(subject.key, self.kind)) is not None:
                found[subject.key] = Answered(answer, spent={"cached": 1})
        new = list({s.key: s for s in subjects if s.key not in found}.values())
        groups = [new[i : i + self.per_call] for i in range(0, len(new), self.per_call)]

        def work(group: list[Subject]) -> None:
            for subject, answered in zip(group, self._call(group), strict=True):
                found[subject.key] = answered

        side_by_side(work, groups, self.lanes)
        answers: list[Answered[Kind]] = []
        for subject in subjects:
            answers.append(found[subject.key])
            found[subject.key] = replace(found[subject.key], spent={"cached": 1})
        return answers

    def _call(self, subjects: Sequence[Subject]) -> list[Answered[Kind]]:
        bill = Bill()
        try:
            answers = self.caller.ask(subjects, bill)
        except Failed as failed:
            if len(subjects) > 1:
                # One that cannot be answered must not take its companions along.
                alone = [self._call([subject])[0] for subject in subjects]
                bill.add(Bill(**alone[0].spent))  # type: ignore[arg-type]
                first = Answered(alone[0].answer, alone[0].reason, bill.spent())
                return [first, *alone[1:]]
            spent = [bill.spent(), *[{} for _ in subjects[1:]]]
            return [Answered(None, str(failed), each) for each in spent]
        found: list[Answered[Kind]] = []
        for subject, answer in zip(subjects, answers, strict=True):
            assert isinstance(answer, self.kind)
            self.cache.put(subject.key, answer)
            found.append(Answered(answer, spent={} if found else bill.spent()))
        return found


def side_by_side(
    work: Callable[[list[Subject]], None], of: Sequence[list[Subject]], lanes: int
) -> None:
    """``work`` on each, in up to ``lanes`` threads; the first error is raised when all are done.

    The threads are daemons: a run that is stopped does not wait for calls that it made.
    """
    if len(of) < 2:
        for each in of:
            work(each)
        return
    left, lock, errors = list(of)[::-1], Lock(), list[BaseException]()

    def lane() -> None:
        while True:
            with lock:
                if not left or errors:
                    return
                each = left.pop()
            try:
                work(each)
            except BaseException as error:
                errors.append(error)

    threads = [Thread(target=lane, daemon=True) for _ in range(min(lanes, len(of)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
