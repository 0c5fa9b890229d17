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

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loop import Loop, options
from noisesearch.worlds.shapes.network import (
    SIZES,
    WEIGHTS,
    ShapesTransformer,
    load,
    save,
)
from noisesearch.worlds.shapes.prompts import unconditional
from noisesearch.worlds.shapes.scene import COLOURS, SHAPES
from shapes_data import ShapesPool, open_pool, sample, write_grid
from shapes_reader import train_reader

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


@torch.no_grad()
def validation_loss(network: nn.Module, pool: ShapesPool) -> float:
    """The loss on rows held back, with the same noise each time."""
    generator, rng = torch.Generator().manual_seed(5), np.random.default_rng(5)
    rows = np.arange(len(pool.specs) - HELD_BACK, len(pool.specs)).reshape(-1, 128)[:8]
    losses = [velocity_loss(network, *pool.batch(part, rng), generator) for part in rows]
    return float(torch.stack(losses).mean())


class Lesson:
    """The loss on the next batch: the velocity's, and that of what each hidden patch will show."""

    def __init__(self, width: int, pool: ShapesPool, batch: int, seed: int) -> None:
        self.kinds = nn.Linear(width, KINDS)
        self.pool, self.batch, self.seed = pool, batch, seed
        self.patches = torch.empty(0)
        self.rng: np.random.Generator | None = None
        self.losses: list[tuple[float, float]] = []

    def __call__(self, network: nn.Module, step: int) -> Tensor:
        if self.rng is None:
            self.rng = self.begin(network, step)
        usable = len(self.pool.specs) - HELD_BACK
        rows = np.sort(self.rng.choice(usable, self.batch, replace=False, shuffle=False))
        kinds = torch.from_numpy(self.pool.kinds[rows].astype(np.int64))
        images, tokens = self.pool.batch(rows, self.rng)
        tokens = drop_prompts(tokens, self.generator)
        loss = velocity_loss(network, images, tokens, self.generator)
        said = F.cross_entropy(self.kinds(self.patches).flatten(0, 1), kinds.flatten())
        self.losses.append((float(loss.detach()), float(said.detach())))
        return loss + KINDS_WEIGHT * said

    def begin(self, network: nn.Module, step: int) -> np.random.Generator:
        """Look into the network from here on; a run that goes on draws by its first step."""
        assert isinstance(network, ShapesTransformer)
        self.text_length = network.config.text_length
        place = network.config.depth * 2 // 3 - 1
        network.blocks[place].register_forward_hook(self.keep_patches)
        self.generator = torch.Generator().manual_seed(self.seed + step)
        return np.random.default_rng([self.seed, step])

    def keep_patches(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        """Keep the hidden patches [B, 64, width] that pass through a block."""
        self.patches = output[:, self.text_length :].float()

    def columns(self) -> dict[str, float]:
        """Both means since the last line of the curve."""
        columns = zip(("loss", "kinds"), zip(*self.losses, strict=True), strict=True)
        means = {name: round(sum(each) / len(each), 5) for name, each in columns}
        self.losses = []
        return means


def thinned(network: ShapesTransformer, source: ShapesTransformer) -> None:
    """Start from a deeper network by leaving out blocks evenly (arXiv:1910.01108)."""
    depth, wanted = source.config.depth, network.config.depth
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
    network.load_state_dict(thin)


def main() -> None:
    """Read the options and train."""
    parser = options(__doc__, sorted(SIZES))
    parser.set_defaults(batch=64)
    parser.add_argument("--read", type=int, default=1000, help="steps of the reader, done first")
    parser.add_argument("--thin", choices=sorted(SIZES), help="start from this size's blocks")
    parser.add_argument("--compile", action="store_true", help="a third faster; needs g++")
    for name in ("patch", "width", "depth", "heads"):
        parser.add_argument(f"--{name}", type=int, default=None, help="instead of the size's")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    changes = {
        name: value
        for name in ("patch", "width", "depth", "heads")
        if (value := getattr(arguments, name)) is not None
    }
    network = ShapesTransformer(replace(SIZES[arguments.size], **changes))
    pool = open_pool()
    lesson = Lesson(network.config.width, pool, arguments.batch, arguments.seed)
    if arguments.thin:
        thinned(network, load(arguments.thin))

    def finish(average: nn.Module) -> None:
        assert isinstance(average, ShapesTransformer)
        save(average, loop.folder / "average.safetensors")
        if arguments.publish:
            save(average, WEIGHTS / f"{arguments.size}.safetensors")
        prompts = [prompt for prompt in PREVIEW for _ in range(8)]
        grid = loop.folder / f"samples-{loop.step:06d}.png"
        write_grid(sample(average, prompts, 16, 2.0, 0), 8, grid)

    def more() -> dict[str, float]:
        columns = lesson.columns()
        if loop.step % 500 == 0:
            columns["validation"] = round(validation_loss(loop.average, pool), 5)
        return columns

    loop = Loop(arguments, network, lesson, finish, lesson.kinds, more)
    if not (arguments.resume or arguments.thin):
        train_reader(network, pool, arguments.read, arguments.seed)
        loop.average.load_state_dict(network.state_dict())
    for parameter in network.text_parameters():
        parameter.requires_grad_(False)  # what reads the text stays fixed
    if arguments.compile:
        network.compile()
    loop.run()


if __name__ == "__main__":
    main()
