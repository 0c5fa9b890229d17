"""Tiny checkpoints of verifiers that look at images alone, in the published files and names."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from ..verifiers.dino import DinoLinear
from ..verifiers.dino_network import BLOCKS, DinoV2, Sizes

SEED = 7
CLASSES = 10
DINO = Sizes(width=32, depth=5, heads=2, patch=14, side=5, registers=2, hidden=64, gated=False)


def make_dino_linear(folder: Path) -> DinoLinear:
    """dinov2_tiny_pretrain.pth and dinov2_tiny_linear4_head.pth, of 10 classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = _drawn(DinoV2(DINO))
        head = nn.Linear((BLOCKS + 1) * DINO.width, CLASSES)
    folder.mkdir(parents=True, exist_ok=True)
    state = {**network.state_dict(), "mask_token": torch.zeros(1, DINO.width)}
    torch.save(state, folder / "dinov2_tiny_pretrain.pth")
    torch.save(head.state_dict(), folder / "dinov2_tiny_linear4_head.pth")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": DINO.heads}) + "\n")
    return DinoLinear(weights=str(folder))


def _drawn(network: nn.Module) -> nn.Module:
    """Also those parameters that begin at zero, so that each of them is felt."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.5)
    return network
