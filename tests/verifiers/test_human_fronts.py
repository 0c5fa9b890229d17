"""Where a person is asked: the terminal, the page, the box for answers; from several threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.models.choice import model_of
from noisesearch.setup import selection
from noisesearch.verifiers.human.human import Human, Person
from noisesearch.verifiers.human.page import HumanPage
from noisesearch.verifiers.human.record import Box, HumanRecord
from noisesearch.verifiers.human.terminal import Terminal
from noisesearch.verifiers.slow_verifier import CandidatePicture, SlowReply

RED, BLUE = Condition(text="a red circle"), Condition(text="two <b>blue</b> squares & more")
LONG = 20.0  # seconds after which something hangs


def looks(keys: str, condition: Condition = RED) -> list[CandidatePicture]:
    return [CandidatePicture(np.full((8, 8, 3), 99, np.uint8), condition, key) for key in keys]


class Looking(threading.Thread):
    """One search that asks in a thread of its own."""

    def __init__(self, person: Person, of: Sequence[CandidatePicture]) -> None:
        super().__init__(daemon=True)
        self.person, self.of = person, of
        self.verdicts: list[SlowReply] = []
        self.start()

    def run(self) -> None:
        self.verdicts = self.person.look(self.of)

    @property
    def numbers(self) -> list[float | str]:
        self.join(LONG)
        assert not self.is_alive(), "it hangs"
        return [verdict.parts["human"] for verdict in self.verdicts]


def until(there: Callable[[], bool]) -> None:
    """Wait until something is there."""
    end = time.monotonic() + LONG
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.fixture
def keyboard() -> Iterator[tuple[int, int]]:
    """The two ends of a line: what is read, what is typed into."""
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def begun(front: Terminal | HumanPage, run: Path) -> Person:
    person = Person(front)
    person.begin(run, {})
    return person


def test_the_terminal_asks_again_until_it_understands(
    keyboard: tuple[int, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    read, write = keyboard
    person = begun(Terminal(read), tmp_path)
    os.write(write, b"7\n\nthree\n3\n")
    assert Looking(person, looks("abcd")).numbers == [-1, -1, 0, -1]
    said = capfd.readouterr().err
    assert "q1: a red circle" in said
    for number in "1234":
        assert f"\n  {number}  {tmp_path / 'human' / 'q1' / number}.png\n" in said
    assert said.count("q1 = ") == 4
    for why in ("there is no 7; ", "the answer is empty; ", "'three' is no number; "):
        assert said.count(why) == 1
    os.write(write, b"0\n")
    assert Looking(person, looks("e")).numbers == [-1]
    assert "q2/0.png  (the best so far)\n" in capfd.readouterr().err


def test_the_terminal_asks_one_question_at_a_time(
    keyboard: tuple[int, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two searches wait; each is told what was said to its question."""
    read, write = keyboard
    person = begun(Terminal(read), tmp_path)
    said = ""

    def asked(count: int) -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return said.count("Which is the best?") == count

    one = Looking(person, looks("ab", RED))
    until(lambda: asked(1))
    other = Looking(person, looks("cd", BLUE))
    until(lambda: other.person._looking == 2)
    os.write(write, b"1")  # typed slowly
    time.sleep(0.05)
    assert asked(1), "the second waits for its turn"
    os.write(write, b"\n")
    assert one.numbers == [0, -1]
    until(lambda: asked(2))
    os.write(write, b"2\n")
    assert other.numbers == [-1, 0]
    assert said.index("q1: a red circle") < said.index("q2: two <b>blue</b> squares & more")


def test_the_end_of_input_is_no_answer(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"2\n1")  # the last line without its end
    os.close(write)
    person = begun(Terminal(read), tmp_path)
    assert Looking(person, looks("ab")).numbers == [-1, 0]
    assert Looking(person, looks("c")).numbers == [1]
    why = ["standard input has ended, so nobody can answer"] * 2
    assert Looking(person, looks("de")).numbers == why
    assert Looking(person, looks("fg", BLUE)).numbers == why
    os.close(read)


@pytest.mark.parametrize("on", ["terminal", "page"])
def test_who_waits_is_let_go_when_the_run_stops(
    on: str, keyboard: tuple[int, int], tmp_path: Path
) -> None:
    person = begun(Terminal(keyboard[0]) if on == "terminal" else HumanPage(), tmp_path)
    waiting = [Looking(person, looks("ab", condition)) for condition in (RED, BLUE)]
    until(lambda: person._looking == 2)
    until(lambda: HumanRecord(tmp_path, write=False).open() != [])
    person.close()
    for each in waiting:
        assert each.numbers == ["the run was stopped before an answer came"] * 2


