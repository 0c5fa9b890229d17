"""The small networks that look at pictures of the world fashion.

They play the parts of InceptionV3, DINOv2 and CLIP in the paper's experiments on ImageNet, and
are as unlike each other as those: a convolutional classifier, a transformer on patches whose
features a linear head reads, and a convolutional tower that meets class vectors in a cosine. No
row of a batch depends on another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .data import CLASSES, SIDE

WEIGHTS = Path(__file__).parent / "weights"


class Looking(Protocol):
    """``features`` [B, d] and ``logits`` [B, 10] of pictures [B, 1, 28, 28] in [0, 1]."""

    def features(self, pictures: Tensor) -> Tensor: ...
    def logits(self, pictures: Tensor) -> Tensor: ...


def tower(widths: tuple[int, int, int]) -> nn.Sequential:
    """Convolutions from [B, 1, 28, 28] to [B, widths[2], 7, 7]."""
    layers: list[nn.Module] = []
    before = 1
    for width, stride in zip(widths, (1, 2, 2), strict=True):
        for step in (stride, 1):
            layers += [nn.Conv2d(before, width, 3, step, 1), nn.GroupNorm(8, width), nn.SiLU()]
            before = width
    return nn.Sequential(*layers)


class Inception(nn.Module):
    """A convolutional classifier; its features are the pooled last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = tower((32, 48, 64))
        self.head = nn.Linear(64, len(CLASSES))

    def features(self, pictures: Tensor) -> Tensor:
        """[B, 64]."""
        seen: Tensor = self.tower(pictures * 2 - 1)
        return seen.mean((2, 3))

    def logits(self, pictures: Tensor) -> Tensor:
        """[B, 10]."""
        values: Tensor = self.head(self.features(pictures))
        return values


class Dino(nn.Module):
    """A transformer on patches of 4×4; the features are a class token and the patches' mean."""

    def __init__(self, width: int = 64, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, 1 + (SIDE // 4) ** 2, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 3 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(2 * width, len(CLASSES))

    def features(self, pictures: Tensor) -> Tensor:
        """[B, 2 · width]."""
        x = self.patches(pictures * 2 - 1).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return torch.cat([x[:, 0], x[:, 1:].mean(1)], dim=1)

    def logits(self, pictures: Tensor) -> Tensor:
        """[B, 10]."""
        values: Tensor = self.head(self.features(pictures))
        return values


class Clip(nn.Module):
    """A tower whose unit vectors meet those of the classes in a cosine (arXiv 2103.00020)."""

    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.tower = tower((24, 32, 48))
        self.out = nn.Linear(48 * 49, size)
        self.classes = nn.Parameter(torch.randn(len(CLASSES), size))
        self.log_scale = nn.Parameter(torch.tensor(2.5))

    def features(self, pictures: Tensor) -> Tensor:
        """Unit vectors [B, size]."""
        return F.normalize(self.out(self.tower(pictures * 2 - 1).flatten(1)), dim=1)

    def cosines(self, pictures: Tensor) -> Tensor:
        """[B, 10] of the picture's vector with each class's."""
        return self.features(pictures) @ F.normalize(self.classes, dim=1).T

    def logits(self, pictures: Tensor) -> Tensor:
        """[B, 10]."""
        return self.cosines(pictures) * self.log_scale.exp()


KINDS: dict[str, type[Inception] | type[Dino] | type[Clip]] = {
    "inception": Inception,
    "dino": Dino,
    "clip": Clip,
}


def path_of(name: str) -> Path:
    return WEIGHTS / f"{name}.safetensors"


def save(network: nn.Module, name: str) -> None:
    """Write a network's weights in float16."""
    state = {n: w.detach().half().contiguous() for n, w in network.state_dict().items()}
    WEIGHTS.mkdir(exist_ok=True)
    save_file(state, str(path_of(name)))


def load(name: str) -> Inception | Dino | Clip:
    """The trained network, frozen and in float32."""
    network = KINDS[name]()
    state = load_file(str(path_of(name)))
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval().requires_grad_(False)
