"""Measure how often the shapes checker errs, on its own world and on easy-VQA's pictures.

Run `python training/measure_checker.py`; it prints JSON. The second part needs the package
`easy-vqa`, whose pictures and answers others made.
Thresholds were chosen on its train half only; the test half is what is reported by default.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from noisesearch.worlds.shapes.checker import check, judge
from noisesearch.worlds.shapes.parser import DetectedThing, read
from noisesearch.worlds.shapes.render import render
from noisesearch.worlds.shapes.scene import (
    COLOURS,
    MAX_COUNT,
    MAX_THINGS,
    RELATIONS,
    SHAPES,
    Spec,
    ThingGroup,
    sample_scene,
    sample_spec,
)

Image3 = npt.NDArray[np.float64]
BLUR = 0.5  # pixels
NOISE = 0.03  # of the range of a channel
ANY_ASPECT = 8.0  # easy-VQA's rectangles are our squares at any aspect
FIGURES = {"circle": "circle", "triangle": "triangle", "rectangle": "square"}
HUES = ("red", "green", "blue", "yellow", "teal", "brown", "black", "gray")


# ---- the world's own pictures -----------------------------------------------------------


def variants(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> dict[str, Image3]:
    """The picture as painted, blurred, noisy, and both."""
    clean = image / 255.0
    blurred = ndimage.gaussian_filter(clean, (BLUR, BLUR, 0))
    noise = rng.normal(0, NOISE, clean.shape)
    return {
        "clean": clean,
        "blurred": blurred,
        "noisy": np.clip(clean + noise, 0, 1),
        "blurred and noisy": np.clip(blurred + noise, 0, 1),
    }


def wrong_specs(spec: Spec, rng: np.random.Generator) -> dict[str, Spec]:
    """Per aspect the Spec with one attribute of one group, or the relation, made wrong."""
    index = int(rng.integers(len(spec.groups)))
    group = spec.groups[index]
    wrong = {"shape": replace(group, shape=other(SHAPES, group.shape, rng))}
    if group.colour is not None:
        wrong["colour"] = replace(group, colour=other(COLOURS, group.colour, rng))
    specs = {aspect: with_group(spec, index, changed) for aspect, changed in wrong.items()}
    specs["number"] = wrong_number(spec, rng)
    if spec.relation in RELATIONS:
        specs["relation"] = Spec(spec.groups[::-1], spec.relation)
    return specs


def wrong_number(spec: Spec, rng: np.random.Generator) -> Spec:
    """The Spec with another number of things in one group, still within the world's limits."""
    room = MAX_THINGS - spec.total
    ways = [
        with_group(spec, index, replace(group, count=count))
        for index, group in enumerate(spec.groups)
        for count in range(1, min(MAX_COUNT, group.count + room) + 1)
        if count != group.count
    ]
    return ways[int(rng.integers(len(ways)))]


def with_group(spec: Spec, index: int, group: ThingGroup) -> Spec:
    """The Spec with one group replaced."""
    groups = list(spec.groups)
    groups[index] = group
    return Spec(tuple(groups), spec.relation)


def other(options: tuple[Any, ...], current: Any, rng: np.random.Generator) -> Any:
    """Any option but the current one."""
    rest = [option for option in options if option != current]
    return rest[int(rng.integers(len(rest)))]


def measure_world(count: int, seed: int) -> dict[str, Any]:
    """Error rates over `count` pictures: true prompts refused, wrong prompts accepted."""
    rng = np.random.default_rng(seed)
    refused: dict[str, list[bool]] = defaultdict(list)
    accepted: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    flagged: dict[str, list[bool]] = defaultdict(list)
    for _ in range(count):
        spec = sample_spec(rng, "any")
        wrong = wrong_specs(spec, rng)
        image = render(sample_scene(rng, spec))
        for name, variant in variants(image, rng).items():
            seen = read(variant)
            refused[name].append(not judge(seen, spec).full)
            for aspect, changed in wrong.items():
                verdict = judge(seen, changed)
                accepted[name][aspect].append(verdict.full)
                flagged[aspect].append(not getattr(verdict, aspect))
    return {
        "pictures": count,
        "true prompt refused": rates(refused),
        "wrong prompt accepted": {name: rates(by) for name, by in accepted.items()},
        "wrong aspect named by the verdict": rates(flagged),
    }


