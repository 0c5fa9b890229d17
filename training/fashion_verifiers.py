"""Train the networks that look at pictures of the world fashion.

    python training/fashion_verifiers.py --size inception --steps 6000 --publish

Each has its own seed, architecture and augmentations: the convolutional classifier sees shifted
pictures, the transformer mixtures of two (arXiv 1710.09412) and erased squares, the cosine tower
shifted and noisy ones. The accuracy on the test set is printed at each checkpoint.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loop import Loop, options
from noisesearch.worlds.fashion.data import CLASSES, load
from noisesearch.worlds.fashion.networks import KINDS, Looking, save

SEEDS = {"inception": 11, "dino": 23, "clip": 37}
SMOOTHING = 0.05


def shifted(pictures: Tensor, generator: torch.Generator, most: int = 2) -> Tensor:
    """Each picture [B, 1, 28, 28] moved by up to ``most`` pixels both ways."""
    padded = F.pad(pictures, (most,) * 4)
    moves = torch.randint(2 * most + 1, (len(pictures), 2), generator=generator)
    side = pictures.shape[-1]
    return torch.stack([
        p[:, y : y + side, x : x + side] for p, (y, x) in zip(padded, moves.tolist(), strict=True)
    ])  # fmt: skip


def erased(pictures: Tensor, generator: torch.Generator, side: int = 8) -> Tensor:
    """Half of the pictures without a square."""
    result = pictures.clone()
    at = torch.randint(28 - side, (len(pictures), 2), generator=generator).tolist()
    for picture, (y, x) in zip(result[::2], at[::2], strict=True):
        picture[:, y : y + side, x : x + side] = 0
    return result


class Classes:
    """The cross entropy on the batch of a step."""

    def __init__(self, kind: str, batch: int, seed: int) -> None:
        pictures, labels = load("train")
        self.pictures = torch.tensor(pictures)[:, None]
        self.targets = F.one_hot(torch.tensor(labels).long(), len(CLASSES)).float()
        self.kind, self.batch, self.seed = kind, batch, seed

    def __call__(self, network: nn.Module, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        rows = torch.randint(len(self.pictures), (self.batch,), generator=generator)
        pictures, targets = self.pictures[rows].float() / 255, self.targets[rows]
        if self.kind == "dino":
            share = float(torch.rand((), generator=generator)) * 0.4
            other = torch.randperm(self.batch, generator=generator)
            pictures = torch.lerp(erased(pictures, generator), pictures[other], share)
            targets = torch.lerp(targets, targets[other], share)
        else:
            pictures = shifted(pictures, generator)
        if self.kind == "clip":
            pictures = pictures + 0.05 * torch.randn(pictures.shape, generator=generator)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network.logits(pictures)
        return F.cross_entropy(logits.float(), targets, label_smoothing=SMOOTHING)


@torch.no_grad()
def accuracy(network: Looking) -> float:
    """The share of the 10,000 test pictures whose class is found."""
    pictures, labels = load("test")
    right = 0
    for start in range(0, len(pictures), 500):
        batch = torch.tensor(pictures[start : start + 500])[:, None].float() / 255
        found = network.logits(batch).argmax(1)
        right += int((found == torch.tensor(labels[start : start + 500])).sum())
    return right / len(pictures)


def main() -> None:
    """Read the options and train."""
    arguments = options(__doc__, list(KINDS)).parse_args()
    seed = arguments.seed or SEEDS[arguments.size]
    torch.manual_seed(seed)

    def finish(average: nn.Module) -> None:
        print(f"step {loop.step}: {accuracy(average):.2%} of the test set", flush=True)  # type: ignore[arg-type]
        if arguments.publish:
            save(average, arguments.size)

    loss = Classes(arguments.size, arguments.batch, seed)
    loop = Loop(arguments, KINDS[arguments.size](), loss, finish)
    loop.run()


if __name__ == "__main__":
    main()
