"""A person as verifier: what answers mean, and that nothing is lost, mixed up or asked twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.files import pictures
from noisesearch.verifiers.human.human import SKIPPED, Person
from noisesearch.verifiers.human.questions import Question, levels
from noisesearch.verifiers.slow_verifier import CandidatePicture, SlowReply

RED = Condition(text="a red circle")


def look(key: str, condition: Condition = RED) -> CandidatePicture:
    """A candidate whose picture is as bright as its key is late in the alphabet."""
    return CandidatePicture(np.full((32, 32, 3), ord(key[0]), np.uint8), condition, key)


def looks(keys: str, condition: Condition = RED) -> list[CandidatePicture]:
    return [look(key, condition) for key in keys]


class Scripted:
    """A front whose person answers at once: ``say(question, pictures)``."""

    terminal = False

    def __init__(self, say: Callable[[Question, Sequence[Path]], str]) -> None:
        self.say = say
        self.asked: list[Question] = []
        self.refused: list[str] = []
        self._now: tuple[Question, Sequence[Path]]

    def begin(self, run: Path) -> None: ...

    @contextmanager
    def asking(self, question: Question, pictures: Sequence[Path]) -> Iterator[None]:
        self.asked.append(question)
        self._now = question, pictures
        yield

    def heard(self, seconds: float) -> str:
        return self.say(*self._now)

    def refuse(self, question: Question, why: str) -> None:
        self.refused.append(why)

    def close(self) -> None: ...


def saying(*answers: str) -> Scripted:
    """Says these one after the other."""
    left = iter(answers)
    return Scripted(lambda question, shown: next(left))


def brightest(question: Question, shown: Sequence[Path]) -> str:
    """Of a person who likes bright pictures; the first of equals."""
    means = [float(pictures.read(path).mean()) for path in shown]
    return str(question.numbers[means.index(max(means))])


@pytest.fixture
def person_of(tmp_path: Path) -> Callable[..., Person]:
    """Persons of one run folder; made again, they are a resume."""

    def make(front: Scripted, pairs: bool = False) -> Person:
        person = Person(front, pairs=pairs)
        person.begin(tmp_path, {})
        return person

    return make


def numbers(verdicts: Sequence[SlowReply]) -> list[float | str]:
    return [verdict.parts["human"] for verdict in verdicts]


FOUR = Question("q1", "a red circle", "", ("a", "b", "c", "d"))
LATER = Question("q2", "a red circle", "", ("a", "b", "c", "d"), best="a")


@pytest.mark.parametrize(
    ("question", "text", "order"),
    [
        (FOUR, "3", (("c",), ("a", "b", "d"))),
        (FOUR, " 3 1 2\n", (("c",), ("a",), ("b",), ("d",))),
        (FOUR, "3,1,2,4", (("c",), ("a",), ("b",), ("d",))),
        (FOUR, "3 > 1 = 2", (("c",), ("a", "b"), ("d",))),
        (FOUR, "=", (("a", "b", "c", "d"),)),
        (FOUR, "Skip", None),
        (LATER, "0", (("a",), ("b", "c", "d"))),
        (LATER, "2", (("c",), ("a",), ("b", "d"))),
        (LATER, "2 3 0", (("c",), ("d",), ("a",), ("b",))),
    ],
)
def test_what_answers_mean(question: Question, text: str, order: object) -> None:
    assert question.order(text) == order


@pytest.mark.parametrize(
    ("question", "text", "why"),
    [
        (FOUR, "7", r"^there is no 7; .*\(1 to 4\)"),
        (FOUR, "0", r"^there is no 0; .*\(1 to 4\)"),
        (LATER, "4", r"^there is no 4; .*\(0 to 3\)"),
        (FOUR, "  ", "^the answer is empty; "),
        (FOUR, "the third", "^'the' is no number; "),
        (FOUR, "-1", "^'-1' is no number; "),
        (FOUR, "2 2", "names 2 twice"),
        (FOUR, "1=", "^'' is no number; "),
    ],
)
def test_what_is_no_answer_is_said(question: Question, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        question.order(text)


def test_numbers_are_steps_around_the_best_so_far() -> None:
    assert levels((("c",), ("a", "b"))) == {"c": 0, "a": -1, "b": -1}
    order = (("c",), ("d",), ("a",), ("b",))
    assert levels(order, "a", 5.0) == {"c": 7, "d": 6, "a": 5, "b": 4}


def test_rounds_can_be_compared(person_of: Callable[..., Person]) -> None:
    front = saying("3", "0", "2", "3 0 1")
    person = person_of(front)
    assert numbers(person.look(looks("abcd"))) == [-1, -1, 0, -1]
    assert numbers(person.look(looks("efg"))) == [-1, -1, -1], "none is better than c"
    assert numbers(person.look(looks("hij"))) == [-1, 1, -1], "i is better, and c stays at 0"
    assert numbers(person.look(looks("klm"))) == [0, -1, 2]
    assert [question.best for question in front.asked] == [None, "c", "c", "i"]
    assert numbers(person.look(looks("ci"))) == [0, 1] and len(front.asked) == 4


@pytest.mark.parametrize("pairs", [False, True])
def test_a_person_who_knows_what_they_want_gets_it(
    pairs: bool, person_of: Callable[..., Person]
) -> None:
    """Whatever comes in which rounds, the number of the best is above all others."""
    draw = random.Random(5)
    for turn in range(8):
        person = person_of(Scripted(brightest), pairs)
        condition = Condition(text=f"condition {turn}")
        keys, found = list("abcdefghijklmn"), {}
        draw.shuffle(keys)
        best = ""
        while keys:
            some = [keys.pop() for _ in range(min(len(keys), draw.randint(1, 5)))]
            said = numbers(person.look([look(key, condition) for key in some]))
            found |= dict(zip(some, said, strict=True))
            best = max(best, *some)
            assert all(found[key] < found[best] for key in found if key != best)


def test_what_is_shown_are_the_candidates(
    person_of: Callable[..., Person], tmp_path: Path
) -> None:
    """In the order of their numbers, large enough to be seen, and the best so far is number 0."""
    seen: list[list[int]] = []

    def write_down(question: Question, shown: Sequence[Path]) -> str:
        read = [pictures.read(path) for path in shown]
        assert all(min(picture.shape[:2]) == 192 for picture in read)
        assert [path.stem for path in shown] == [str(number) for number in question.numbers]
        seen.append([int(picture.mean()) for picture in read])
        return "2"

    person = person_of(Scripted(write_down))
    person.look(looks("abc"))
    person.look(looks("de"))
    person_of(person.front).look(looks("f") * 2 + looks("g"))  # resumed; one is there twice
    assert seen == [[97, 98, 99], [98, 100, 101], [101, 102, 103]]
    left = {path.relative_to(tmp_path / "human") for path in (tmp_path / "human").rglob("*.png")}
    assert left == {Path("best") / f"{RED.key}.png"}, "those of answered questions are gone"


def test_a_video_is_shown_moving(person_of: Callable[..., Person]) -> None:
    seen: list[tuple[int, ...]] = []

    def write_down(question: Question, shown: Sequence[Path]) -> str:
        seen.extend(pictures.read(path).shape for path in shown)
        return "1"

    frames = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
    person_of(Scripted(write_down)).look(
        [CandidatePicture(frames, RED, "a"), CandidatePicture(frames[::-1], RED, "b")]
    )
    assert seen == [(3, 4, 4, 3)] * 2


def test_one_alone_needs_no_question(person_of: Callable[..., Person]) -> None:
    front = saying("1")
    person = person_of(front)
    (verdict,) = person.look(looks("a"))
    assert verdict == SlowReply({"human": 0.0}) and not front.asked
    assert numbers(person.look(looks("b"))) == [1] and front.asked[0].shown == ("a", "b")


def test_what_is_skipped_has_a_reason_and_is_asked_again(
    person_of: Callable[..., Person],
) -> None:
    front = saying("skip", "1", "skip", "1")
    person = person_of(front)
    assert numbers(person.look(looks("ab"))) == [SKIPPED, SKIPPED]
    assert numbers(person.look(looks("ab"))) == [0, -1]
    assert numbers(person.look(looks("cd"))) == [SKIPPED, SKIPPED]
    assert numbers(person.look(looks("c"))) == [1]
    assert [question.name for question in front.asked] == ["q1", "q2", "q3", "q4"]


def test_pairs(person_of: Callable[..., Person]) -> None:
    """A question less than candidates; ties, skips, and the best so far against the first."""
    front = saying("2", "0", "=", "skip", "0", "1")
    person = person_of(front, pairs=True)
    assert numbers(person.look(looks("abcd"))) == [-1, 0, -1, 0]  # b beat a and c, d is like b
    assert numbers(person.look(looks("efg"))) == [SKIPPED, -1, 1]
    assert ["".join(question.shown) for question in front.asked] == [
        "ab", "bc", "bd", "be", "bf", "bg",
    ]  # fmt: skip
    assert [question.best for question in front.asked] == [None, *["b"] * 5]


def test_a_question_counts_once(person_of: Callable[..., Person]) -> None:
    def slow(question: Question, shown: Sequence[Path]) -> str:
        time.sleep(0.01)
        return "skip" if question.name == "q2" else "1"

    person = person_of(Scripted(slow))
    for keys in ("abc", "de", "de"):
        spent = [verdict.spent for verdict in person.look(looks(keys))]
        assert [each.get("questions", 0) for each in spent] == [*[0] * (len(keys) - 1), 1]
        assert spent[-1]["seconds"] >= 0.01


class Killed(BaseException):
    """As if the process were gone."""


@pytest.mark.parametrize("pairs", [False, True])
def test_killed_between_question_and_answer(pairs: bool, person_of: Callable[..., Person]) -> None:
    """Each question is open at a kill once; a resume goes on with it, under its name."""
    asked: list[str] = []

    def killed_first(question: Question, shown: Sequence[Path]) -> str:
        asked.append(question.name)
        if asked.count(question.name) == 1:
            raise Killed
        return str(question.numbers[-1])

    found: list[float | str] = []
    while not found:
        person = person_of(Scripted(killed_first), pairs)
        with suppress(Killed):
            rounds = [numbers(person.look(looks(keys))) for keys in ("abc", "de")]
            found = [number for each in rounds for number in each]
    assert found == [-1, -1, 0, -1, 1]
    names = ["q1", "q2", "q3", "q4"] if pairs else ["q1", "q2"]
    assert asked == [name for name in names for _ in range(2)]


def test_killed_before_numbers_were_kept(person_of: Callable[..., Person], tmp_path: Path) -> None:
    front = saying("2", "1")
    person = person_of(front)
    person.look(looks("ab"))
    person.look(looks("cd"))
    journal = tmp_path / "human" / "journal.jsonl"
    whole = journal.read_bytes()
    cut = whole.rstrip(b"\n").rfind(b"\n") + 20  # in the middle of the last line
    journal.write_bytes(whole[:cut])
    again = person_of(saying())  # who would fail if anything were asked
    assert numbers(again.look(looks("cd"))) == [1, -1]
    assert [verdict.spent["questions"] for verdict in again.look(looks("bd"))] == [1, 1]


class Interrupting:
    """A watcher that presses Ctrl-C at a reply."""

    def __init__(self, at: int) -> None:
        self.left = at

    def replied(self, *what: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def improved(self, *what: Any) -> None: ...


def test_a_run_is_judged_stopped_and_resumed(tmp_path: Path) -> None:
    """Two searches by brightness, as the person sees it and as a function does; nothing is asked
    twice, whatever was answered and not journalled."""
    prompts, out = ["a red circle", "two blue squares"], tmp_path / "run"
    settings: dict[str, Any] = {"steps": 2, "budget": "13candidates", "algorithm": "zero-order"}
    front = Scripted(brightest)
    with pytest.raises(KeyboardInterrupt):
        ns.search(prompts, verifier=Person(front), out=out, watcher=Interrupting(7), **settings)
    results = ns.resume(out, verifier=Person(front))
    assert results.complete
    shown = [question.shown for question in front.asked]
    assert len(shown) == len({*shown}) == 6, "three rounds each"

    def bright(images: Any, conditions: Any) -> Any:
        return (images * 255).double().mean((1, 2, 3))

    plain = ns.search(prompts, verifier=bright, out=tmp_path / "plain", **settings)
    for judged, measured in zip(results, plain, strict=True):
        assert judged.winner.trajectory == measured.winner.trajectory
        assert judged.winner.score > judged.baseline.score
        spent = judged.ledger["verifiers"]["human"]
        assert spent["questions"] == 3 and spent["samples"] == 13