def rates(outcomes: dict[str, list[bool]]) -> dict[str, float]:
    """The share of True in each list."""
    return {name: round(float(np.mean(values)), 5) for name, values in outcomes.items()}


def measure_speed(count: int, seed: int) -> dict[str, float]:
    """Processor milliseconds per check of a 32x32 picture: mean and 99th percentile."""
    rng = np.random.default_rng(seed)
    times = []
    for _ in range(count):
        spec = sample_spec(rng, "any")
        image = render(sample_scene(rng, spec))
        start = time.process_time()
        check(image, spec)
        times.append(1000 * (time.process_time() - start))
    return {
        "mean": round(float(np.mean(times)), 2),
        "p99": round(float(np.quantile(times, 0.99)), 2),
    }


# ---- easy-VQA's pictures ----------------------------------------------------------------


def easy_vqa_data() -> Path:
    """The folder of the installed package's data; SystemExit if it is not installed."""
    found = importlib.util.find_spec("easy_vqa")
    if found is None or found.origin is None:
        raise SystemExit(
            "The package easy-vqa is not installed; run `pip install easy-vqa`, or skip this "
            "part with --no-easy-vqa."
        )
    return Path(found.origin).parent / "data"


def easy_vqa_truth(folder: Path) -> dict[int, tuple[str, str]]:
    """Per picture its (colour, shape) in our words, where questions and answers tell both."""
    colours: dict[int, str] = {}
    shapes: dict[int, str] = {}
    for question, answer, index in json.loads((folder / "questions.json").read_text("utf-8")):
        for told in asserted(question, answer):
            if told in FIGURES:
                shapes[index] = FIGURES[told]
            else:
                colours[index] = "grey" if told == "gray" else told
    return {index: (colours[index], shapes[index]) for index in colours.keys() & shapes.keys()}


def asserted(question: str, answer: str) -> list[str]:
    """The colours and shapes that a question and its answer together affirm."""
    words = question.rstrip("?").split()
    denied = "not" in words or "no" in words
    if answer in ("yes", "no") and (answer == "yes") == denied:
        return []
    return [word for word in (*words, answer) if word in HUES or word in FIGURES]


def measure_easy_vqa(split: str) -> dict[str, Any]:
    """Accuracies over one half of easy-VQA; a picture read as more than one thing is wrong."""
    folder = easy_vqa_data() / split
    truth = easy_vqa_truth(folder)
    right: dict[str, list[bool]] = defaultdict(list)
    mistakes: dict[str, int] = defaultdict(int)
    for index, (colour, shape) in sorted(truth.items()):
        with Image.open(folder / "images" / f"{index}.png") as file:
            seen = read(np.asarray(file.convert("RGB")), max_aspect=ANY_ASPECT)
        thing = seen[0] if len(seen) == 1 else DetectedThing(f"{len(seen)} things", "", 0, 0, 0, 0)
        right["colour"].append(thing.colour == colour)
        right["shape"].append(thing.shape == shape)
        right["both"].append(thing.colour == colour and thing.shape == shape)
        if not right["both"][-1]:
            mistakes[f"{colour} {shape} read as {thing.colour} {thing.shape}"] += 1
    common = sorted(mistakes.items(), key=lambda item: -item[1])[:10]
    return {"pictures": len(truth), "accuracy": rates(right), "commonest mistakes": dict(common)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--split", choices=("train", "test"), default="test")
    parser.add_argument("--no-easy-vqa", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    if not options.no_easy_vqa:
        result[f"easy-VQA, {options.split} half"] = measure_easy_vqa(options.split)
    if options.pictures:
        result["own world"] = measure_world(options.pictures, options.seed)
        result["milliseconds per check"] = measure_speed(min(options.pictures, 300), options.seed)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
