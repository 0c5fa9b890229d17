"""Words of a prompt: what part of speech each is, and which belong together."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ...errors import ConfigError

MODEL = "en_core_web_sm"  # of the published code


@dataclass(frozen=True)
class Word:
    """``pos``: one of the universal parts of speech, such as NOUN."""

    text: str
    pos: str = ""


@dataclass(frozen=True)
class Chunk:
    """A noun with what belongs to it. ``root``: that noun; ``start``: the index of its first
    word."""

    text: str
    root: str
    start: int


@dataclass(frozen=True)
class Parsed:
    words: tuple[Word, ...]
    chunks: tuple[Chunk, ...] = ()


Parser = Callable[[str], Parsed]


@cache
def parser(model: str) -> Parser:
    """spaCy with this model of English, which sees each prompt once; ConfigError where they are
    not installed."""
    try:
        spacy = importlib.import_module("spacy")
    except ImportError as error:
        raise ConfigError(
            f"the nouns of prompts are found by the package spacy ({error}): "
            f"pip install 'noisesearch[compbench]'; then python -m spacy download {MODEL}"
        ) from error
    try:
        language: Callable[[str], Any] = spacy.load(model)
    except (OSError, ImportError, ValueError) as error:
        raise ConfigError(
            f"spaCy has no model {model!r} here: python -m spacy download {MODEL}, or name "
            "another with the setting words"
        ) from error

    @cache
    def parse(prompt: str) -> Parsed:
        document = language(prompt)
        words = tuple(Word(token.text, token.pos_) for token in document)
        chunks = (Chunk(c.text, c.root.text, c.start) for c in document.noun_chunks)
        return Parsed(words, tuple(chunks))

    return parse
