"""Tiny checkpoints of CLIP's verifiers, in the files and names that the published ones have."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..verifiers.clip.aesthetic import HEAD, Aesthetic
from ..verifiers.clip.aesthetic import Head as AestheticHead
from ..verifiers.clip.open_clip_names import BLOCK, NAMES, TURNED
from ..verifiers.clip.scores import VERSIONS, ClipScore, HPSv2, PickScore
from ..verifiers.clip.zeroshot import ClipZeroShot
from . import tokenizers

SEED = 11
SIDE = 32  # of the pictures that the networks take
PROJECTED = 24


def make_clipscore(folder: str | Path) -> ClipScore:
    """As OpenAI's CLIPs: model.safetensors, config.json, tokenizer."""
    _save(Path(folder), "quick_gelu")
    return ClipScore(weights=str(folder))


def make_pickscore(folder: str | Path) -> PickScore:
    """As PickScore_v1: the same layout, the exact GELU of H/14."""
    _save(Path(folder), "gelu")
    return PickScore(weights=str(folder))


def make_clip_zeroshot(folder: str | Path) -> ClipZeroShot:
    """As CLIPScore's."""
    _save(Path(folder), "quick_gelu")
    return ClipZeroShot(weights=str(folder))


def make_hpsv2(folder: str | Path) -> HPSv2:
    """One file of torch.save in open_clip's names, with neither config nor tokenizer beside it."""
    folder, elsewhere = Path(folder), Path(folder) / "tokenizer"
    elsewhere.mkdir(parents=True, exist_ok=True)
    words = tokenizers.clip(77)
    words.save_pretrained(str(elsewhere))
    # Heads of 64, as the shapes alone would tell them.
    network = _network(words, "gelu", width=64, heads=1)
    torch.save({"state_dict": open_clip(network.state_dict())}, folder / f"{VERSIONS['2.1']}.pt")
    return HPSv2(weights=str(folder), tokenizer=str(elsewhere))


def make_aesthetic(folder: str | Path) -> Aesthetic:
    """The head as torch.save wrote it, and its backbone in a folder of its own."""
    folder = Path(folder)
    _save(folder / "backbone", "quick_gelu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        torch.save(AestheticHead(PROJECTED).state_dict(), folder / f"{HEAD}.pth")
    return Aesthetic(weights=str(folder), backbone=str(folder / "backbone"))


def open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a CLIPModel under the names of open_clip."""
    turned = {f"{name}.weight": old for old, name in TURNED.items()}
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name in turned:
            found[turned[name]] = value.T.contiguous()
            continue
        old = next((of + name[len(to) :] for of, to in NAMES.items() if name.startswith(to)), name)
        for of, to in BLOCK.items():
            old = old.replace(to, of)
        if ".q_proj." in name:
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            found[old.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
        elif ".k_proj." not in name and ".v_proj." not in name:
            found[old] = value
    return found


def _save(folder: Path, activation: str) -> None:
    """A network and its tokenizer as transformers saves them."""
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizers.clip(77)
    network = _network(words, activation)
    network.config.save_pretrained(str(folder))
    save_file(network.state_dict(), str(folder / "model.safetensors"), {"format": "pt"})
    words.save_pretrained(str(folder))


def _network(words: Any, activation: str, width: int = 48, heads: int = 3) -> Any:
    """A CLIPModel of random weights, the same at every call."""
    transformers = importlib.import_module("transformers")
    tower = {"num_hidden_layers": 2, "intermediate_size": 2 * width, "hidden_act": activation,
             "hidden_size": width, "num_attention_heads": heads}  # fmt: skip
    config = transformers.CLIPConfig(
        vision_config={**tower, "image_size": SIDE, "patch_size": 8},
        text_config={
            **tower, "vocab_size": len(words), "max_position_embeddings": 77,
            "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id,
            "pad_token_id": words.pad_token_id,
        },
        projection_dim=PROJECTED,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = transformers.CLIPModel(config)
        with torch.no_grad():
            for weights in network.parameters():
                # As transformers draws them they hardly tell one picture from another.
                weights.add_(0.1 * torch.randn(weights.shape))
            # Pictures and texts have something in common, as where they are trained: CLIPScore,
            # and its gradient, is 0 where a cosine is negative.
            network.text_projection.weight.copy_(network.visual_projection.weight)
            network.vision_model.post_layernorm.bias.add_(1)
            network.text_model.final_layer_norm.bias.add_(1)
    return network.eval()
