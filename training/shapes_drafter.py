"""Distil a drafter of the shapes world: adapters with which one step lands where twelve do.

    python training/shapes_data.py
    python training/shapes_drafter.py pairs --count 60000
    python training/shapes_drafter.py train --minutes 60

The student is the default generator itself with low-rank adapters (arXiv 2106.09685) and learns on
the generator's own pairs of noise and sample (arXiv 2101.02388), so it keeps the mapping from
noise to image, which is what a draft needs. From pure noise it predicts the sample; from halfway
between that noise and what it predicted, it predicts the sample again (arXiv 2303.01469): one
file serves one step and two. The error is that of the pixels, of what the towers of the
verifiers see (arXiv 1801.03924), and of their scores, whose order is all that a draft is for. The
exact checker is not used.

`pairs` and `train` may run side by side: training takes what is there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from loop import RUNS, Loop, options
from noisesearch.files.writing import replace
from noisesearch.worker.residence import keep_buffers
from noisesearch.worlds.shapes import scorers
from noisesearch.worlds.shapes.network import WEIGHTS, ShapesTransformer, load
from shapes_data import integrate, open_pool, sample, write_grid

FOLDER = RUNS / "drafter-pairs"
TEACHER_STEPS = 12
CHUNK = 128
ENOUGH = 4096  # pairs before training begins
HELD_BACK = 1024  # first pairs, for validation alone
SEEN, SCORED = 0.5, 0.05  # weights of the towers' and of the scores' errors beside the pixels'


class Pairs:
    """Noises [N, 3, 32, 32], samples alike and tokens [N, 16] on disk, written from the front."""

    def __init__(self, count: int = 0) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        new = count and not (FOLDER / "noises.npy").exists()
        self.noises = self._open("noises", np.float16, (count, 3, 32, 32), new)
        self.samples = self._open("samples", np.float16, (count, 3, 32, 32), new)
        self.tokens = self._open("tokens", np.uint8, (count, 16), new)

    @staticmethod
    def _open(name: str, dtype: type, shape: tuple[int, ...], new: object) -> np.memmap:
        path = FOLDER / f"{name}.npy"
        if new:
            return np.lib.format.open_memmap(path, "w+", dtype, shape)
        return np.lib.format.open_memmap(path, "r+")

    @property
    def done(self) -> int:
        """How many are there; the last of a chunk is written last."""
        mark = FOLDER / "done"
        return int(mark.read_text()) if mark.exists() else 0

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Noises, samples and tokens of rows."""
        rows = np.sort(rows)
        noises, samples = (
            torch.from_numpy(each[rows].astype(np.float32)) for each in (self.noises, self.samples)
        )
        return noises, samples, torch.from_numpy(self.tokens[rows].astype(np.int64))


@torch.no_grad()
def make_pairs(count: int, threads: int) -> None:
    """What the generator makes of noises, at its own steps without guidance."""
    torch.set_num_threads(threads)
    keep_buffers()
    network, pool, pairs = load("shapes"), open_pool(), Pairs(count)
    began, first = time.time(), pairs.done
    for start in range(first, len(pairs.noises) - CHUNK + 1, CHUNK):
        rng = np.random.default_rng([17, start])
        rows = rng.integers(len(pool.specs), size=CHUNK)
        tokens = pool.tokens[rows, rng.integers(pool.tokens.shape[1], size=CHUNK)]
        noise = rng.standard_normal((CHUNK, 3, 32, 32)).astype(np.float16)
        at = slice(start, start + CHUNK)
        pairs.noises[at], pairs.tokens[at] = noise, tokens
        x = torch.from_numpy(noise.astype(np.float32))
        context = network.encode(torch.from_numpy(tokens.astype(np.int64)))
        x = integrate(network, x, context, TEACHER_STEPS)
        pairs.samples[at] = x.numpy().astype(np.float16)
        replace(FOLDER / "done", str(start + CHUNK).encode())  # whole at any time
    made = pairs.done - first
    print(f"{made} pairs in {(time.time() - began) / 60:.1f} minutes")


