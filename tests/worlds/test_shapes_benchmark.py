"""The benchmark: fixed, distinct, readable, and kept from training."""

from __future__ import annotations

import json
from collections import Counter

from noisesearch.worlds.shapes.benchmark import CATEGORIES, PATH, build, is_reserved, load
from noisesearch.worlds.shapes.prompts import parse, tokenize
from noisesearch.worlds.shapes.scene import spec_from_json


def test_six_categories_of_fifty() -> None:
    counts = Counter(prompt.category for prompt in load())
    assert counts == dict.fromkeys(CATEGORIES, 50)
    assert tuple(CATEGORIES) == (
        "colour", "shape", "spatial", "numeracy", "complex", "held-out",
    )  # fmt: skip


def test_the_file_is_what_its_seed_draws() -> None:
    assert json.loads(PATH.read_text("utf-8")) == build()


def test_prompts_mean_what_is_written_beside_them() -> None:
    for entry in json.loads(PATH.read_text("utf-8"))["prompts"]:
        assert parse(entry["prompt"]) == spec_from_json(entry["spec"])
        tokenize(entry["prompt"])


def test_prompts_are_distinct_and_reserved() -> None:
    specs = [parse(prompt.prompt) for prompt in load()]
    assert len(set(specs)) == 300
    assert all(is_reserved(spec) for spec in specs)
    assert not is_reserved(parse("two red circles below a brown ring"))


def test_held_out_combinations_stay_in_their_category() -> None:
    for prompt in load():
        assert parse(prompt.prompt).held_out == (prompt.category == "held-out")


def test_categories_ask_for_what_they_name() -> None:
    for category, prompt in ((p.category, p.prompt) for p in load()):
        spec = parse(prompt)
        related = spec.relation in ("left of", "above")
        assert related or category not in ("spatial", "complex")
        if category in ("numeracy", "complex"):
            assert spec.total > len(spec.groups)
        if category == "colour" and len(spec.groups) == 2:
            assert spec.groups[0].shape == spec.groups[1].shape
        if category == "shape" and len(spec.groups) == 2:
            assert spec.groups[0].colour == spec.groups[1].colour
