"""The vision transformer of DINOv2 (arXiv 2304.07193), also with registers (arXiv 2309.16588).

Its parameters have the names of the published checkpoints; those of transformers are renamed.
transformers' own network is not used, since without registers it stretches the positions of the
patches otherwise than the original does: at 224 pixels its logits are others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ConfigError
from ..weights import Files, filled

BLOCKS = 4  # class tokens that a linear head may read
HEAD_WIDTH = 64  # of each head of attention, in all published sizes
EPS = 1e-6
SPARE = ("mask_token", "classifier.")  # of published files, and nothing to the network


@dataclass(frozen=True)
class Sizes:
    """``side``: patches along a side of the training images; ``hidden``: width of the perceptron.

    ``gated``: SwiGLU in place of the perceptron, as the giant has it.
    """

    width: int
    depth: int
    heads: int
    patch: int
    side: int
    registers: int
    hidden: int
    gated: bool


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        q, k, v = self.qkv(x).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        out: Tensor = self.proj(seen.reshape(rows, length, width))
        return out


class Perceptron(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Gated(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.w12(x).chunk(2, dim=-1)
        out: Tensor = self.w3(F.silu(gate) * value)
        return out


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attn = Attention(width, sizes.heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, EPS)
        self.mlp = (Gated if sizes.gated else Perceptron)(width, sizes.hidden)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        out: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return out


class Patches(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """[B, N, width], row by row."""
        seen: Tensor = self.proj(images)
        return seen.flatten(2).transpose(1, 2)


class DinoV2(nn.Module):
    """Tokens of normalised images whose sides are multiples of the patch."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.width
        self.patch_embed = Patches(width, sizes.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + sizes.side**2, width))
        if sizes.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, sizes.registers, width))
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(width, EPS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class tokens [4, B, width] of the last blocks, the last one last, and patch tokens
        [B, N, width] of the last; all behind the final norm."""
        height, width = (side // self.sizes.patch for side in images.shape[2:])
        x = self.patch_embed(images)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x + self.positions(height, width)
        if self.sizes.registers:
            # They have no place, and stand between the class and the patches.
            x = torch.cat([x[:, :1], self.register_tokens.expand(len(x), -1, -1), x[:, 1:]], 1)
        classes = []
        for block in self.blocks:
            x = block(x)
            classes.append(x[:, 0])
        patches = self.norm(x[:, 1 + self.sizes.registers :])
        return self.norm(torch.stack(classes[-BLOCKS:])), patches

    def positions(self, height: int, width: int) -> Tensor:
        """[1, 1 + height · width, width] for that many patches, stretched as published."""
        side = self.sizes.side
        if height == width == side:
            return self.pos_embed
        # In float32 whatever the weights are, as published.
        known = self.pos_embed[:, 1:].float().mT.reshape(1, -1, side, side)
        if self.sizes.registers:
            grid = F.interpolate(known, (height, width), mode="bicubic", antialias=True)
        else:
            # The tenth is there to keep a rounding from losing a row; it also moves the samples.
            scale = ((height + 0.1) / side, (width + 0.1) / side)
            grid = F.interpolate(known, scale_factor=scale, mode="bicubic")
        stretched = grid.flatten(2).transpose(1, 2).to(self.pos_embed.dtype)
        return torch.cat([self.pos_embed[:, :1], stretched], dim=1)


def dinov2(state: Mapping[str, Tensor], of: Files) -> DinoV2:
    """The network of these weights, frozen, in float32; its sizes are those of the weights, but
    the number of heads of an unpublished width is in ``config.json``."""
    named = published(state)
    return filled(DinoV2(_sizes(named, of)), named, of, SPARE)


def _sizes(state: Mapping[str, Tensor], of: Files) -> Sizes:
    gated = "blocks.0.mlp.w12.weight" in state
    try:
        patch = state["patch_embed.proj.weight"].shape
        hidden = state[f"blocks.0.mlp.{'w3' if gated else 'fc1'}.weight"].shape[gated]
        places = state["pos_embed"].shape[1] - 1
    except KeyError as error:
        raise ConfigError(
            f"{of.of} is no DINOv2 (it lacks {error.args[0]}), which verifier {of.verifier!r} "
            f"looks through; {of.instead}"
        ) from error
    registers = state["register_tokens"].shape[1] if "register_tokens" in state else 0
    numbers = [int(name.split(".")[1]) for name in state if name.startswith("blocks.")]
    return Sizes(patch[0], 1 + max(numbers), _heads(patch[0], of), patch[2], round(places**0.5),
                 registers, hidden, gated)  # fmt: skip


def _heads(width: int, of: Files) -> int:
    if (of.folder / "config.json").is_file():
        heads = of.config().get("num_attention_heads")
        if isinstance(heads, int) and heads > 0 and width % heads == 0:
            return heads
    if width % HEAD_WIDTH:
        raise ConfigError(
            f"{of.of} is {width} wide, which no published DINOv2 is; put a config.json beside it "
            "that says num_attention_heads"
        )
    return width // HEAD_WIDTH


# Names of transformers' files, and the original's in their place.
NAMES = (
    (r"^dinov2(_with_registers)?\.", ""),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.", ""),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.attention\.", ".attn."),
    (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
    (r"\.mlp\.weights_in\.", ".mlp.w12."),
    (r"\.mlp\.weights_out\.", ".mlp.w3."),
    (r"^layernorm\.", "norm."),
)


def published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the original's names, whichever of the two formats they are in."""
    named = {}
    for name, weight in state.items():
        for pattern, instead in NAMES:
            name = re.sub(pattern, instead, name)
        named[name] = weight
    for name in [n for n in named if ".attn.query." in n]:
        three = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(one in named for one in three):
            named[name.replace("query", "qkv")] = torch.cat([named.pop(one) for one in three])
    return named
