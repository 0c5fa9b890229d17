"""Names with settings as text."""

from pathlib import Path

import pytest

from noisesearch.errors import ConfigError
from noisesearch.models.choice import model_of
from noisesearch.names.forms import form, numeral, separated, with_absolute_paths, written
from noisesearch.setup import selection
from noisesearch.verifiers.protocol import FunctionVerifier
from noisesearch.verifiers.settings import VerifierSettings


def test_names_with_and_without_settings() -> None:
    assert written("clipscore") == ("clipscore", {})
    assert written(" clipscore( weights = /a/b , dtype=float16) ") == (
        "clipscore",
        {"weights": "/a/b", "dtype": "float16"},
    )
    assert written("x(command=f(a, b))") == ("x", {"command": "f(a, b)"})


def test_whole_numbers() -> None:
    """Python reads other scripts' digits as well, and refuses thousands of them with an error."""
    assert [numeral(text) for text in ("0", "007", str(2**64))] == [0, 7, 2**64]
    for text in ("", "-1", " 1", "1.0", "²", "٣", "9" * 5000):
        assert numeral(text) is None, text


def test_commas_inside_brackets_and_quotes_do_not_part() -> None:
    assert separated('a, b(c=1, d=2), e(f="g, h"), ') == ["a", "b(c=1, d=2)", 'e(f="g, h")']
    assert separated(r'a(b=":) \", c"), d') == [r'a(b=":) \", c")', "d"]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a b",
        "a, b",
        "f(a, b)",
        ":)",
        'is it "{}", yes?',
        '"a"',
        '5" \\',
        " a",
        "é",
        "long " * 999,
    ],
)
def test_a_value_is_read_as_it_was_written(value: str) -> None:
    text = form("x", {"first": value, "second": "1"})
    assert separated(f"{text}, y") == [text, "y"]
    assert written(text) == ("x", {"first": value, "second": "1"})
    assert written(with_absolute_paths(text)) == written(text)


@pytest.mark.parametrize("text", ["clipscore(weights=/a", "clipscore(/a)"])
def test_what_cannot_be_read_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"bracket|NAME=VALUE"):
        written(text)


def test_paths_become_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "head").touch()
    monkeypatch.chdir(tmp_path)
    assert (
        with_absolute_paths("aesthetic(weights=head, x=2)")
        == f"aesthetic(weights={tmp_path / 'head'}, x=2)"
    )


class Brightness(VerifierSettings):
    """How bright an image is."""

    name = "brightness"
    power: float = 1.0

    def open(self) -> FunctionVerifier:
        return FunctionVerifier(lambda x, _: x.mean((1, 2, 3)) ** self.power, "brightness")


def test_settings_as_objects_and_as_text_are_one() -> None:
    assert str(Brightness(power=2)) == "brightness(power=2.0)"
    assert written(str(Brightness())) == ("brightness", {})
    model = model_of("shapes")
    assert selection.verifier_names(Brightness(power=2), model, {}) == ["brightness(power=2.0)"]
    opened = selection.verifier_of(f"{__file__}:Brightness(power=2)", model)
    assert opened.name == "brightness"
    with pytest.raises(ConfigError, match="did you mean 'power'"):
        selection.verifier_of(f"{__file__}:Brightness(powr=2)", model)
    with pytest.raises(ConfigError, match="takes no parameters"):
        selection.verifier_of("clipscore(weights=/tmp)", model)
