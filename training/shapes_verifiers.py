"""Train the learned verifiers of the shapes world.

    python training/shapes_data.py
    python training/shapes_verifiers.py [--only image-text|preference|taste]

`preference` also learns from images of the trained generator, so train that one first.
`training/results/measure.py` measures what came out.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisesearch.worker.residence import keep_buffers
from noisesearch.worlds.shapes import network, scorers
from noisesearch.worlds.shapes.checker import check
from noisesearch.worlds.shapes.prompts import describe, tokenize
from noisesearch.worlds.shapes.render import render
from noisesearch.worlds.shapes.scene import Spec, sample_scene
from noisesearch.worlds.shapes.scene import sample_spec as draw_spec
from shapes_data import (
    ATTRIBUTES,
    RUNS,
    ShapesPool,
    caption,
    falsify,
    falsify_somehow,
    images_of,
    loose_scene,
    open_pool,
    sample,
    spoil,
)
from shapes_reader import SLOTS, meaning, slots_loss

BATCH = 256
FALSE_CAPTIONS = 4
LABEL_NOISE = 0.12  # of the judge behind `Preference`
RATING_NOISE = 0.6  # of the raters behind `Taste`
SEEDS = {"image-text": 21, "preference": 22, "taste": 23}
SAMPLES = RUNS / "samples.pt"

Loss = Callable[[], Tensor]


def fit(net: nn.Module, loss: Loss, minutes: float, rate: float, curve: Path) -> None:
    """Minimise a loss by AdamW for so many minutes, with a cosine schedule."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    began, step, losses = time.time(), 0, []
    while (progress := (time.time() - began) / (60 * minutes)) < 1:
        fall = min(1.0, (step + 1) / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * progress)))
        optimizer.param_groups[0]["lr"] = rate * fall
        with torch.autocast("cpu", torch.bfloat16):
            value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(value.detach()))
        step += 1
        if step % 100 == 0:
            line = {
                "step": step,
                "minutes": round((time.time() - began) / 60, 2),
                "loss": round(sum(losses) / len(losses), 4),
            }
            with curve.open("a") as file:
                file.write(json.dumps(line) + "\n")
            losses = []


# ---- ImageText --------------------------------------------------------------------------


