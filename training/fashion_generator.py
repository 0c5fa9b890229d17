"""Train the generators of the world fashion: SiT in three sizes on Fashion-MNIST.

    python training/fashion_generator.py --size fashion --steps 8000 --publish

Loss and network are SiT's (arXiv 2401.08740): the velocity on the linear interpolant, classes
dropped for one picture in ten. Times are logit-normal (arXiv 2403.03206); matrices inside the
blocks are trained by Muon, the rest by AdamW, in bfloat16.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from loop import RUNS, Loop, options
from noisesearch.models.sit.config import SiTConfig
from noisesearch.models.sit.files import save
from noisesearch.models.sit.network import SiT
from noisesearch.worlds.fashion.data import CLASSES, SIDE, load
from noisesearch.worlds.fashion.networks import WEIGHTS

# Width, blocks, heads: in the roles of SiT-XL, L and B, about three times as many weights each.
SIZES = {"fashion": (192, 5, 6), "fashion-medium": (128, 4, 4), "fashion-small": (80, 3, 4)}
CLASS_DROPOUT = 0.1


def config(size: str) -> SiTConfig:
    """The network of a size."""
    width, depth, heads = SIZES[size]
    return SiTConfig(input_size=SIDE, patch_size=4, in_channels=1, hidden_size=width, depth=depth,
                     num_heads=heads, num_classes=len(CLASSES), learn_sigma=False,
                     gelu="none")  # fmt: skip


class Velocity:
    """The loss on the batch of a step."""

    def __init__(self, batch: int, seed: int, device: str) -> None:
        pictures, labels = load("train")
        self.pictures, self.labels = torch.tensor(pictures), torch.tensor(labels).long()
        self.batch, self.seed, self.device = batch, seed, device

    def __call__(self, network: nn.Module, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        rows = torch.randint(len(self.pictures), (self.batch,), generator=generator)
        data = self.pictures[rows][:, None].float() / 127.5 - 1
        labels = self.labels[rows]
        dropped = torch.rand(self.batch, generator=generator) < CLASS_DROPOUT
        labels = torch.where(dropped, len(CLASSES), labels)
        clock = torch.sigmoid(torch.randn(self.batch, generator=generator))
        noise = torch.randn(data.shape, generator=generator)
        noisy = torch.lerp(noise, data, clock[:, None, None, None])
        data, noise, noisy, clock, labels = (
            v.to(self.device) for v in (data, noise, noisy, clock, labels)
        )
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16):
            velocity = network(noisy, clock, labels)
        return (velocity.float() - (data - noise)).square().mean()


@torch.no_grad()
def sample(network: SiT, labels: Tensor, steps: int = 25, seed: int = 0) -> Tensor:
    """Pictures [B, 1, 28, 28] in [-1, 1] of class numbers [B], by Heun without guidance."""
    device = next(network.parameters()).device
    x = torch.randn(len(labels), 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    x, labels = x.to(device), labels.to(device)
    times = torch.linspace(0, 1, steps + 1).tolist()
    for now, then in itertools.pairwise(times):
        first, second = (torch.full((len(x),), t, device=device) for t in (now, then))
        v = network(x, first, labels)
        ahead = network(x + (then - now) * v, second, labels)
        x = x + (then - now) / 2 * (v + ahead)
    return x


def main() -> None:
    """Read the options and train."""
    parser = options(__doc__, sorted(SIZES, key=len))
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    network = SiT(config(arguments.size)).to(arguments.device)
    folder = RUNS / (arguments.run or arguments.size)

    def finish(average: nn.Module) -> None:
        assert isinstance(average, SiT)
        for place in (folder, WEIGHTS)[: 1 + arguments.publish]:
            save(average, place / f"{arguments.size}.safetensors", torch.float16, CLASSES)
        labels = torch.arange(len(CLASSES)).repeat_interleave(10)
        shown = sample(average, labels, 12)[:, 0].cpu().clamp(-1, 1).add(1).mul(127.5).round()
        rows = shown.reshape(len(CLASSES), 10, SIDE, SIDE).permute(0, 2, 1, 3)
        sheet = rows.reshape(len(CLASSES) * SIDE, 10 * SIDE).numpy().astype(np.uint8)
        Image.fromarray(sheet).resize((840, 840), Image.Resampling.NEAREST).save(
            folder / f"samples-{loop.step:06d}.png"
        )

    loss = Velocity(arguments.batch, arguments.seed, arguments.device)
    loop = Loop(arguments, network, loss, finish)
    loop.run()


if __name__ == "__main__":
    main()
