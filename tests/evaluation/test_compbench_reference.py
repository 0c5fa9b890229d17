"""T2I-CompBench's scores against what the published code gives for the same cases."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisesearch.evaluation.compbench import attributes, numeracy, spatial
from noisesearch.evaluation.compbench import combined_rule as combined
from noisesearch.evaluation.compbench import prompts as compbench
from noisesearch.evaluation.compbench.detections import Detection, framed
from noisesearch.evaluation.compbench.words import Chunk, Parsed, Word

# Enough of the benchmark's list of objects for the cases: singular - plural.
OBJECTS = """boy - boys
airplane - airplanes
dog - dogs
cat - cats
car - cars
ship - ships
goldfish - goldfish
painting - paintings
television - televisions
candle - candles
apple - apples
book - books
cup - cups
"""
Cases = dict[str, Any]


@pytest.fixture(scope="module")
def nouns(tmp_path_factory: pytest.TempPathFactory) -> numeracy.Nouns:
    path = tmp_path_factory.mktemp("objects") / "new_objects.txt"
    path.write_text(OBJECTS)
    return numeracy.Nouns.read(path)


@pytest.fixture
def cases(reference_path: Callable[[str], Path]) -> Cases:
    found: Cases = json.loads(reference_path("t2i_compbench_cases.json").read_text())
    return found


def detections(case: Cases) -> list[Detection]:
    return [Detection(d["label"], tuple(d["box"]), d["score"]) for d in case["detections"]]


def parsed(case: Cases) -> Parsed:
    """With the parts of speech that the published code saw."""
    return Parsed(tuple(Word(*word) for word in case["tokens_pos"]))


def each(of: Cases, count: int) -> Iterator[Cases]:
    assert len(of["cases"]) == count
    yield from of["cases"]


def test_positions(cases: Cases) -> None:
    for case in each(cases["determine_position"], 216):
        got = spatial.position(case["locality"], tuple(case["box1"]), tuple(case["box2"]))
        assert got == pytest.approx(case["position_score"], abs=1e-12), case


def test_simple_spatial_prompts(cases: Cases) -> None:
    got = []
    for case in each(cases["spatial_2d_simple"], 24):
        pair, where = spatial.simple_objects(parsed(case)), spatial.locality(case["prompt"])
        assert (*pair, where) == (case["obj1"], case["obj2"], case["locality"])
        got.append(spatial.score(detections(case), pair, where))
        assert got[-1] == pytest.approx(case["score"], abs=1e-6), case["note"]
    published = float(cases["spatial_2d_simple"]["average_file"].split(":")[1])
    assert np.mean(got) == pytest.approx(published, abs=1e-6)


def test_complex_spatial_prompts(cases: Cases) -> None:
    for case in each(cases["spatial_2d_complex"], 7):
        pair, where = spatial.complex_objects(parsed(case)), spatial.locality(case["prompt"])
        assert (*pair, where) == (case["obj1"], case["obj2"], case["locality"])
        got = spatial.score(detections(case), pair, where)
        assert got == pytest.approx(case["score"], abs=1e-6), case


def test_numeracy(cases: Cases, nouns: numeracy.Nouns) -> None:
    for case in each(cases["numeracy"], 22):
        assert numeracy.tokens(case["prompt"]) == case["tokens"]
        wanted = numeracy.counts(case["tokens"], nouns)
        got = numeracy.score(detections(case), wanted)
        if case["score"] is None:  # the published code divides by the number of kinds, 0
            assert case["raises"] == "ZeroDivisionError" and not wanted and np.isnan(got)
            continue
        assert wanted == [tuple(pair) for pair in case["parsed"]]
        assert got == pytest.approx(case["score"], abs=1e-6), case["note"]


def test_boxes_of_one_thing(cases: Cases) -> None:
    for case in each(cases["numeracy_calculate_iou"], 10):
        assert numeracy.same(tuple(case["a"]), tuple(case["b"])) == bool(case["duplicate"]), case


def test_answers_of_blip_vqa(cases: Cases) -> None:
    got = []
    for case in each(cases["blip_vqa"], 10):
        chunks = tuple(Chunk(text, text.split()[-1], 0) for text in case["noun_chunks"])
        asked = attributes.questions(Parsed((), chunks))
        assert asked == [question for question in case["questions"] if question]
        yes = [float(p) for p in case["p_yes_per_question"][: len(asked)]]
        got.append(attributes.score(yes))
        assert f"{got[-1]:.4f}" == case["answer"]
    published = float(cases["blip_vqa"]["score_file"].split(":")[1])
    assert np.mean(got) == pytest.approx(published, abs=1e-12)


def test_probabilities_are_rounded_as_published(cases: Cases) -> None:
    of = cases["blip_vqa_prob"]
    for yes, written in zip(of["prob"], of["formatted"], strict=True):
        assert f"{attributes.score([yes]):.4f}" == written


def test_three_in_one(cases: Cases, tmp_path: Path) -> None:
    of = cases["three_in_one"]
    for name in ("spatial", "action"):
        lines = "\n".join(of[f"complex_val_{name}"])
        (tmp_path / f"complex_val_{name}.txt").write_text(lines)
    branches = combined.Branches.read(tmp_path)
    named = {("attribute", "spatial"): "spatial", ("attribute", "action"): "action",
             combined.WHOLE: "both"}  # fmt: skip
    counting = [branches.of(prompt) for prompt in of["complex_val"]]
    assert [named[parts] for parts in counting] == of["branch"]
    got = []
    for i in range(len(of["total"])):
        scores = {"attribute": of["attribute_blip_vqa"][i], "spatial": of["spatial_unidet"][i],
                  "action": of["action_clip"][i]}  # fmt: skip
        got.append(combined.score(scores, counting[i // of["images_per_prompt"]]))
    assert got == pytest.approx(of["total"], abs=1e-12)
    published = float(of["score_file"].split(":")[1])
    assert np.mean(got) == pytest.approx(published, abs=1e-12)


def test_the_sizes_of_the_prompt_files(cases: Cases, tmp_path: Path) -> None:
    """Files of the published sizes, with their doubles and no final newline, are read whole."""
    published = cases["prompt_files"]
    assert len(published) == 37
    for name, of in published.items():
        lines, unique = of["lines_non_empty"], of["unique"]
        numbers = [min(i, unique - 1) for i in range(lines)]
        if name == compbench.OBJECTS:
            (tmp_path / name).write_text("\n".join(f"ox{i} - oxen{i}" for i in numbers))
            assert len(numeracy.Nouns.read(tmp_path / name).singular) == unique
            continue
        (tmp_path / name).write_text("\n\n".join(f"a {name} number {i}" for i in numbers))
        got = compbench.prompts(str(tmp_path / name))
        assert len(got) == lines and len({prompt.text for prompt in got}) == unique
    assert set(compbench.LINES) == {Path(name).stem for name in published} - {"new_objects"}


def test_the_branches_of_the_complex_prompts(cases: Cases, tmp_path: Path) -> None:
    """As many prompts of each branch as were counted in the real files."""
    sizes = {"spatial": 58, "action": 212, "spatialaction": 30}
    texts = {of: [f"A {of} {i}." for i in range(count)] for of, count in sizes.items()}
    for of, lines in texts.items():
        (tmp_path / f"complex_val_{of}.txt").write_text("\n".join(lines).lower())
    (tmp_path / "complex_val.txt").write_text("\n".join(itertools.chain(*texts.values())))
    got = Counter(p.truth["parts"] for p in compbench.prompts(f"{tmp_path}/complex_val"))
    published = cases["complex_val_branches"]
    assert got[("attribute", "spatial")] == published["spatial+attribute"]
    assert got[("attribute", "action")] == published["action+attribute"]
    assert got[combined.WHOLE] == published["all three"]


@pytest.mark.parametrize(("height", "width", "wanted"), [
    (1024, 1024, (479.0, 479.0)), (720, 1280, (480.0, 270.0)), (239.5, 239.5, (479.0, 479.0)),
])  # fmt: skip
def test_the_frame_of_distances(height: int, width: int, wanted: tuple[float, float]) -> None:
    [got] = framed([Detection("dog", (0, 0, width, height), 1.0)], height, width)
    assert got.box == pytest.approx((0, 0, *wanted))