def false_captions(spec: Spec, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Tokens [FALSE_CAPTIONS, 16] of the Spec with one attribute false in each."""
    changed = [falsify(spec, each, rng) for each in rng.permutation(ATTRIBUTES)]
    usable = [each for each in changed if each is not None]
    while len(usable) < FALSE_CAPTIONS:
        usable.append(falsify_somehow(spec, rng))
    return np.stack([caption(each, rng) for each in usable[:FALSE_CAPTIONS]])


def image_text_loss(
    net: scorers.ImageText,
    reader: nn.Module,
    pool: ShapesPool,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Tensor:
    """Contrast each image's caption with the batch's and with its own false ones.

    The reader asks the text tower what the caption means, or else it learns no relations.
    """
    rows = rng.integers(len(pool.specs), size=BATCH)
    specs = [pool.specs[row] for row in rows]
    false = torch.from_numpy(np.stack([false_captions(spec, rng) for spec in specs]))
    images, tokens = pool.batch(rows, rng)
    severity = 0.4 * torch.rand(BATCH, generator=generator).square()
    seen = net.embed_images(spoil(images * 0.5 + 0.5, severity, generator))
    said = net.embed_prompts(torch.cat([tokens, false.flatten(0, 1)])).float()
    right, wrong = said[:BATCH], said[BATCH:].view(BATCH, FALSE_CAPTIONS, -1)
    scale = net.log_scale.exp().clamp(max=40)
    numbers = {spec: index for index, spec in enumerate(dict.fromkeys(specs))}
    kind = torch.tensor([numbers[spec] for spec in specs])
    # Another row's caption is no negative where it says the same.
    same = (kind[:, None] == kind[None, :]) & ~torch.eye(BATCH, dtype=torch.bool)
    across = (seen.float() @ right.T).masked_fill(same, -1.0)
    own = torch.einsum("bd,bkd->bk", seen.float(), wrong)
    target = torch.arange(BATCH)
    by_image = F.cross_entropy(scale * torch.cat([across, own], dim=1), target)
    by_text = F.cross_entropy(scale * across.T, target)
    answers = reader(net.text(tokens)).split(SLOTS, dim=1)
    read = slots_loss(answers, torch.tensor([meaning(spec) for spec in specs]))
    return by_image + 0.5 * by_text + 0.5 * read


def train_image_text(net: nn.Module, pool: ShapesPool, minutes: float, curve: Path) -> None:
    """The two towers, from rendered pictures alone."""
    assert isinstance(net, scorers.ImageText)
    reader, rng = nn.Linear(192, sum(SLOTS)), np.random.default_rng(SEEDS["image-text"])
    generator = torch.Generator().manual_seed(SEEDS["image-text"])
    both = nn.ModuleList([net, reader])
    fit(both, lambda: image_text_loss(net, reader, pool, rng, generator), minutes, 2e-3, curve)


# ---- Preference -------------------------------------------------------------------------


class Judged:
    """Pictures [N, 3, 32, 32] in sets of `group` for one prompt, with what they are worth."""

    def __init__(self, images: Tensor, tokens: Tensor, worth: Tensor, group: int) -> None:
        self.images = images.view(-1, group, *images.shape[1:])
        self.tokens, self.worth = tokens.view(-1, group, 16)[:, 0], worth.view(-1, group)

    def pairs(self, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Two pictures [count, 3, 32, 32] each, tokens [count, 16], worths [count] each."""
        sets = torch.randint(len(self.images), (count,), generator=generator)
        places = torch.rand(count, self.images.shape[1], generator=generator).argsort(dim=1)
        first, second = places[:, 0], places[:, 1]
        return (
            self.images[sets, first],
            self.images[sets, second],
            self.tokens[sets],
            self.worth[sets, first],
            self.worth[sets, second],
        )


def rendered_sets(pool: ShapesPool, count: int, rng: np.random.Generator) -> Judged:
    """Sets of four: a right picture, two with one mistake and one with two."""
    rows = rng.integers(len(pool.specs), size=count)
    pictures, tokens = [], []
    for row in rows:
        spec = pool.specs[row]
        one = [falsify_somehow(spec, rng) for _ in range(2)]
        wrong = [render(sample_scene(rng, each)) for each in (*one, falsify_somehow(one[0], rng))]
        pictures.append(np.stack([pool.images[row], *wrong]))
        tokens.append(caption(spec, rng))
    images = images_of(np.concatenate(pictures))
    worth = torch.tensor([0.0, -1.0, -1.0, -1.6]).repeat(count)
    said = torch.from_numpy(np.stack(tokens)).repeat_interleave(4, dim=0)
    return Judged(images, said, worth, 4)


def worth_by_checker(images: Tensor, prompts: list[str]) -> Tensor:
    """Worths [B] of generated images [B, 3, 32, 32]: right ones far above wrong ones."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    verdicts = [check(picture, prompt) for picture, prompt in zip(pixels, prompts, strict=True)]
    return torch.tensor([float(v.full) + 1.5 * v.score for v in verdicts])


def generated_sets(group: int, count: int, steps: int, seed: int) -> Judged:
    """Sets of the generator's images for training prompts, judged by the checker."""
    if not SAMPLES.exists():
        rng, model = np.random.default_rng(seed), network.load("shapes")
        parts = []
        for index in range(count * group // 64):
            specs = [draw_spec(rng, split="train") for _ in range(64 // group)]
            prompts = [describe(spec, rng) for spec in specs for _ in range(group)]
            images = sample(model, prompts, steps, (1.0, 2.0)[index % 2], seed + index)
            tokens = torch.from_numpy(np.stack([tokenize(prompt) for prompt in prompts]))
            parts.append((images.half(), tokens, worth_by_checker(images, prompts)))
        torch.save([torch.cat(each) for each in zip(*parts, strict=True)], SAMPLES)
    images, tokens, worth = torch.load(SAMPLES, weights_only=True)
    return Judged(images.float(), tokens, worth, group)


def preference_loss(
    net: scorers.Preference, sets: Judged, generator: torch.Generator, spoiled: float, count: int
) -> Tensor:
    """The Bradley-Terry loss (arXiv:2203.02155) of pairs that a noisy judge decided."""
    one, two, tokens, worth_one, worth_two = sets.pairs(count, generator)
    severity = torch.rand(2, count, generator=generator).square() * spoiled
    one, two = spoil(one, severity[0], generator), spoil(two, severity[1], generator)
    gap = worth_one - worth_two - 1.5 * (severity[0] - severity[1])
    wrong = torch.rand(count, generator=generator) < LABEL_NOISE
    sign = torch.where(wrong, -gap.sign(), gap.sign())
    rewards = net.raw(torch.cat([one, two]), torch.cat([tokens, tokens])).float()
    margin = rewards[:count] - rewards[count:]
    return -(F.logsigmoid(sign * margin) * sign.abs()).mean()


def train_preference(net: nn.Module, pool: ShapesPool, minutes: float, curve: Path) -> None:
    """The reward, from rendered and from generated pictures."""
    assert isinstance(net, scorers.Preference)
    rng = np.random.default_rng(SEEDS["preference"])
    generator = torch.Generator().manual_seed(SEEDS["preference"])
    rendered = rendered_sets(pool, 15_000, rng)
    made = generated_sets(group=8, count=768, steps=12, seed=SEEDS["preference"])

    def loss() -> Tensor:
        return preference_loss(net, rendered, generator, 1.0, 128) + preference_loss(
            net, made, generator, 0.3, 128
        )

    fit(net, loss, minutes, 2e-3, curve)
    with torch.no_grad():
        tokens = made.tokens[:, None].expand(-1, made.images.shape[1], -1)
        raw = net.raw(made.images.flatten(0, 1), tokens.flatten(0, 1))
    net.shift.copy_(raw.mean())
    net.scale.copy_(raw.std())


# ---- Taste ------------------------------------------------------------------------------


def beauty(image: npt.NDArray[np.uint8], count: int) -> float:
    """The raters' mean for a clean picture: vivid, big, balanced, with few things in it."""
    pixels = image.astype(np.float64) / 255
    ground = np.median(pixels.reshape(-1, 3), axis=0)
    cover = np.clip(np.abs(pixels - ground).max(axis=2) * 2.5, 0, 1)
    share = cover.mean() + 1e-6
    vivid = float((cover * (pixels.max(axis=2) - pixels.min(axis=2))).mean() / share)
    axis = (np.arange(32) + 0.5) / 32 - 0.5
    off = np.hypot((cover.mean(axis=0) * axis).mean(), (cover.mean(axis=1) * axis).mean()) / share
    each = share / count
    return float(
        5.2
        + 2.6 * (vivid - 0.55)
        + 14 * (min(each, 0.2) - 0.08)
        - 0.8 * (count - 2.2)
        - 4.0 * (off - 0.13)
        + 2.0 * (ground.mean() - 0.92)
    )


def train_taste(net: nn.Module, pool: ShapesPool, minutes: float, curve: Path) -> None:
    """The rating, by regression to noisy ratings of loose scenes and of the pool's pictures."""
    assert isinstance(net, scorers.Taste)
    rng = np.random.default_rng(SEEDS["taste"])
    generator = torch.Generator().manual_seed(SEEDS["taste"])
    scenes = [loose_scene(rng) for _ in range(20_000)]
    rows = rng.integers(len(pool.specs), size=10_000)
    stored = np.concatenate([np.stack([render(scene) for scene in scenes]), pool.images[rows]])
    counts = [len(scene.things) for scene in scenes] + [pool.specs[row].total for row in rows]
    clean = torch.tensor([beauty(*each) for each in zip(stored, counts, strict=True)])
    images = images_of(stored)

    def loss() -> Tensor:
        part = torch.randint(len(images), (BATCH,), generator=generator)
        severity = torch.rand(BATCH, generator=generator).square()
        noise = RATING_NOISE * torch.randn(BATCH, generator=generator)
        rating = (clean[part] - 3.0 * severity + noise).clamp(1, 10)
        return F.mse_loss(net.score(spoil(images[part], severity, generator)).float(), rating)

    fit(net, loss, minutes, 2e-3, curve)


TRAINERS = {"image-text": train_image_text, "preference": train_preference, "taste": train_taste}
MINUTES = {"image-text": 5.0, "preference": 4.0, "taste": 1.5}


def start(name: str, resume: bool) -> nn.Module:
    """The network to train; `Preference` takes over the towers of `ImageText`.

    ImageReward starts from a pre-trained BLIP in the same way: which of two pictures is the
    better says too little to learn the words from.
    """
    net = scorers.load(name) if resume else scorers.KINDS[name]()
    if isinstance(net, scorers.Preference) and not resume:
        net.load_state_dict(scorers.load("image-text").state_dict(), strict=False)
    return net.requires_grad_(True).train()


def main() -> None:
    """Train one verifier or all of them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", choices=sorted(TRAINERS), default=None)
    parser.add_argument("--minutes", type=float, default=None, help="of training proper, each")
    parser.add_argument("--resume", action="store_true", help="start from the package's weights")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_buffers()
    pool = open_pool()
    for name in [arguments.only] if arguments.only else list(TRAINERS):
        torch.manual_seed(SEEDS[name])
        curve = RUNS / f"{name}.jsonl"
        curve.unlink(missing_ok=True)
        net = start(name, arguments.resume)
        TRAINERS[name](net, pool, arguments.minutes or MINUTES[name], curve)
        scorers.save(net, scorers.WEIGHTS / f"{name}.safetensors")
        print(f"{name}: {network.parameter_count(net):,} parameters", flush=True)


if __name__ == "__main__":
    main()
