"""The tagger that T2I-CompBench's code uses, where it is installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from taggers import english

from noisesearch.evaluation.compbench import attributes


def test_the_parser_sees_what_the_published_code_saw(
    reference_path: Callable[[str], Path],
) -> None:
    """With spaCy and its small model of English, where they are installed."""
    cases = json.loads(reference_path("t2i_compbench_cases.json").read_text())
    parse = english()
    for case in (*cases["spatial_2d_simple"]["cases"], *cases["spatial_2d_complex"]["cases"]):
        got = parse(case["prompt"])
        assert [[word.text, word.pos] for word in got.words] == case["tokens_pos"]
    for case in cases["blip_vqa"]["cases"]:
        wanted = [question for question in case["questions"] if question]
        assert attributes.questions(parse(case["prompt"])) == wanted
