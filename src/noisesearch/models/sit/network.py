"""SiT, the scalable interpolant transformer (arXiv 2401.08740).

The network is the diffusion transformer with adaLN-Zero blocks (arXiv 2212.09748, Section 3.2):
patches of the noisy picture are the tokens, time and class modulate every block. Modules have the
names of the published code, so that its checkpoints are read key by key. Time is the paper's: 0
noise, 1 data.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SiTConfig

TIME_FEATURES = 256
SLOWEST = 10000.0  # ratio of the fastest to the slowest frequency, of time and of place


def place_features(grid: int, width: int) -> Tensor:
    """Sine and cosine features [grid², width] of the places of a square grid, row by row.

    The first half of a row tells the column, the second the row; in each half the sines of all
    frequencies come before their cosines.
    """
    count = width // 4
    rates = SLOWEST ** (-torch.arange(count, dtype=torch.float64) / count)
    phase = torch.arange(grid, dtype=torch.float64)[:, None] * rates
    line = torch.cat([phase.sin(), phase.cos()], dim=1)  # [grid, width / 2]
    columns = line[None, :, :].expand(grid, grid, -1)
    rows = line[:, None, :].expand(grid, grid, -1)
    return torch.cat([columns, rows], dim=2).reshape(grid * grid, width).float()


def time_features(t: Tensor) -> Tensor:
    """Cosines, then sines [B, TIME_FEATURES] of times [B] in [0, 1], in float32."""
    count = TIME_FEATURES // 2
    steps = torch.arange(count, dtype=torch.float32, device=t.device)
    phase = t.float()[:, None] * torch.exp(steps * (-math.log(SLOWEST) / count))
    return torch.cat([phase.cos(), phase.sin()], dim=1)


class PatchEmbedder(nn.Module):
    """Cuts pictures into patches."""

    def __init__(self, config: SiTConfig) -> None:
        super().__init__()
        patch = config.patch_size
        self.proj = nn.Conv2d(config.in_channels, config.hidden_size, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """Patches [B, N, width], row by row, of x [B, C, S, S]."""
        patches: Tensor = self.proj(x.to(self.proj.weight.dtype))
        return patches.flatten(2).transpose(1, 2)


class ClassEmbedder(nn.Module):
    """Class numbers to vectors."""

    def __init__(self, config: SiTConfig) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(config.rows, config.hidden_size)

    def forward(self, labels: Tensor) -> Tensor:
        """[B, width] of class numbers [B]."""
        embedded: Tensor = self.embedding_table(labels)
        return embedded


class TimeEmbedder(nn.Module):
    """Times to vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, t: Tensor) -> Tensor:
        """[B, width] of times [B], in the dtype of the weights."""
        dtype = next(self.mlp.parameters()).dtype
        embedded: Tensor = self.mlp(time_features(t).to(dtype))
        return embedded


class Attention(nn.Module):
    """Self-attention of all patches."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, width] of the same."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        merged: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return merged


class Perceptron(nn.Module):
    """What happens to each patch alone."""

    def __init__(self, config: SiTConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.mlp_size)
        self.fc2 = nn.Linear(config.mlp_size, config.hidden_size)
        self.kind: str = config.gelu

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, width] of the same."""
        values: Tensor = self.fc2(F.gelu(self.fc1(x), approximate=self.kind))
        return values


def modulation(width: int, count: int) -> nn.Sequential:
    """What time and class say to a layer: ``count`` vectors of ``width``, zero at first."""
    return nn.Sequential(nn.SiLU(), nn.Linear(width, count * width))


class Block(nn.Module):
    """Attention and a perceptron, each shifted, scaled and gated by time and class."""

    def __init__(self, config: SiTConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.attn = Attention(width, config.num_heads)
        self.mlp = Perceptron(config)
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Patches [B, N, width] after the block; c is [B, width]."""
        said = self.adaLN_modulation(c)[:, None].chunk(6, dim=2)
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = said
        x = torch.addcmul(x, gate_a, self.attn(self._prepared(x, shift_a, scale_a)))
        return torch.addcmul(x, gate_m, self.mlp(self._prepared(x, shift_m, scale_m)))

    def _prepared(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class FinalLayer(nn.Module):
    """Patches of the velocity."""

    def __init__(self, config: SiTConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.linear = nn.Linear(width, config.patch_size**2 * config.out_channels)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """[B, N, patch·patch·out_channels] of patches [B, N, width] and c [B, width]."""
        shift, scale = self.adaLN_modulation(c)[:, None].chunk(2, dim=2)
        values: Tensor = self.linear(torch.addcmul(shift, self.norm(x), 1 + scale))
        return values


class SiT(nn.Module):
    """Predicts the velocity dx/dt = data − noise at x_t = t·data + (1 − t)·noise."""

    pos_embed: Tensor

    def __init__(self, config: SiTConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.x_embedder = PatchEmbedder(config)
        self.t_embedder = TimeEmbedder(width)
        self.y_embedder = ClassEmbedder(config)
        # Fixed, but a part of published checkpoints and therefore of ours.
        self.register_buffer("pos_embed", place_features(config.grid, width)[None])
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(config)
        self._initialise()

    def _initialise(self) -> None:
        """Every block the identity and the output zero (arXiv 2212.09748, Section 3.2)."""
        for name, weight in self.named_parameters():
            if weight.dim() == 1 or "adaLN_modulation" in name or name.startswith("final_layer"):
                nn.init.zeros_(weight)
            elif name.startswith(("t_embedder", "y_embedder")):
                nn.init.normal_(weight, std=0.02)
            else:
                nn.init.xavier_uniform_(weight.flatten(1))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """The velocity [B, C, S, S] at x [B, C, S, S], times t [B] and class numbers [B].

        Class ``num_classes`` is the null class. Computed and returned in the dtype of the weights.
        """
        tokens = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(labels)
        for block in self.blocks:
            tokens = block(tokens, c)
        return self._picture(self.final_layer(tokens, c))

    def _picture(self, patches: Tensor) -> Tensor:
        """[B, C, S, S] of patches [B, N, patch·patch·out_channels]; learned variances are left."""
        grid, patch, channels = self.config.grid, self.config.patch_size, self.config.out_channels
        cut = patches.reshape(-1, grid, grid, patch, patch, channels).permute(0, 5, 1, 3, 2, 4)
        whole = cut.reshape(-1, channels, grid * patch, grid * patch)
        return whole[:, : self.config.in_channels]
