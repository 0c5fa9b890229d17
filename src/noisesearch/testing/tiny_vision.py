"""Tiny checkpoints of verifiers that look at images alone, in the published files and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from ..verifiers.features.dino import DinoLinear
from ..verifiers.features.dino_network import BLOCKS, DinoV2, Sizes
from ..verifiers.features.inception import Inception
from ..verifiers.features.oracle import OracleFID, OracleIS
from ..verifiers.features.self_supervised import SelfSupervised

SEED = 7
SHARE = 8  # one of as many of Inception's channels; with fewer, rows are not equal to the bit
CLASSES = 10
DINO = Sizes(width=32, depth=5, heads=2, patch=14, side=5, registers=2, hidden=64, gated=False)


def make_dino_linear(folder: Path, classes: int = CLASSES) -> DinoLinear:
    """dinov2_tiny_pretrain.pth and dinov2_tiny_linear4_head.pth."""
    _dino(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        head = nn.Linear((BLOCKS + 1) * DINO.width, classes)
    torch.save(head.state_dict(), folder / "dinov2_tiny_linear4_head.pth")
    return DinoLinear(weights=str(folder))


def _dino(folder: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = DinoV2(DINO)
        for parameter in network.parameters():
            if not parameter.any():  # each of them is to be felt
                nn.init.normal_(parameter, std=0.5)
    folder.mkdir(parents=True, exist_ok=True)
    state = {**network.state_dict(), "mask_token": torch.zeros(1, DINO.width)}
    torch.save(state, folder / "dinov2_tiny_pretrain.pth")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": DINO.heads}) + "\n")


def make_self_supervised(
    folder: Path, network: Literal["clip", "dino", "siglip"] = "dino"
) -> SelfSupervised:
    """A DINOv2, or a whole CLIP or SigLIP as transformers saves it."""
    if network == "dino":
        _dino(folder)
    else:
        import transformers

        settings = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                    "num_attention_heads": 2}  # fmt: skip
        kind = {"clip": "CLIP", "siglip": "Siglip"}[network]
        text = {**settings, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
        vision = {**settings, "image_size": 32, "patch_size": 8, "projection_dim": 24}
        config = getattr(transformers, f"{kind}Config")(
            text_config=text, vision_config=vision, projection_dim=24
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            whole = getattr(transformers, f"{kind}Model")(config)
        whole.save_pretrained(str(folder))
    return SelfSupervised(network=network, weights=str(folder))


def make_oracle_is(folder: Path, classes: int = CLASSES) -> OracleIS:
    """pt_inception_tiny.pth, and a label map."""
    path = _inception(folder)
    entries = (
        f'entry {{\n  target_class: {3 + 7 * i % classes}\n  target_class_string: "n{i:08}"\n}}\n'
        for i in reversed(range(classes))
    )
    (folder / "imagenet_2012_challenge_label_map_proto.pbtxt").write_text("".join(entries))
    return OracleIS(weights=str(path))


def make_oracle_fid(folder: Path) -> OracleFID:
    """pt_inception_tiny.pth, and statistics of made-up features."""
    path = _inception(folder)
    features = np.random.default_rng(SEED).random((300, 2048 // SHARE))
    statistics = folder / "statistics.npz"
    np.savez(statistics, mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    return OracleFID(weights=str(path), reference=str(statistics))


def _inception(folder: Path) -> Path:
    """The file of a network whose signals neither fade nor grow."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = Inception(SHARE)
        for name, values in network.state_dict().items():
            if name.endswith("conv.weight"):
                nn.init.kaiming_normal_(values, nonlinearity="relu")
            elif name.startswith("fc."):
                nn.init.normal_(values)
            elif name.endswith(("bn.weight", "running_var")):
                values.uniform_(0.8, 1.2)
            else:
                nn.init.normal_(values, std=0.1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pt_inception_tiny.pth"
    torch.save(network.state_dict(), path)
    return path
