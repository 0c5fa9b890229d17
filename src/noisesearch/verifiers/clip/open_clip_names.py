"""CLIP checkpoints in the names of open_clip, told in those of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

MARK = "visual.conv1.weight"  # a checkpoint that has it is open_clip's
TURNED = {"visual.proj": "visual_projection", "text_projection": "text_projection"}
# Beginnings of names; a longer one stands before one that it begins with.
NAMES = {
    "visual.transformer.resblocks.": "vision_model.encoder.layers.",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.": "vision_model.embeddings.patch_embedding.",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.": "vision_model.pre_layrnorm.",  # spelt so in transformers
    "visual.ln_post.": "vision_model.post_layernorm.",
    "transformer.resblocks.": "text_model.encoder.layers.",
    "token_embedding.": "text_model.embeddings.token_embedding.",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.": "text_model.final_layer_norm.",
}
BLOCK = {
    ".ln_1.": ".layer_norm1.",
    ".ln_2.": ".layer_norm2.",
    ".mlp.c_fc.": ".mlp.fc1.",
    ".mlp.c_proj.": ".mlp.fc2.",
    ".attn.": ".self_attn.",
}
# Widths of one attention head that differ from 64: of the image towers H/14, g/14 and bigG/14.
HEADS = {1280: 80, 1408: 88, 1664: 104}


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under transformers' names; what has another name already keeps it."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name in TURNED:
            found[f"{TURNED[name]}.weight"] = value.T.contiguous()
            continue
        new = _renamed(name)
        if ".in_proj_" not in new:
            found[new] = value
            continue
        # Query, key and value are stacked.
        for part, rows in zip("qkv", value.chunk(3), strict=True):
            found[new.replace(".in_proj_", f".{part}_proj.")] = rows
    return found


def _renamed(name: str) -> str:
    new = next((to + name[len(of) :] for of, to in NAMES.items() if name.startswith(of)), name)
    for of, to in BLOCK.items():
        new = new.replace(of, to)
    return new


def told(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What transformers' CLIPConfig has to know, told by the shapes of an open_clip checkpoint.

    Widths of heads and the exact GELU are those of LAION's networks, HPSv2's among them; OpenAI's
    own have the quick one, so whoever has them in these names gives a config.json beside them.
    """
    width, _, patch, _ = state[MARK].shape
    places = len(state["visual.positional_embedding"]) - 1
    words, text_width = state["token_embedding.weight"].shape
    projected = state["text_projection"].shape[1]

    def tower(width: int, blocks: str, head: int) -> dict[str, Any]:
        layers = {n.removeprefix(blocks).partition(".")[0] for n in state if n.startswith(blocks)}
        wide = state[f"{blocks}0.mlp.c_fc.weight"]
        return {
            "hidden_size": width, "num_hidden_layers": len(layers), "hidden_act": "gelu",
            "num_attention_heads": max(1, width // head), "intermediate_size": len(wide),
        }  # fmt: skip

    vision = tower(width, "visual.transformer.resblocks.", HEADS.get(width, 64))
    text = tower(text_width, "transformer.resblocks.", 64)
    return {
        "model_type": "clip",
        "projection_dim": projected,
        "vision_config": {
            **vision, "patch_size": patch, "image_size": patch * round(places**0.5),
        },
        "text_config": {
            **text, "vocab_size": words, "bos_token_id": words - 2, "eos_token_id": words - 1,
            "max_position_embeddings": len(state["positional_embedding"]),
        },
    }  # fmt: skip