class Adapter(nn.Module):
    """A fixed linear layer and the low-rank matrices that are trained beside it."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) * layer.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    @property
    def weight(self) -> Tensor:
        return self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        # One product with the sum is quicker than three while both are small.
        weight = self.layer.weight + self.up @ self.down
        return nn.functional.linear(x, weight, self.layer.bias)


def with_adapters(network: ShapesTransformer, rank: int) -> ShapesTransformer:
    """The network with an adapter at every linear layer that sees the picture or the time."""
    network.requires_grad_(False)
    layers = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear)
        and (name.startswith("blocks.") or name in ("modulation", "modulation_out"))
    ] + ["patch_in", "patch_out"]
    for name in layers:
        parent, _, last = name.rpartition(".")
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        setattr(network.get_submodule(parent), last, Adapter(layer, rank))
    return network


def save_adapters(network: nn.Module, path: Path) -> None:
    """Write the adapters as others write theirs, in float16."""
    state = {}
    for name, module in network.named_modules():
        if isinstance(module, Adapter):
            state[f"{name}.lora_A.weight"] = module.down.detach().half().contiguous()
            state[f"{name}.lora_B.weight"] = module.up.detach().half().contiguous()
    part = path.with_suffix(".part")
    save_file(state, str(part), metadata={"adapts": "shapes"})
    part.chmod(0o644)
    part.replace(path)


class Judges:
    """The three verifiers, as what they see and how they score."""

    def __init__(self) -> None:
        self.networks = [scorers.load(name) for name in scorers.KINDS]
        # image-text is scored as 2.5 times its cosine.
        self.scales = [scorers.SCALES[name] / (2.5 if name == "image-text" else 1)
                       for name in scorers.KINDS]  # fmt: skip

    def __call__(self, images: Tensor, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features of each tower, and scores [3, B] over their deviations."""
        with torch.autocast("cpu", torch.bfloat16):
            seen = [network.tower(images) for network in self.networks]
        scores = []
        for network, features in zip(self.networks, seen, strict=True):
            network.tower, tower = _Given(features.float()), network.tower
            scores.append(network.score(images, tokens))
            network.tower = tower
        stacked = torch.stack([s / scale for s, scale in zip(scores, self.scales, strict=True)])
        return seen, stacked


