"""Measure the trained networks of the shapes world and write the figures beside this file.

    PYTHONPATH=training python training/results/measure.py accuracy --size shapes
    PYTHONPATH=training python training/results/measure.py verifiers

No prompt measured on was trained on: `accuracy` takes the benchmark's, `verifiers` fresh ones.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from noisesearch.worlds.shapes import benchmark, network, scorers
from noisesearch.worlds.shapes.checker import CheckerVerdict, check
from noisesearch.worlds.shapes.prompts import describe, tokenize
from noisesearch.worlds.shapes.render import render
from noisesearch.worlds.shapes.scene import is_reserved, sample_scene, sample_spec
from shapes_data import (
    ATTRIBUTES,
    caption,
    falsify,
    images_of,
    loose_scene,
    sample,
    spoil,
    write_grid,
)
from shapes_verifiers import beauty

RESULTS = Path(__file__).parent
STEPS, GUIDANCES = (8, 12, 16, 20), (1.0, 1.5, 2.0, 3.0, 4.0)
NAMES = ("image-text", "preference", "taste")


def verdicts(images: Tensor, prompts: list[str]) -> list[CheckerVerdict]:
    """What the checker says of images [B, 3, 32, 32] in [0, 1]."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return [check(pixel, prompt) for pixel, prompt in zip(pixels, prompts, strict=True)]


def many(
    model: network.ShapesTransformer, prompts: list[str], steps: int, guidance: float, seed: int
) -> Tensor:
    """Images for any number of prompts, 64 at a time."""
    parts = [prompts[start : start + 64] for start in range(0, len(prompts), 64)]
    return torch.cat(
        [sample(model, part, steps, guidance, seed + i) for i, part in enumerate(parts)]
    )


def accuracy(size: str, every: int) -> list[dict[str, object]]:
    """The share of benchmark prompts wholly right, by category, steps and guidance."""
    model, chosen = network.load(size), benchmark.load()[::every]
    prompts = [each.prompt for each in chosen]
    table: list[dict[str, object]] = []
    for steps, guidance in itertools.product(STEPS, GUIDANCES):
        right = [v.full for v in verdicts(many(model, prompts, steps, guidance, 100), prompts)]
        row: dict[str, object] = {
            "steps": steps,
            "guidance": guidance,
            "full": round(float(np.mean(right)), 3),
        }
        for category in benchmark.CATEGORIES:
            hits = [r for r, each in zip(right, chosen, strict=True) if each.category == category]
            row[category] = round(float(np.mean(hits)), 2)
        table.append(row)
        print(row, flush=True)
    return table


def speed(size: str) -> dict[str, float]:
    """Seconds of a forward of 64 rows in either precision."""
    model, result = network.load(size), {}
    x, t = torch.randn(64, 3, 32, 32), torch.rand(64)
    context = model.encode(torch.zeros(64, 16, dtype=torch.int64))
    for name, half in (("float32", False), ("bfloat16", True)):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            model(x, t, context)
            began = time.perf_counter()
            for _ in range(10):
                model(x, t, context)
        result[name] = round((time.perf_counter() - began) / 10, 4)
    return result


# ---- verifiers --------------------------------------------------------------------------


def telling_apart(net: scorers.ImageText, count: int = 500) -> dict[str, float]:
    """Per attribute, how often the true caption beats one with that attribute false."""
    rng, result = np.random.default_rng(900), {}
    for attribute in ATTRIBUTES:
        images, true, false = [], [], []
        while len(images) < count:
            spec = sample_spec(rng, split="any")
            wrong = falsify(spec, attribute, rng)
            if wrong is not None:
                images.append(render(sample_scene(rng, spec)))
                true.append(caption(spec, rng))
                false.append(caption(wrong, rng))
        seen = images_of(np.stack(images))
        better = net.score(seen, torch.from_numpy(np.stack(true))) > net.score(
            seen, torch.from_numpy(np.stack(false))
        )
        result[attribute] = round(float(better.float().mean()), 3)
    return result


def taste_correlation(net: scorers.Taste, count: int = 2000) -> float:
    """Spearman's correlation with the noiseless rating of new pictures."""
    rng, generator = np.random.default_rng(901), torch.Generator().manual_seed(901)
    scenes = [loose_scene(rng) for _ in range(count)]
    stored = np.stack([render(scene) for scene in scenes])
    clean = [beauty(*each) for each in zip(stored, (len(s.things) for s in scenes), strict=True)]
    severity = torch.rand(count, generator=generator).square()
    rating = torch.tensor(clean) - 3.0 * severity
    ours = net.score(spoil(images_of(stored), severity, generator))
    return round(float(spearmanr(ours.numpy(), rating.numpy()).statistic), 3)


