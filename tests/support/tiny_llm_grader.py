"""A real model that is shown images and writes text, tiny: its words are noise."""

from __future__ import annotations

from pathlib import Path

SIDE, PATCH, WIDTH = 32, 16, 32
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")
# Each message as its role, its texts, and a mark for each image.
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def make_llm_grader(folder: Path) -> None:
    """A LLaVA model of random weights and its processor, saved as published ones are."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL, *letters])}
    bytewise = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytewise, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        unk_token="<unk>", additional_special_tokens=["<image>"],
    )  # fmt: skip
    images = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    processor = LlavaProcessor(
        images, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default",
        image_token="<image>", num_additional_image_tokens=1, chat_template=TEMPLATE,
    )  # fmt: skip
    size = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 2,
            "num_attention_heads": 2}  # fmt: skip
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**size, image_size=SIDE, patch_size=PATCH),
        text_config=LlamaConfig(
            **size, vocab_size=len(vocabulary), max_position_embeddings=8192, pad_token_id=0,
            bos_token_id=1, eos_token_id=2, num_key_value_heads=2,
        ),
        image_token_index=SPECIAL.index("<image>"),
        vision_feature_layer=-1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlavaForConditionalGeneration(config)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
