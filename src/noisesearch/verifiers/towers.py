"""The image towers of CLIP (arXiv 2103.00020) and SigLIP (arXiv 2303.15343), without the text's.

They are transformers' networks with the weights of published checkpoints, whose other half is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from .preprocess import clip_picture, normalise, pillow_resize
from .protocol import Views
from .settings import Precision
from .weights import Files, filled, shared

Kind = Literal["clip", "siglip"]
MARK = "vision_model."  # before the tower's names in files, and in some networks
SPARE = ("text_model.", "text_projection.", "logit_", f"{MARK}embeddings.position_ids")
# What of the configuration shapes the network; what a file leaves out is transformers' default.
SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "image_size", "patch_size", "hidden_act", "layer_norm_eps", "projection_dim")  # fmt: skip
HALVES = (0.5, 0.5, 0.5)


def tower(kind: Kind, of: Files, dtype: Precision) -> nn.Module:
    """The network of these files, frozen, loaded once."""

    def load() -> nn.Module:
        network = _empty(kind, of)
        return filled(network, _named(of.tensors(), network), of, SPARE).to(getattr(torch, dtype))

    return shared((kind, *map(str, of.weights), of.fingerprint, dtype), load)


def seen(kind: Kind, network: Any, views: Views) -> Tensor:
    """Features [B, d] of the images: CLIP's projected, SigLIP's pooled; worked out once."""

    def look() -> Tensor:
        picture = _picture(kind, views.images, network.config.image_size).to(network.dtype)
        out = network(pixel_values=picture)
        found: Tensor = out.image_embeds if kind == "clip" else out.pooler_output
        return found

    found: Tensor = views.once((kind, network), look)
    return found


def _picture(kind: Kind, images: Tensor, size: int) -> Tensor:
    if kind == "clip":
        return clip_picture(images, size)
    return normalise(pillow_resize(images, size, size), HALVES, HALVES)


def _empty(kind: Kind, of: Files) -> nn.Module:
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"verifier {of.verifier!r} needs transformers: pip install 'noisesearch[verifiers]'"
        ) from error
    content = of.config()
    vision = content.get("vision_config", content)
    given = {name: vision[name] for name in SHAPE if name in vision}
    if "projection_dim" in content:
        given["projection_dim"] = content["projection_dim"]
    network: nn.Module
    if kind == "clip":
        config = transformers.CLIPVisionConfig(**given)
        network = transformers.CLIPVisionModelWithProjection(config)
    else:
        network = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**given))
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