class Read(HTMLParser):
    """What is on a page: elements by their tag, and its text."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page.read_text("utf-8"))
        self.close()
        assert not self.open, "every element that is begun is ended"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data

    def all(self, tag: str, **having: str) -> list[dict[str, str | None]]:
        return [has for name, has in self.elements
                if name == tag and having.items() <= has.items()]  # fmt: skip

    @property
    def questions(self) -> list[str | None]:
        return [section["id"] for section in self.all("section")]


def test_the_page_lists_all_that_is_open(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two searches wait at once; one is answered and goes on, the other stays."""
    person = begun(HumanPage(), tmp_path)
    page, box = tmp_path / "human.html", Box(tmp_path)
    one = Looking(person, looks("abc", RED))
    until(lambda: page.exists() and Read(page).questions == ["q1"])
    other = Looking(person, looks("de", BLUE))
    until(lambda: Read(page).questions == ["q1", "q2"])
    read = Read(page)
    assert "a red circle" in read.text and "two <b>blue</b> squares & more" in read.text
    sources = [image["src"] or "" for image in read.all("img")]
    assert sources == [f"human/q1/{n}.png" for n in "123"] + [f"human/q2/{n}.png" for n in "12"]
    assert all((tmp_path / source).is_file() for source in sources)
    assert all(image["alt"] for image in read.all("img"))
    assert [each["data-number"] for each in read.all("button", **{"class": "candidate"})] == [
        *"123", *"12",
    ]  # fmt: skip
    assert not read.all("link") and not any("src" in each for each in read.all("script"))
    assert f"noisesearch answer {tmp_path}" in str(read.all("input", id="command"))

    box.put({"q1": "2"})
    assert one.numbers == [-1, 0, -1] and Read(page).questions == ["q2"]
    again = Looking(person, looks("f", RED))
    until(lambda: Read(page).questions == ["q2", "q3"])
    assert Read(page).all("img")[-2]["alt"] == "candidate 0 · the best so far"
    box.put({"q3": "0", "q2": "1"})
    assert again.numbers == [-1] and other.numbers == [0, -1]
    assert not Read(page).questions and "Nothing to answer now" in Read(page).text
    person.close()
    assert "The run is over" in Read(page).text
    assert capfd.readouterr().err.count(page.as_uri()) == 1


def test_a_wrong_answer_is_said_on_the_page(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    person = begun(HumanPage(), tmp_path)
    page, box = tmp_path / "human.html", Box(tmp_path)
    one = Looking(person, looks("ab"))
    until(box.path.parent.is_dir)
    why = "there is no 7; give the number of the best (1 to 2)"
    box.put({"q1": "7"})
    until(lambda: page.exists() and why in Read(page).text)
    time.sleep(0.7)  # it is looked at again, and not said again
    box.put({"q1": "1"})
    assert one.numbers == [0, -1]
    assert capfd.readouterr().err.count(f"q1: {why}") == 1


def test_what_is_answered_while_the_run_is_stopped_counts(tmp_path: Path) -> None:
    stopped = begun(HumanPage(), tmp_path)
    waiting = Looking(stopped, looks("ab"))
    until(lambda: (tmp_path / "human.html").exists())
    stopped.close()
    waiting.join(LONG)
    read = Read(tmp_path / "human.html")
    assert read.questions == ["q1"] and "The run is stopped" in read.text
    assert f"noisesearch resume {tmp_path}" in read.text
    Box(tmp_path).put({"q1": "2"})
    for front in (
        HumanPage(),
        Terminal(0),
    ):  # wherever it goes on; the second is told by the record
        assert Looking(begun(front, tmp_path), looks("ab")).numbers == [-1, 0]


def test_an_old_line_answers_no_other_question(tmp_path: Path) -> None:
    """A question that was never answered and is not asked again keeps its name for itself."""
    stopped = begun(HumanPage(), tmp_path)
    waiting = Looking(stopped, looks("ab"))
    until(lambda: (tmp_path / "human.html").exists())
    stopped.close()
    waiting.join(LONG)
    Box(tmp_path).put({"q1": "2"})
    person = begun(HumanPage(), tmp_path)
    other = Looking(person, looks("ac"))
    until(lambda: Read(tmp_path / "human.html").questions == ["q2"])
    assert [question.name for question in HumanRecord(tmp_path, write=False).open()] == ["q2"]
    Box(tmp_path).put({"q2": "1"})
    assert other.numbers == [0, -1]


def test_lines_of_the_box(tmp_path: Path) -> None:
    box = Box(tmp_path)
    assert box.given("q1") is None
    box.path.parent.mkdir()
    box.path.write_text("# mine\nq1 = 3\n q2=2 1 # sure\nq3 = =\nq1 = 4\nnothing\nq4 =", "utf-8")
    said = {name: box.given(name) for name in ("q1", "q2", "q3", "q4", "q5")}
    assert said == {"q1": "4", "q2": "2 1", "q3": "=", "q4": "", "q5": None}


@pytest.mark.parametrize(("tty", "front"), [(True, Terminal), (False, HumanPage)])
def test_it_asks_where_there_is_somebody(
    tty: bool, front: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: tty, raising=False)
    model = model_of("shapes")
    person = selection.verifier_of("human", model)
    assert isinstance(person, Person) and isinstance(person.front, front)
    assert person.terminal == tty and not person.pairs
    chosen = selection.verifier_of(str(Human(on="page", show="pairs")), model)
    assert isinstance(chosen, Person) and isinstance(chosen.front, HumanPage) and chosen.pairs
    with pytest.raises(ConfigError, match=r"on: .*'terminal' or 'page'"):
        selection.verifier_of("human(on=paper)", model)
