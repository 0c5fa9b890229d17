"""Prompts: whatever can be said can be read back, and what cannot is explained."""

from __future__ import annotations

import numpy as np
import pytest

from noisesearch.errors import ConfigError
from noisesearch.worlds.shapes.prompts import (
    PROMPT_LENGTH,
    VOCABULARY,
    canonical,
    describe,
    parse,
    tokenize,
    unconditional,
)
from noisesearch.worlds.shapes.scene import Spec, ThingGroup, sample_spec


def test_reading_inverts_saying() -> None:
    rng = np.random.default_rng(2)
    said = set()
    for _ in range(2000):
        spec = sample_spec(rng, "any")
        prompt = describe(spec, rng)
        assert parse(prompt) == spec, prompt
        assert parse(canonical(spec)) == spec
        assert tokenize(prompt).shape == (PROMPT_LENGTH,)
        said.update(prompt.split())
    assert said == set(VOCABULARY[2:])  # no word is in the vocabulary that is never said


@pytest.mark.parametrize(
    ("prompt", "spec"),
    [
        ("Two red circles.", Spec((ThingGroup(2, "red", "circle"),))),
        ("there is an ORANGE disc", Spec((ThingGroup(1, "orange", "circle"),))),
        (
            "a ring to the right of three green crosses",
            Spec((ThingGroup(3, "green", "cross"), ThingGroup(1, None, "ring")), "left of"),
        ),
        (
            "Below a blue circle is a red square",
            Spec((ThingGroup(1, "blue", "circle"), ThingGroup(1, "red", "square")), "above"),
        ),
        (
            "a pair of violet boxes and 1 golden plus sign",
            Spec((ThingGroup(2, "purple", "square"), ThingGroup(1, "yellow", "cross")), "and"),
        ),
        (
            "on the left of a gray hoop, there are two cyan rhombuses!",
            Spec((ThingGroup(2, "teal", "diamond"), ThingGroup(1, "grey", "ring")), "left of"),
        ),
    ],
)
def test_reading_by_example(prompt: str, spec: Spec) -> None:
    assert parse(prompt) == spec


def test_plain_words() -> None:
    spec = parse("underneath an azure box there are three emerald donuts")
    assert canonical(spec) == "a blue square above three green rings"


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a red cirle", r"unknown word 'cirle' \(did you mean 'circle'\?\).*list words"),
        ("a pink xylophone", "unknown words 'pink'.*, 'xylophone'"),
        ("", "empty prompt"),
        (" ?! ", "empty prompt"),
        ("red a circle", "Could not read.*a blue square above two yellow rings"),
        ("a red circle above", "Could not read"),
        ("a red circle a blue ring", "Could not read"),
        ("a red circle above a ring below a disc", "Could not read"),
        ("below a ring", "Could not read"),
        ("three rings and two discs", "5 things"),
    ],
)
def test_what_cannot_be_read_is_explained(prompt: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(prompt)


def test_tokens() -> None:
    ids = tokenize("A red circle")
    assert [VOCABULARY[i] for i in ids[:3]] == ["a", "red", "circle"]
    assert ids.dtype == np.int64 and not ids[3:].any()
    assert unconditional().tolist() == [1] + [0] * (PROMPT_LENGTH - 1)
    assert VOCABULARY[:2] == ("<pad>", "<none>")
    assert list(VOCABULARY[2:]) == sorted(set(VOCABULARY[2:]))
    with pytest.raises(ConfigError, match="17 words"):
        tokenize("a " * 17)
    with pytest.raises(ConfigError, match="'zebra'"):
        tokenize("a zebra")
