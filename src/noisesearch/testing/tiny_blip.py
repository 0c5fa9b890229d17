"""Tiny checkpoints of the BLIP family and of a chat model that looks, in their published formats.

Their weights are drawn, so their scores mean nothing; they are read by the code that reads the
published ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import tokenizers

SEED = 11
WIDTH, DEPTH, PATCH, SIDE = 128, 2, 8, 32  # two heads of the published width
ANSWERS = ("does", "this", "figure", "show", "please", "answer", "yes", "or", "no")
CHAT = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def make_imagereward(folder: str | Path) -> Path:
    """ImageReward.pt under the published names, med_config.json and BERT's vocab.txt."""
    import torch

    place, words = _begun(folder)
    text = WIDTH // 2  # pictures and texts of different widths, as published
    state = {
        **_vision("blip.visual_encoder.", WIDTH),
        **_text("blip.text_encoder.", len(words) + 2, text, WIDTH),
        **_linear("blip.vision_proj", 16, WIDTH),
        **_linear("blip.text_proj", 16, text),
    }
    sizes = (text, 1024, 128, 64, 16, 1)
    for i, layer in enumerate((0, 2, 4, 6, 7)):
        state |= _linear(f"mlp.layers.{layer}", sizes[i + 1], sizes[i])
    drawn = {**_drawn(state), "blip.text_encoder.embeddings.position_ids": torch.arange(64)[None]}
    torch.save(drawn, place / "ImageReward.pt")
    config = {"hidden_size": text, "num_attention_heads": text // 64, "encoder_width": WIDTH}
    (place / "med_config.json").write_text(json.dumps(config))
    return place


def make_vqascore(folder: str | Path) -> Path:
    """BLIP-VQA as transformers saves it, with BERT's vocab.txt."""
    import transformers

    place, words = _begun(folder)
    config = transformers.BlipConfig(
        text_config={"vocab_size": len(words) + 2, "hidden_size": WIDTH, "num_attention_heads": 2,
                     "intermediate_size": 2 * WIDTH, "num_hidden_layers": DEPTH,
                     "max_position_embeddings": 256, "bos_token_id": len(words)},
        vision_config={"hidden_size": WIDTH, "num_attention_heads": 2, "image_size": SIDE,
                       "intermediate_size": 2 * WIDTH, "num_hidden_layers": DEPTH,
                       "patch_size": PATCH},
    )  # fmt: skip
    _saved(transformers.BlipForQuestionAnswering(config), place)
    return place


def make_vqascore_chat(folder: str | Path, kind: str = "llava") -> Path:
    """A chat model as transformers saves it, with its processor and a chat template.

    ``kind``: llava, which sees a picture as one square, or idefics3, which cuts it in tiles.
    """
    place, tokenizer = Path(folder), tokenizers.gemma(["Yes", "yes", "No", "no"])
    network, processor = CHATS[kind](tokenizer)
    _saved(network, place)
    processor.save_pretrained(place)
    return place


def _llava(tokenizer: Any) -> tuple[Any, Any]:
    import transformers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**_seeing()),
        text_config=_speaking(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    pictures = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    processor = transformers.LlavaProcessor(
        pictures, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=CHAT,
    )  # fmt: skip
    return transformers.LlavaForConditionalGeneration(config), processor


def _idefics3(tokenizer: Any) -> tuple[Any, Any]:
    import transformers
    from transformers.models.idefics3.image_processing_pil_idefics3 import (
        Idefics3ImageProcessorPil,
    )

    places = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    around = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    tokenizer.add_special_tokens({"additional_special_tokens": [*around, *places]})
    config = transformers.Idefics3Config(
        vision_config=_seeing(), text_config=_speaking(tokenizer), scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    pictures = Idefics3ImageProcessorPil(
        size={"longest_edge": 2 * SIDE}, max_image_size={"longest_edge": SIDE}
    )
    tokens = (SIDE // PATCH // 2) ** 2
    processor = transformers.Idefics3Processor(
        pictures, tokenizer, image_seq_len=tokens, chat_template=CHAT
    )
    return transformers.Idefics3ForConditionalGeneration(config), processor


CHATS = {"llava": _llava, "idefics3": _idefics3}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
         "num_attention_heads": 2}  # fmt: skip


def _seeing() -> dict[str, int]:
    return {**SMALL, "image_size": SIDE, "patch_size": PATCH}


def _speaking(tokenizer: Any) -> Any:
    import transformers

    return transformers.LlamaConfig(
        vocab_size=len(tokenizer), num_key_value_heads=2, pad_token_id=tokenizer.pad_token_id,
        **SMALL,
    )  # fmt: skip


def _begun(folder: str | Path) -> tuple[Path, list[str]]:
    """The folder, and the words of the vocab.txt that stands in it."""
    place, words = Path(folder), tokenizers.bert(ANSWERS)
    place.mkdir(parents=True, exist_ok=True)
    (place / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return place, words


def _saved(network: Any, place: Path) -> None:
    network.load_state_dict(_drawn({n: p.shape for n, p in network.named_parameters()}), False)
    network.save_pretrained(place)


def _drawn(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Numbers that keep what passes through them about as large as it was."""
    import torch

    draw = torch.Generator().manual_seed(SEED)
    found = {}
    for name, shape in shapes.items():
        normals = torch.randn(*shape, generator=draw)
        if len(shape) > 1:
            found[name] = normals / math.sqrt(math.prod(shape[1:]))
        else:
            found[name] = 0.1 * normals + (1.0 if name.endswith("weight") else 0.0)
    return found


def _linear(name: str, after: int, before: int) -> dict[str, Sequence[int]]:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _norm(name: str, width: int) -> dict[str, Sequence[int]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _vision(prefix: str, width: int) -> dict[str, Sequence[int]]:
    """The published names and shapes of an image encoder."""
    places = (SIDE // PATCH) ** 2 + 1
    found = {
        f"{prefix}cls_token": (1, 1, width),
        f"{prefix}pos_embed": (1, places, width),
        f"{prefix}patch_embed.proj.weight": (width, 3, PATCH, PATCH),
        f"{prefix}patch_embed.proj.bias": (width,),
        **_norm(f"{prefix}norm", width),
    }
    for i in range(DEPTH):
        block = f"{prefix}blocks.{i}"
        found |= {
            **_norm(f"{block}.norm1", width),
            **_norm(f"{block}.norm2", width),
            **_linear(f"{block}.attn.qkv", 3 * width, width),
            **_linear(f"{block}.attn.proj", width, width),
            **_linear(f"{block}.mlp.fc1", 4 * width, width),
            **_linear(f"{block}.mlp.fc2", width, 4 * width),
        }
    return found


def _text(prefix: str, words: int, width: int, seen: int) -> dict[str, Sequence[int]]:
    """The published names and shapes of a text encoder that looks at vectors ``seen`` wide."""
    embeddings, layers = f"{prefix}embeddings", f"{prefix}encoder.layer"
    found = {
        f"{embeddings}.word_embeddings.weight": (words, width),
        f"{embeddings}.position_embeddings.weight": (64, width),
        **_norm(f"{embeddings}.LayerNorm", width),
    }
    for i in range(DEPTH):
        for kind, of in (("attention", width), ("crossattention", seen)):
            at = f"{layers}.{i}.{kind}"
            found |= {
                **_linear(f"{at}.self.query", width, width),
                **_linear(f"{at}.self.key", width, of),
                **_linear(f"{at}.self.value", width, of),
                **_linear(f"{at}.output.dense", width, width),
                **_norm(f"{at}.output.LayerNorm", width),
            }
        found |= {
            **_linear(f"{layers}.{i}.intermediate.dense", 2 * width, width),
            **_linear(f"{layers}.{i}.output.dense", width, 2 * width),
            **_norm(f"{layers}.{i}.output.LayerNorm", width),
        }
    return found