def area_under_curve(scores: np.ndarray, right: np.ndarray) -> float:
    """How often a right image outscores a wrong one, of the same prompt [prompts, samples]."""
    wins = []
    for score, good in zip(scores, right, strict=True):
        if 0 < good.sum() < len(good):
            wins.append((score[good][:, None] > score[~good][None, :]).mean())
    return round(float(np.mean(wins)), 3)


def scored(images: Tensor, tokens: Tensor) -> dict[str, np.ndarray]:
    """The verifiers' scores [B], the first as CLIPScore's 2.5 * max(cosine, 0)."""
    scores = {name: scorers.load(name).score(images, tokens).numpy() for name in NAMES}
    scores["image-text"] = 2.5 * np.maximum(scores["image-text"], 0)
    return scores


def in_search(size: str, steps: int, guidance: float, prompts: int, samples: int) -> dict:  # type: ignore[type-arg]
    """Scales, agreement with the checker, and what best-of-N by each verifier reaches."""
    rng, model, texts = np.random.default_rng(902), network.load(size), []
    while len(texts) < prompts:
        spec = sample_spec(rng, split="any")
        if not is_reserved(spec):
            texts.append(describe(spec, rng))
    lines = [text for text in texts for _ in range(samples)]
    images = many(model, lines, steps, guidance, 5000)
    tokens = torch.from_numpy(np.stack([tokenize(line) for line in lines]))
    shape = (prompts, samples)
    right = np.array([v.full for v in verdicts(images, lines)]).reshape(shape)
    scores = {name: each.reshape(shape) for name, each in scored(images, tokens).items()}
    scores["mean rank"] = sum(rankdata(scores[name], axis=1) for name in NAMES)
    picks = {name: each.argmax(axis=1) for name, each in scores.items()}
    rows = np.arange(prompts)
    montage = images.view(prompts, samples, 3, 32, 32)
    columns = [np.zeros(prompts, dtype=int), *picks.values()]
    write_grid(
        torch.cat([montage[rows, column] for column in columns]),
        prompts,
        RESULTS / f"picks-{size}.png",
    )
    print("rows of picks: first,", ", ".join(picks))
    return {
        "size": size,
        "steps": steps,
        "guidance": guidance,
        "mean": {name: round(float(scores[name].mean()), 4) for name in NAMES},
        "scale": {
            name: round(float(scores[name][:, :16].std(axis=1).mean()), 4) for name in NAMES
        },
        "auc": {name: area_under_curve(scores[name], right) for name in scores},
        "right, all samples": round(float(right.mean()), 3),
        "right, any of them": round(float(right.any(axis=1).mean()), 3),
        "right, picked by": {
            name: round(float(right[rows, pick].mean()), 3) for name, pick in picks.items()
        },
    }


def verifier_speed() -> dict[str, float]:
    """Seconds for 64 images, float32."""
    images, tokens, result = torch.rand(64, 3, 32, 32), torch.ones(64, 16, dtype=torch.int64), {}
    for name in NAMES:
        net = scorers.load(name)
        net.score(images, tokens)
        began = time.perf_counter()
        for _ in range(10):
            net.score(images, tokens)
        result[name] = round((time.perf_counter() - began) / 10, 4)
    return result


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=("accuracy", "verifiers"))
    parser.add_argument("--size", default="shapes")
    parser.add_argument("--every", type=int, default=2, help="take every such benchmark prompt")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--samples", type=int, default=64)
    arguments = parser.parse_args()
    if arguments.what == "accuracy":
        figures: object = {
            "forward": speed(arguments.size),
            "accuracy": accuracy(arguments.size, arguments.every),
        }
    else:
        loaded = {name: scorers.load(name) for name in NAMES}
        assert isinstance(loaded["image-text"], scorers.ImageText)
        assert isinstance(loaded["taste"], scorers.Taste)
        figures = {
            "seconds": verifier_speed(),
            "image-text": telling_apart(loaded["image-text"]),
            "taste": taste_correlation(loaded["taste"]),
            "search": in_search(
                arguments.size,
                arguments.steps,
                arguments.guidance,
                arguments.prompts,
                arguments.samples,
            ),
        }
        print(json.dumps(figures, indent=1))
    path = RESULTS / f"{arguments.what}-{arguments.size}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
