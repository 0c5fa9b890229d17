"""The image tower of SigLIP (arXiv 2303.15343): transformers' network, without the text's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..preprocess import normalise, pillow_resize
from ..protocol import Views
from ..settings import Precision
from ..weights import Files, filled, shared, transformers

MARK = "vision_model."  # before the tower's names in files, and in some networks
SPARE = ("text_model.", "logit_", f"{MARK}embeddings.position_ids")
# What of the configuration shapes the network; what a file leaves out is transformers' default.
SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "image_size", "patch_size", "hidden_act", "layer_norm_eps")  # fmt: skip
HALVES = (0.5, 0.5, 0.5)


def tower(of: Files, dtype: Precision) -> nn.Module:
    """The network of these files, frozen, loaded once."""

    def load() -> nn.Module:
        network = _empty(of)
        return filled(network, _named(of.tensors(), network), of, SPARE).to(getattr(torch, dtype))

    return shared(("siglip", *map(str, of.weights), of.fingerprint, dtype), load)


def seen(network: Any, views: Views) -> Tensor:
    """The pooled features [B, d] of the images; worked out once."""

    def look() -> Tensor:
        side = network.config.image_size
        picture = normalise(pillow_resize(views.images, side, side), HALVES, HALVES)
        found: Tensor = network(pixel_values=picture.to(network.dtype)).pooler_output
        return found

    found: Tensor = views.once(("siglip", network), look)
    return found


def _empty(of: Files) -> nn.Module:
    library = transformers(of.verifier)
    content = of.config()
    vision = content.get("vision_config", content)
    config = library.SiglipVisionConfig(**{n: vision[n] for n in SHAPE if n in vision})
    network: nn.Module = library.SiglipVisionModel(config)
    return network


def _named(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Under the network's own names, which versions of transformers spell with and without the
    mark."""
    own = network.state_dict()
    named = {}
    for name, weight in state.items():
        bare = name.removeprefix(MARK)
        named[next((n for n in (name, bare, MARK + bare) if n in own), name)] = weight
    return named
