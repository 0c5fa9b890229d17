"""Train the generator of the shapes world on two processor cores.

    python training/shapes_data.py
    python training/shapes_generator.py --size shapes --minutes 38
    python training/shapes_generator.py --size shapes-small --minutes 12

The network predicts the clean image; the loss is measured in velocity (arXiv:2511.13720), times
are logit-normal (arXiv:2403.03206), hidden matrices are trained by Muon and the rest by AdamW.
A linear layer also reads off what thing each hidden patch will show: like the alignment of
arXiv:2410.06940 this teaches early what the words mean, which the pixels alone teach slowly. It
is no part of the finished network. The text encoder is trained first, by `shapes_reader.py`.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisesearch.worker.memory import keep_buffers
from noisesearch.worlds.shapes.network import (
    SIZES,
    WEIGHTS,
    ShapesTransformer,
    load,
    parameter_count,
    save,
)
from noisesearch.worlds.shapes.prompts import unconditional
from noisesearch.worlds.shapes.scene import COLOURS, SHAPES
from shapes_data import RUNS, ShapesPool, open_pool, sample, write_grid
from shapes_reader import train_reader

EMA = 0.999
PROMPT_DROPOUT = 0.1
KINDS = 1 + len(SHAPES) * len(COLOURS)
KINDS_WEIGHT = 0.1
SMALLEST_TIME = 0.05
HELD_BACK = 2048  # last rows of the pool, for the validation loss alone
PREVIEW = (
    "a red circle",
    "two green triangles",
    "three blue squares",
    "a yellow ring and a black cross",
    "a teal square left of a purple ring",
    "a grey circle above two orange diamonds",
    "two red squares and two blue circles",
    "a brown diamond below three green rings",
)


def draw_times(count: int, generator: torch.Generator) -> Tensor:
    """Logit-normal times [B], a little to the noisy side, where the layout is decided."""
    return torch.sigmoid(0.6 + 1.1 * torch.randn(count, generator=generator))


def velocity_loss(
    network: nn.Module, images: Tensor, tokens: Tensor, generator: torch.Generator
) -> Tensor:
    """The error of the clean image, weighted so that it is the velocity's."""
    t = draw_times(len(images), generator)
    noise = torch.randn(images.shape, generator=generator)
    noisy = torch.lerp(images, noise, t[:, None, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        clean = network(noisy, t, tokens)
    error = (clean.float() - images).square().mean(dim=(1, 2, 3))
    return (error / t.clamp(min=SMALLEST_TIME).square()).mean()


def drop_prompts(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """The tokens [B, 16] with some rows replaced by the empty prompt (arXiv:2207.12598)."""
    dropped = torch.rand(len(tokens), generator=generator) < PROMPT_DROPOUT
    empty = torch.from_numpy(unconditional())
    return torch.where(dropped[:, None], empty, tokens)


def optimizers(
    network: ShapesTransformer, kinds: nn.Module, rate: float
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks and AdamW for everything else."""
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        inside = name.startswith("blocks.") and name.endswith("weight") and parameter.ndim == 2
        (hidden if inside else rest).append(parameter)
    rest.extend(kinds.parameters())
    return [
        torch.optim.Muon(
            hidden, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", ns_steps=4
        ),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


@torch.no_grad()
def validation_loss(network: nn.Module, pool: ShapesPool) -> float:
    """The loss on rows held back, with the same noise each time."""
    generator, rng = torch.Generator().manual_seed(5), np.random.default_rng(5)
    rows = np.arange(len(pool.specs) - HELD_BACK, len(pool.specs)).reshape(-1, 128)[:8]
    losses = [velocity_loss(network, *pool.batch(part, rng), generator) for part in rows]
    return float(torch.stack(losses).mean())


class Trainer:
    """One training run: its networks, optimizers, folder and progress."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        torch.manual_seed(arguments.seed)
        self.arguments, self.step, self.spent = arguments, 0, 0.0
        changes = {
            name: value
            for name in ("patch", "width", "depth", "heads")
            if (value := getattr(arguments, name)) is not None
        }
        self.network = ShapesTransformer(replace(SIZES[arguments.size], **changes))
        width, depth = self.network.config.width, self.network.config.depth
        self.kinds = nn.Linear(width, KINDS)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.patches = torch.empty(0)
        self.network.blocks[depth * 2 // 3 - 1].register_forward_hook(self.keep_patches)
        self.optimizers = optimizers(self.network, self.kinds, arguments.rate)
        self.folder = RUNS / (arguments.run or arguments.size)
        self.folder.mkdir(parents=True, exist_ok=True)
        if arguments.thin:
            self.thin(load(arguments.thin))
        if arguments.resume:
            self.restore()

    def thin(self, source: ShapesTransformer) -> None:
        """Start from a deeper network by leaving out blocks evenly (arXiv:1910.01108)."""
        depth, wanted = source.config.depth, self.network.config.depth
        kept = [round(index * (depth - 1) / (wanted - 1)) for index in range(wanted)]
        state = source.state_dict()
        thin = {name: value for name, value in state.items() if not name.startswith("blocks.")}
        for index, block in enumerate(kept):
            start = f"blocks.{block}."
            thin |= {
                f"blocks.{index}.{name.removeprefix(start)}": value
                for name, value in state.items()
                if name.startswith(start)
            }
        self.network.load_state_dict(thin)
        self.average.load_state_dict(thin)

    def read(self, pool: ShapesPool) -> None:
        """Train the reader on captions, before any image."""
        train_reader(self.network, pool, self.arguments.read, self.arguments.seed)
        self.average.load_state_dict(self.network.state_dict())

    def keep_patches(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        """Keep the hidden patches [B, 64, width] that pass through a block."""
        self.patches = output[:, self.network.config.text_length :].float()

    def progress(self) -> float:
        """The share of the run that is done, by steps or by minutes."""
        by_steps = self.step / self.arguments.steps if self.arguments.steps else 0.0
        by_time = self.spent / (60 * self.arguments.minutes) if self.arguments.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def rate(self) -> float:
        """The learning rate: a warm-up, a plateau, then a cosine to nearly zero."""
        warm = min(1.0, (self.step + 1) / 200)
        tail = max(0.0, (self.progress() - 0.4) / 0.6)
        fall = 0.02 + 0.49 * (1 + math.cos(math.pi * tail))
        return float(self.arguments.rate * warm * fall)

    def update(
        self,
        images: Tensor,
        tokens: Tensor,
        kinds: Tensor,
        generator: torch.Generator,
    ) -> list[float]:
        """One step of the optimizers and of the running average; returns both losses."""
        tokens = drop_prompts(tokens, generator)
        loss = velocity_loss(self.network, images, tokens, generator)
        kinds_loss = F.cross_entropy(self.kinds(self.patches).flatten(0, 1), kinds.flatten())
        (loss + KINDS_WEIGHT * kinds_loss).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        weight = 1 - min(EMA, (1 + self.step) / (10 + self.step))
        averages, values = list(self.average.parameters()), list(self.network.parameters())
        torch._foreach_lerp_(averages, [value.detach() for value in values], weight)
        self.step += 1
        return [float(value.detach()) for value in (loss, kinds_loss)]

    def run(self, pool: ShapesPool) -> None:
        """Train until the steps or the minutes are used up; what reads the text stays fixed."""
        for parameter in self.network.text_parameters():
            parameter.requires_grad_(False)
        if self.arguments.compile:
            self.network.compile()
        rng = np.random.default_rng([self.arguments.seed, self.step])
        generator = torch.Generator().manual_seed(self.arguments.seed + self.step)
        usable, saved = len(pool.specs) - HELD_BACK, time.time()
        losses: list[list[float]] = []
        while self.progress() < 1:
            began = time.time()
            rows = np.sort(rng.choice(usable, self.arguments.batch, replace=False, shuffle=False))
            kinds = torch.from_numpy(pool.kinds[rows].astype(np.int64))
            losses.append(self.update(*pool.batch(rows, rng), kinds, generator))
            self.spent += time.time() - began
            if self.step % 100 == 0:
                self.log(losses, pool)
                losses = []
            if time.time() - saved > 180:
                self.checkpoint()
                saved = time.time()
        self.checkpoint()

    def log(self, losses: list[list[float]], pool: ShapesPool) -> None:
        """Append one line to the training curve."""
        line = {
            "step": self.step,
            "minutes": round(self.spent / 60, 2),
            "rate": round(self.rate(), 6),
        }
        columns = zip(*losses, strict=True)
        for name, values in zip(("loss", "kinds"), columns, strict=True):
            line[name] = round(sum(values) / len(values), 5)
        if self.step % 500 == 0:
            line["validation"] = round(validation_loss(self.average, pool), 5)
        with (self.folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps(line) + "\n")

    def checkpoint(self) -> None:
        """Keep everything to go on from, the averaged weights and a grid of samples."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "kinds": self.kinds.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "spent": self.spent,
        }
        torch.save(state, self.folder / "last.pt.part")
        (self.folder / "last.pt.part").rename(self.folder / "last.pt")
        save(self.average, self.folder / "average.safetensors")
        if self.arguments.publish:
            save(self.average, WEIGHTS / f"{self.arguments.size}.safetensors")
        prompts = [prompt for prompt in PREVIEW for _ in range(8)]
        write_grid(
            sample(self.average, prompts, 16, 2.0, 0),
            8,
            self.folder / f"samples-{self.step:06d}.png",
        )

    def restore(self) -> None:
        """Go on from the last checkpoint."""
        state = torch.load(self.folder / "last.pt", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.kinds.load_state_dict(state["kinds"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.spent = state["step"], state["spent"]


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="shapes")
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many minutes")
    parser.add_argument("--read", type=int, default=1000, help="steps of the reader, done first")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", default=None, help="the run's folder under training/runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--thin", choices=sorted(SIZES), help="start from this size's blocks")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--compile", action="store_true", help="a third faster; needs g++")
    parser.add_argument("--publish", action="store_true", help="write the package's weights too")
    for name in ("patch", "width", "depth", "heads"):
        parser.add_argument(f"--{name}", type=int, default=None, help="instead of the size's")
    arguments = parser.parse_args()
    if not arguments.steps and not arguments.minutes:
        parser.error("give --steps, --minutes or both")
    trainer = Trainer(arguments)
    torch.set_num_threads(arguments.threads)
    keep_buffers()
    print(f"{parameter_count(trainer.network):,} parameters", flush=True)
    pool = open_pool()
    if not (arguments.resume or arguments.thin):
        trainer.read(pool)
    trainer.run(pool)


if __name__ == "__main__":
    main()
