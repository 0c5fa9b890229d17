"""Every option and argument of every command, with texts and numbers that nobody should give it.

What there is to fuzz is asked of the command line itself: a new option is fuzzed at once, and a
new command fails here until :data:`USUAL` says how it is called.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from hostile import NUMBERS, TEXTS, command, fuzz, tree
from hypothesis import strategies as st
from typer.core import TyperArgument, TyperCommand, TyperOption

from noisesearch.cli import app
from noisesearch.driver.driver import Watcher
from noisesearch.runs.results import Results
from noisesearch.runs.run import Run, Workers

MODEL = "noisesearch.testing.mixture_model:MixtureModel"
VIVID = "def vivid(images, conditions):\n    return images.std(dim=(1, 2, 3)) * 10\n"
EXPERIMENT = f"""
summary = "s"
prompts = ["a"]
defaults = {{ model = "{MODEL}", verifier = "vivid.py:vivid", steps = 2 }}
[[arms]]
name = "r"
candidates = 2
"""
BY = ("--model", MODEL, "--verifier", "vivid.py:vivid")
SEARCH = (*BY, "--algorithm", "random", "--steps", "2", "--budget", "2candidates")
# How a command is called so that it has little to do; what is fuzzed comes after these words, and
# so in place of what they say of it.
USUAL: tuple[tuple[str, ...], ...] = (
    ("generate", "a", *SEARCH, "--out", "new"),
    ("list", "models"),
    ("show", "run"),
    ("show", "run/best.png"),
    ("resume", "run"),
    ("trust", "run"),
    ("rerank", "run"),
    ("export", "run", "--latents"),
    ("export", "run", "--format", "csv"),
    ("export", "run", "--format", "preferences"),
    ("compare", "random", *BY, "--prompts", "p.txt", "--budgets", "2", "--out", "new"),
    ("calibrate", MODEL, "--verifier", "vivid.py:vivid", "--draft", "steps:1", "--prompts",
     "p.txt", "--candidates", "3", "--steps", "2", "--out", "new"),
    ("check-verifier", "vivid.py:vivid", "--size", "8"),
    ("answer", "run"),
    ("evaluate", "run", "--metrics", "diversity"),
    ("evaluate", "run/samples", "--metrics", "diversity"),
    ("report", "run"),
    ("run", "p.txt", *SEARCH, "--out", "new"),
    ("run", "e.toml", "--out", "new"),
    ("reproduce", "fig15", "--plan", "--limit", "1"),
)  # fmt: skip
COMMANDS: dict[str, TyperCommand] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def given(text: str) -> str:
    """As a shell can give it, without a place outside of the test's folder, and without code that
    is there: what a user names is run."""
    text = text.replace("\x00", "").replace("\ud800", "\udcff")  # a byte that is no UTF-8
    text = text.replace("os:abort", "os:nothing")
    return "../../victim/x" if text.startswith("/") else text


FIXED = [*map(given, TEXTS), *map(str, NUMBERS), "class:" + "9" * 5000, "a=nan", "[[", "1,2", "²"]
texts = st.one_of(
    st.sampled_from(FIXED),
    st.text(max_size=20).map(lambda text: given(text.encode("utf-8", "replace").decode())),
    st.integers(-(2**70), 2**70).map(str),
).filter(lambda text: "/" not in text or text in FIXED)


OUTPUTS = ("out", "page")  # there the user says where something is to be written


@dataclass(frozen=True)
class Hole:
    """A place in a command line that something can be put into."""

    line: tuple[str, ...]
    parameter: TyperOption | TyperArgument

    def filled(self, text: str) -> list[str]:
        if self.parameter.name in OUTPUTS:
            text = text.replace("../", "")
        if isinstance(self.parameter, TyperOption):
            name = self.parameter.opts[-1]
            return [*self.line, *([name] if self.parameter.is_flag else [name, text])]
        arguments = [p for p in COMMANDS[self.line[0]].params if isinstance(p, TyperArgument)]
        at = 1 + arguments.index(self.parameter)
        there = at < len(self.line) and not self.line[at].startswith("-")
        return [*self.line[:at], text, *self.line[at + there :]]


def holes(line: tuple[str, ...]) -> Iterator[Hole]:
    for parameter in COMMANDS[line[0]].params:
        assert isinstance(parameter, TyperOption | TyperArgument)
        yield Hole(line, parameter)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the usual command lines name."""
    folder = tmp_path_factory.mktemp("options")
    (folder / "vivid.py").write_text(VIVID)
    (folder / "p.txt").write_text("a\n")
    (folder / "e.toml").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert command("generate", "a", *SEARCH, "--out", "run").status == 0
    return folder


@pytest.fixture
def refused_or_done(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str]], None]:
    """Runs a command in a copy of the template, beside which nothing may change. A search that is
    begun ends after a second, since a large budget is nothing wrong."""
    whole = Run.execute

    def brief(
        run: Run,
        watcher: Watcher | None = None,
        seconds: float | None = None,
        where: Workers | None = None,
    ) -> Results:
        return whole(run, watcher, min(seconds or 1, 1), where)

    monkeypatch.setattr(Run, "execute", brief)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "note").write_text("somebody else's")
    folder = tmp_path / "mine" / "here"

    def run(words: list[str]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        monkeypatch.chdir(folder)
        before = tree(tmp_path, but=folder)
        ended = command(*words)
        assert ended.status in (0, 2), (words, ended)
        assert tree(tmp_path, but=folder) == before, words

    return run


def test_a_name_that_is_no_text(template: Path, tmp_path: Path) -> None:
    """A file's name is bytes; where they are no letters it is written all the same, and said."""
    done = command("report", template / "run", "--out", tmp_path / "\udcff.html")
    assert done.status == 0 and "\\udcff.html" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["\udcff.html"]


def test_every_command_is_fuzzed() -> None:
    assert {line[0] for line in USUAL} == COMMANDS.keys()


@pytest.mark.parametrize("line", USUAL, ids=lambda line: " ".join(line[:2]))
def test_every_option(line: tuple[str, ...], refused_or_done: Callable[..., None]) -> None:
    """Each with another of the texts; the slow test has nine or ten for each."""
    refused_or_done(list(line))
    for number, hole in enumerate(holes(line), USUAL.index(line)):
        refused_or_done(hole.filled(FIXED[number % len(FIXED)]))


@pytest.mark.slow
@pytest.mark.parametrize("line", USUAL, ids=lambda line: " ".join(line[:2]))
def test_every_option_with_more_texts(
    line: tuple[str, ...], refused_or_done: Callable[..., None]
) -> None:
    for number, hole in enumerate(holes(line)):
        for text in FIXED[number % 4 :: 4]:
            refused_or_done(hole.filled(text))


@pytest.mark.slow
def test_drawn_texts(refused_or_done: Callable[..., None]) -> None:
    every = [hole for line in USUAL for hole in holes(line)]
    fuzz(
        lambda hole, text: refused_or_done(hole.filled(text)), 400,
        hole=st.sampled_from(every), text=texts,
    )  # fmt: skip
