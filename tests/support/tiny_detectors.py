"""Tiny detectors as transformers saves them. Their weights are drawn, so they find anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noisesearch.testing import tokenizers

SEED = 11
SIDE, PATCH = 32, 8
LABELS = ("dog", "cat", "chair", "cattle, cow")
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
         "num_attention_heads": 2}  # fmt: skip


def make_detector(folder: str | Path) -> Path:
    """YOLOS, which has :data:`LABELS` of its own, and ten places to find them at."""
    import transformers

    config = transformers.YolosConfig(
        **SMALL, image_size=[SIDE, SIDE], patch_size=PATCH, num_detection_tokens=10,
        id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)},
    )  # fmt: skip
    size = {"shortest_edge": SIDE, "longest_edge": 2 * SIDE}
    return _saved(folder, lambda: transformers.YolosForObjectDetection(config),
                  transformers.YolosImageProcessorPil(size=size))  # fmt: skip


def make_asked_detector(folder: str | Path) -> Path:
    """OWL-ViT, which is told what to look for."""
    import transformers

    words = tokenizers.clip(16, last=True)  # it pools where the number is highest
    config = transformers.OwlViTConfig(
        text_config={
            **SMALL, "vocab_size": len(words), "max_position_embeddings": 16,
            "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id,
            "pad_token_id": words.pad_token_id,
        },
        vision_config={**SMALL, "image_size": SIDE, "patch_size": PATCH},
        projection_dim=32,
    )  # fmt: skip
    size = {"height": SIDE, "width": SIDE}
    images = transformers.OwlViTImageProcessorPil(size=size)
    return _saved(folder, lambda: transformers.OwlViTForObjectDetection(config),
                  transformers.OwlViTProcessor(images, words))  # fmt: skip


def _saved(folder: str | Path, network: Any, processor: Any) -> Path:
    import torch

    place = Path(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        made = network()
        with torch.no_grad():
            for weights in made.parameters():
                # As transformers draws them they hardly tell one picture from another.
                weights.add_(0.2 * torch.randn(weights.shape))
    made.save_pretrained(place)
    processor.save_pretrained(place)
    return place
