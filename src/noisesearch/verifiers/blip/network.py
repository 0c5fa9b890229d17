"""BLIP's parts (arXiv 2201.12086), as ImageReward and BLIP-VQA use them, on transformers' classes.

Sizes follow from the weights. What they do not show is said here, since the defaults of
transformers are others and give wrong numbers silently: the layer norms' epsilons, and heads of 64
numbers, which all published BLIP models have.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...files.hub import downloaded
from ..weights import Files, transformers

HEAD = 64  # numbers in an attention head
VISION_EPS, TEXT_EPS = 1e-6, 1e-12
BERT = "google-bert/bert-base-uncased"  # the vocabulary of all published BLIP models
VOCABULARY = "vocab.txt"

# The published names of the image encoder's weights, and those of transformers.
VISION_NAMES = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^blocks\.", "encoder.layers."),
    (r"\.norm([12])\.", r".layer_norm\1."),
    (r"\.attn\.qkv\.", ".self_attn.qkv."),
    (r"\.attn\.proj\.", ".self_attn.projection."),
    (r"^norm\.", "post_layernorm."),
)


def unfilled(verifier: str) -> AbstractContextManager[None]:
    """Networks made within have no numbers yet, which would take longer to draw than to read."""
    transformers(verifier)
    found: AbstractContextManager[None] = importlib.import_module(
        "transformers.initialization"
    ).no_init_weights()
    return found


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under transformers' names, of either kind of name; tables of positions left out."""
    found = {}
    for name, value in state.items():
        kind, _, rest = name.removeprefix("blip.").partition(".")
        if kind == "visual_encoder":
            kind = "vision_model"
            for published, ours in VISION_NAMES:
                rest = re.sub(published, ours, rest)
        if not rest.endswith("position_ids"):
            found[f"{kind}.{rest}".rstrip(".")] = value
    return found


def vision_model(of: Files, state: Mapping[str, Tensor], prefix: str, head: int = HEAD) -> Any:
    """An empty BlipVisionModel of the size of the weights whose names begin with ``prefix``.

    It takes square pictures with a side of ``config.image_size`` pixels, normalised as CLIP's.
    """
    width, _, patch, _ = _shape(of, state, f"{prefix}embeddings.patch_embedding.weight")
    places = _shape(of, state, f"{prefix}embeddings.position_embedding")[1] - 1
    library = transformers(of.verifier)
    config = library.BlipVisionConfig(
        hidden_size=width,
        intermediate_size=_shape(of, state, f"{prefix}encoder.layers.0.mlp.fc1.weight")[0],
        num_hidden_layers=_layers(state, f"{prefix}encoder.layers."),
        num_attention_heads=max(width // head, 1),
        image_size=round(places**0.5) * patch,
        patch_size=patch,
        layer_norm_eps=VISION_EPS,
    )
    return library.BlipVisionModel(config)


def text_config(of: Files, state: Mapping[str, Tensor], prefix: str, head: int = HEAD) -> Any:
    """The BlipTextConfig of weights whose names begin with ``prefix``, with cross-attention."""
    words, width = _shape(of, state, f"{prefix}embeddings.word_embeddings.weight")
    layer = f"{prefix}encoder.layer."
    return transformers(of.verifier).BlipTextConfig(
        vocab_size=words,
        hidden_size=width,
        encoder_hidden_size=_shape(of, state, f"{layer}0.crossattention.self.key.weight")[1],
        intermediate_size=_shape(of, state, f"{layer}0.intermediate.dense.weight")[0],
        num_hidden_layers=_layers(state, layer),
        num_attention_heads=max(width // head, 1),
        max_position_embeddings=_shape(
            of, state, f"{prefix}embeddings.position_embeddings.weight"
        )[0],
        layer_norm_eps=TEXT_EPS,
        is_decoder=True,  # has cross-attention; a call says whether it is causal
        tie_word_embeddings=False,
        bos_token_id=None,  # those that count are given where they count
        eos_token_id=None,
        sep_token_id=None,
    )


def with_masks(model: nn.Module) -> None:
    """Have a text model's cross-attention heed the mask of what it looks at.

    transformers 5 hands it to the attention under the name of another mask, where it is not read.
    """
    for name, module in model.named_modules():
        if name.endswith("crossattention.self"):
            module.register_forward_pre_hook(_mask_passed_on, with_kwargs=True)


def _mask_passed_on(
    _: nn.Module, args: tuple[Any, ...], given: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    mask = given.get("encoder_attention_mask")
    if mask is None:
        mask = given.get("attention_mask")
    return args, {**given, "encoder_attention_mask": mask}


def vocabulary(of: Files, tokenizer: str) -> Path:
    """The list of tokens: beside the weights, else that of ``tokenizer``: a file, a folder or a
    hub id."""
    beside, given = of.folder / VOCABULARY, Path(tokenizer).expanduser()
    if beside.is_file():
        return beside
    if given.is_file():
        return given
    instead = (
        f"put {VOCABULARY} of bert-base-uncased beside the weights, or name it: "
        f"--verifier '{of.verifier}(tokenizer=/path/to/{VOCABULARY})'"
    )
    folder = given
    if not given.is_dir():
        what = f"{tokenizer!r}, the tokenizer of verifier {of.verifier!r},"
        folder = downloaded(tokenizer, [VOCABULARY], what, instead)
    if not (folder / VOCABULARY).is_file():
        raise ConfigError(f"{folder} holds no {VOCABULARY}; {instead}")
    return folder / VOCABULARY


def tokenizer(of: Files, path: Path, most: int) -> Any:
    """A BertTokenizer of a list of tokens, which must not be longer than ``most``."""
    # Lines as BERT's own reader parts them: some tokens are breaks of Unicode.
    words = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    if len(words) > most:
        raise ConfigError(
            f"{path} lists {len(words)} tokens, and verifier {of.verifier!r} knows {most}: give "
            "the list of bert-base-uncased"
        )
    library = transformers(of.verifier)
    return library.BertTokenizer(vocab={word: number for number, word in enumerate(words)})


def tokens(tokenizer: Any, text: str, length: int, pad: bool = False) -> tuple[Tensor, Tensor]:
    """Numbers and mask [L] of a text, cut at ``length``; with ``pad`` filled to it."""
    found = tokenizer(
        text,
        truncation=True,
        max_length=length,
        padding="max_length" if pad else False,
        return_tensors="pt",
    )
    return found["input_ids"][0], found["attention_mask"][0]


def _shape(of: Files, state: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in state:
        raise ConfigError(
            f"{of.of} is no checkpoint of verifier {of.verifier!r}: it lacks {name}; {of.instead}"
        )
    return state[name].shape


def _layers(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({n[len(prefix) :].partition(".")[0] for n in state if n.startswith(prefix)})
