"""Tiny checkpoints of verifiers whose weights come in packages, in the published files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..verifiers.efficientnet import BLOCKS, EfficientNetLite


def make_imagenet_lite(folder: Path) -> Path:
    """The file of a narrow EfficientNet-Lite with all its blocks and 1000 classes."""
    torch.manual_seed(0)
    network = _settled(EfficientNetLite(4, [4] * len(BLOCKS), 16))
    path = folder / "efficientnet-lite0-57934424.pth"
    torch.save(network.state_dict(), path)
    return path


def _settled(network: nn.Module) -> nn.Module:
    """With statistics that fit its random weights, so that pictures are told apart."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over what it sees
    with torch.no_grad():
        network.train()(torch.rand(8, 3, 224, 224) * 2 - 1)
    return network.eval()