class _Given(nn.Module):
    """In a tower's place: features that are there already."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        return self.features


class Lesson:
    """The error of the student's samples at one step and at two."""

    def __init__(self, pairs: Pairs, batch: int, seed: int) -> None:
        self.pairs, self.batch, self.seed = pairs, batch, seed
        self.judges = Judges()
        self.sums: list[list[float]] = []

    def __call__(self, network: nn.Module, step: int) -> Tensor:
        rng = np.random.default_rng([self.seed, step])
        rows = rng.integers(HELD_BACK, self.pairs.done, size=self.batch)
        noises, samples, tokens = self.pairs.batch(rows)
        assert isinstance(network, ShapesTransformer)
        with torch.no_grad():
            context = network.encode(tokens)
            seen, scores = self.judges(shown(samples), tokens)
        total, parts = torch.zeros(()), []
        # Two steps on half of the rows: most of a search's drafts are of one.
        for predicted in drafts(network, noises, context, self.batch // 2):
            count = len(predicted)
            views, judged = self.judges(shown(predicted), tokens[:count])
            pixels = (predicted - samples[:count]).square().mean()
            towers = torch.stack(
                [(a - b[:count]).float().square().mean() for a, b in zip(views, seen, strict=True)]
            ).sum()
            said = (judged - scores[:, :count]).square().mean()
            total = total + pixels + SEEN * towers + SCORED * said
            parts += [float(each.detach()) for each in (pixels, towers, said)]
        self.sums.append(parts)
        return total

    def columns(self, network: ShapesTransformer) -> dict[str, float]:
        """Errors since the last line, and the correlation of scores on pairs held back."""
        names = [f"{what}{n}" for n in (1, 2) for what in ("pixels", "towers", "scores")]
        means = np.mean(self.sums, axis=0)
        self.sums = []
        found = {name: round(float(mean), 4) for name, mean in zip(names, means, strict=True)}
        return found | self.correlations(network)

    @torch.no_grad()
    def correlations(self, network: ShapesTransformer) -> dict[str, float]:
        """Of the mean score of drafts and of samples, over noises and prompts at once."""
        values: list[list[Tensor]] = [[], [], []]
        for rows in np.arange(512).reshape(-1, 128):
            noises, samples, tokens = self.pairs.batch(rows)
            made = [samples, *drafts(network, noises, network.encode(tokens))]
            for each, images in zip(values, made, strict=True):
                each.append(self.judges(shown(images), tokens)[1].mean(0))
        final, one, two = (torch.cat(each) for each in values)
        both = {"r1": one, "r2": two}
        return {n: round(float(torch.corrcoef(torch.stack([final, v]))[0, 1]), 3)
                for n, v in both.items()}  # fmt: skip


def shown(samples: Tensor) -> Tensor:
    """Images in [0, 1] of samples from -1 to 1, as decoded."""
    return (samples * 0.5 + 0.5).clamp(0, 1)


def drafts(
    network: ShapesTransformer, noises: Tensor, context: Tensor, twice: int | None = None
) -> tuple[Tensor, Tensor]:
    """Samples by one Euler step and, of the first ``twice``, by two; gradients do not pass from
    the second step to the first."""
    ones = torch.ones(len(noises))
    with torch.autocast("cpu", torch.bfloat16):
        first = network(noises, ones, context)
        halfway = torch.lerp(first.detach(), noises, 0.5)[:twice]
        second = network(halfway, 0.5 * ones[:twice], context[:twice])
    return first, second


PREVIEW = (
    "a red circle", "two green triangles", "three blue squares", "a yellow ring and a black cross",
    "a teal square left of a purple ring", "a grey circle above two orange diamonds",
)  # fmt: skip


def train(arguments: argparse.Namespace) -> None:
    """Train the adapters on the pairs that are there."""
    pairs = Pairs()
    while pairs.done < ENOUGH:
        time.sleep(5)
    torch.manual_seed(arguments.seed)
    network = with_adapters(load("shapes"), arguments.rank)
    lesson = Lesson(pairs, arguments.batch, arguments.seed)

    def finish(average: nn.Module) -> None:
        assert isinstance(average, ShapesTransformer)
        save_adapters(average, loop.folder / "fast.safetensors")
        if arguments.publish:
            save_adapters(average, WEIGHTS / "shapes-fast.safetensors")
        prompts = [prompt for prompt in PREVIEW for _ in range(4)]
        columns = [sample(load("shapes"), prompts, TEACHER_STEPS, 1.0, 0)]
        columns += [sample(average, prompts, steps, 1.0, 0) for steps in (1, 2)]
        shown = torch.stack(columns, 1).flatten(0, 1)
        write_grid(shown, 12, loop.folder / "samples.png")

    def more() -> dict[str, float]:
        average = loop.average
        assert isinstance(average, ShapesTransformer)
        return {"pairs": pairs.done, **lesson.columns(average)}

    loop = Loop(arguments, network, lesson, finish, more=more)
    loop.run()


def main() -> None:
    """Read the options; make pairs or train."""
    parser = options(__doc__, ["drafter"])
    parser.set_defaults(batch=64, rate=2e-3)
    parser.add_argument("what", choices=("pairs", "train"))
    parser.add_argument("--count", type=int, default=60_000, help="pairs in all")
    parser.add_argument("--rank", type=int, default=16)
    arguments = parser.parse_args()
    if arguments.what == "pairs":
        make_pairs(arguments.count, arguments.threads)
    else:
        train(arguments)


if __name__ == "__main__":
    main()
