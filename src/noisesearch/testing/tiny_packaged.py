"""Tiny checkpoints of verifiers whose weights come in packages, in the published files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..verifiers.packaged.efficientnet import BLOCKS, EfficientNetLite
from ..verifiers.packaged.faces import NETWORKS
from ..verifiers.packaged.mtcnn import MTCNN


def make_imagenet_lite(folder: Path) -> Path:
    """The file of a narrow EfficientNet-Lite with all its blocks and 1000 classes."""
    torch.manual_seed(0)
    network = _settled(EfficientNetLite(4, [4] * len(BLOCKS), 16))
    path = folder / "efficientnet-lite0-57934424.pth"
    torch.save(network.state_dict(), path)
    return path


def make_faces(folder: Path) -> Path:
    """The folder of the three networks of MTCNN, random, which take nearly all for faces."""
    torch.manual_seed(0)
    detector = MTCNN()
    for head in (detector.pnet.conv4_1, detector.rnet.dense5_1, detector.onet.dense6_1):
        assert head.bias is not None
        head.bias.data += torch.tensor([0.0, 4.0])
    for name in NETWORKS:
        torch.save(getattr(detector, name).state_dict(), folder / f"{name}.pt")
    return folder


def _settled(network: nn.Module) -> nn.Module:
    """With statistics that fit its random weights, so that pictures are told apart."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over what it sees
    with torch.no_grad():
        network.train()(torch.rand(8, 3, 224, 224) * 2 - 1)
    return network.eval()
