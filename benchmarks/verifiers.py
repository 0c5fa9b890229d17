"""The ensemble of verifiers against the published recipes, one after another on PIL pictures.

    python benchmarks/verifiers.py [--quick] [--json] [--device cpu] [--record DIR]

CLIPScore and the aesthetic predictor (CLIP ViT-L/14) and ImageReward (ViT-L/16 and BERT), at their
published sizes with random weights, on 32 pictures of 512×512; ``--quick`` looks at 8. On a
processor each takes its turn once, elsewhere three times.

* published: for each recipe in turn, pictures are PIL images; each is resized, cropped and
  normalised by Pillow and numpy, each one's text is read, and the network sees all of them in one
  batch. The published code of two of the three calls its network a picture at a time, which
  is slower still.
* ours: the verifiers of this library, as a search calls them, on the decoder's tensor: one CLIP
  for both, each text read once; in float32 and in bfloat16.

``speedup_over_published`` (goal: at least 1.4) and ``speedup_bfloat16`` (at least 2.5) are medians
over repeats of ratios within a repeat. ``score_change``: the largest change of a score in
bfloat16, and ``rank_correlation`` (Spearman) of the two, by verifier.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn

from noisesearch.candidates.condition import Condition
from noisesearch.setup.hardware import place, threads
from noisesearch.testing import tokenizers
from noisesearch.verifiers.blip import network as blip
from noisesearch.verifiers.blip.imagereward import (
    LENGTH,
    MEAN,
    STD,
    ImageRewardNetwork,
    ImageRewardVerifier,
)
from noisesearch.verifiers.clip.aesthetic import AestheticVerifier, Head
from noisesearch.verifiers.clip.scores import ClipVerifier, clip_score
from noisesearch.verifiers.clip.towers import ImageTower, TextTower, cropped
from noisesearch.verifiers.preprocess import CLIP_MEAN, CLIP_STD
from noisesearch.verifiers.protocol import Verifier, Views
from noisesearch.worker.residence import keep_buffers
from recording import record

SIDE, PIXELS, WORDS = 224, 512, 77
PROMPTS = ("a red circle", "two blue squares", "a yellow ring above a green circle", "one square")
GOALS = {"float32": 1.4, "bfloat16": 2.5}


@dataclass(frozen=True)
class Networks:
    """The three networks, and the words that they read."""

    clip: Any
    head: Head
    reward: ImageRewardNetwork
    clip_words: Any
    bert_words: Any


def networks(device: str) -> Networks:
    """Random, at the published sizes; spread so that pictures are told apart."""
    torch.manual_seed(0)
    clip_words, bert_words = tokenizers.clip(WORDS), _bert()
    clip = transformers.CLIPModel(transformers.CLIPConfig(
        text_config={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                     "num_attention_heads": 12, "vocab_size": 49408, "projection_dim": 768,
                     "eos_token_id": clip_words.eos_token_id},
        vision_config={"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                       "num_attention_heads": 16, "patch_size": 14, "image_size": SIDE,
                       "projection_dim": 768},
        projection_dim=768,
    ))  # fmt: skip
    vision = transformers.BlipVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
        patch_size=16, image_size=SIDE, layer_norm_eps=1e-6,
    )  # fmt: skip
    text = transformers.models.blip.configuration_blip.BlipTextConfig(
        vocab_size=30524, hidden_size=768, encoder_hidden_size=1024, intermediate_size=3072,
        num_hidden_layers=12, num_attention_heads=12, is_decoder=True, layer_norm_eps=1e-12,
    )  # fmt: skip
    reward = ImageRewardNetwork(
        transformers.BlipVisionModel(vision), transformers.BlipTextModel(text, False)
    )
    made = Networks(clip, Head(768), reward, clip_words, bert_words)
    for network in (clip, made.head, reward):
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.data.normal_(0, weight[0].numel() ** -0.5)
        network.to(device).eval().requires_grad_(False)
    return made


def _bert() -> Any:
    """A tokenizer of BERT's kind; how many words it knows does not change the work."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        words += sorted({word for prompt in PROMPTS for word in prompt.split()})
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(words) + "\n")
        return transformers.BertTokenizer(str(path))


def ours(of: Networks, dtype: str) -> list[Verifier]:
    """The verifiers of this library, over the same networks."""
    to = getattr(torch, dtype)
    # As a checkpoint is loaded: two halves, of which each verifier keeps the ones that it needs.
    seen = transformers.CLIPVisionModelWithProjection(of.clip.config.vision_config)
    read = transformers.CLIPTextModelWithProjection(of.clip.config.text_config)
    for half in (seen, read):
        missing = half.load_state_dict(of.clip.state_dict(), strict=False).missing_keys
        assert not missing, missing
        half.to(next(of.clip.parameters()).device, to).eval().requires_grad_(False)
    reward = _copy(of.reward)
    reward.vision_model.to(to)
    reward.text_encoder.to(to)
    images = ImageTower(seen, ("clip", dtype), SIDE)
    texts = TextTower(read, lambda s: _clip_tokens(of.clip_words, s),
                      of.clip_words.eos_token_id, "")  # fmt: skip
    return [
        ClipVerifier("clipscore", cropped, lambda c: (f"A photo depicts {c.text}",), clip_score,
                     1.0, "", images, texts, ""),
        AestheticVerifier(images, of.head, ""),
        ImageRewardVerifier(reward, of.bert_words, ""),
    ]  # fmt: skip


def _copy(network: ImageRewardNetwork) -> ImageRewardNetwork:
    made = ImageRewardNetwork(type(network.vision_model)(network.vision_model.config),
                   type(network.text_encoder)(network.text_encoder.config, False))  # fmt: skip
    made.load_state_dict(network.state_dict())
    return made.to(next(network.parameters()).device).eval().requires_grad_(False)


def _clip_tokens(words: Any, sentences: Sequence[str]) -> Tensor:
    found: Tensor = words(list(sentences), padding="max_length", truncation=True,
                          max_length=WORDS, return_tensors="pt")["input_ids"]  # fmt: skip
    return found


class Published:
    """The three recipes as their published code goes."""

    def __init__(self, of: Networks, device: str) -> None:
        self.of, self.device = of, device

    def __call__(self, images: Sequence[Image.Image], texts: Sequence[str]) -> dict[str, Tensor]:
        return {"clipscore": self.clipscore(images, texts), "aesthetic": self.aesthetic(images),
                "imagereward": self.imagereward(images, texts)}  # fmt: skip

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Shorter side, middle square, normalised: all three do it so, each by itself."""
        arrays = []
        for image in images:
            scale = SIDE / min(image.size)
            size = (int(image.width * scale), int(image.height * scale))
            small = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
            left, top = round((small.width - SIDE) / 2), round((small.height - SIDE) / 2)
            square = np.asarray(small.crop((left, top, left + SIDE, top + SIDE)), np.float32) / 255
            arrays.append(((square - CLIP_MEAN) / CLIP_STD).astype(np.float32).transpose(2, 0, 1))
        return torch.from_numpy(np.stack(arrays)).to(self.device)

    def _clip_image(self, images: Sequence[Image.Image]) -> Tensor:
        found = self.of.clip.get_image_features(self.pixels(images)).pooler_output
        return nn.functional.normalize(found, dim=-1)

    def clipscore(self, images: Sequence[Image.Image], texts: Sequence[str]) -> Tensor:
        sentences = [f"A photo depicts {text}" for text in texts]
        ids = _clip_tokens(self.of.clip_words, sentences).to(self.device)
        read = self.of.clip.get_text_features(ids).pooler_output
        cosines = (self._clip_image(images) * nn.functional.normalize(read, dim=-1)).sum(1)
        return 2.5 * cosines.clamp(min=0)

    def aesthetic(self, images: Sequence[Image.Image]) -> Tensor:
        return self.of.head(self._clip_image(images))

    def imagereward(self, images: Sequence[Image.Image], texts: Sequence[str]) -> Tensor:
        tokens = [blip.tokens(self.of.bert_words, text, LENGTH, pad=True) for text in texts]
        ids, mask = (torch.stack(rows).to(self.device) for rows in zip(*tokens, strict=True))
        seen = self.of.reward.vision_model(self.pixels(images)).last_hidden_state
        read = self.of.reward.text_encoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=seen, is_decoder=False
        ).last_hidden_state[:, 0]
        return (self.of.reward.mlp["layers"](read)[:, 0] - MEAN) / STD


def scored(verifiers: Sequence[Verifier], views: Views) -> dict[str, Tensor]:
    """All of them on one batch, as a search has them."""
    fresh = Views(views.images, views.conditions)
    return {part: numbers for v in verifiers for part, numbers in v(fresh).items()}


def pictures(count: int) -> Tensor:
    """[count, 3, 512, 512] with shapes and gradients in them, as the file would hold them."""
    draw = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 7, 7, generator=draw)
    smooth = nn.functional.interpolate(coarse, (PIXELS, PIXELS), mode="bicubic")
    noise = 0.05 * torch.randn(count, 3, PIXELS, PIXELS, generator=draw)
    return ((smooth + noise).clamp(0, 1) * 255).round() / 255


def timed(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    started = time.perf_counter()
    found = work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started, found


def measure(device: str, count: int, repeats: int) -> dict[str, Any]:
    of = networks(device)
    images = pictures(count).to(device)
    texts = [PROMPTS[i % len(PROMPTS)] for i in range(count)]
    as_files = [Image.fromarray(p) for p in
                (images * 255).round().byte().movedim(1, -1).cpu().numpy()]  # fmt: skip
    views = Views(images, [Condition(text=text) for text in texts])
    published = Published(of, device)
    sides = {dtype: ours(of, dtype) for dtype in GOALS}
    seconds: dict[str, list[float]] = {name: [] for name in ("published", *sides)}
    found: dict[str, Mapping[str, Tensor]] = {}
    with torch.inference_mode():
        for verifiers in sides.values():  # what is set up once in a run is set up before
            scored(verifiers, Views(images[:4], views.conditions[:4]))
        for _ in range(repeats):
            spent, found["published"] = timed(lambda: published(as_files, texts), device)
            seconds["published"].append(spent)
            for dtype, verifiers in sides.items():
                spent, found[dtype] = timed(lambda v=verifiers: scored(v, views), device)
                seconds[dtype].append(spent)
    ratio = {
        dtype: statistics.median(
            a / b for a, b in zip(seconds["published"], seconds[dtype], strict=True)
        )
        for dtype in sides
    }
    parts = list(found["published"])
    plain, short = found["float32"], found["bfloat16"]
    return {
        "speedup_over_published": round(ratio["float32"], 3),
        "speedup_bfloat16": round(ratio["bfloat16"], 3),
        "images_per_second": {
            name: round(count / statistics.median(spent), 3) for name, spent in seconds.items()
        },
        "largest_difference_from_published": {
            p: _rounded((found["published"][p] - plain[p]).abs().max()) for p in parts
        },
        "score_change": {p: _rounded((plain[p] - short[p]).abs().max()) for p in parts},
        "score_spread": {p: _rounded(plain[p].std()) for p in parts},
        "rank_correlation": {
            p: _rounded(spearmanr(plain[p].cpu(), short[p].float().cpu()).statistic)
            for p in parts
        },
        "images": count, "pixels": PIXELS, "repeats": repeats, "device": device,
        "threads": threads(), "versions": {"torch": torch.__version__,
                                           "transformers": transformers.__version__},
    }  # fmt: skip


def _rounded(number: Any) -> float:
    return float(f"{float(number):.4g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 pictures, once")
    parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--record", type=Path, metavar="DIR", help="keep the figures there")
    given = parser.parse_args()
    device = place(given.device)
    if device == "cpu":
        keep_buffers()  # as a search does, for both sides alike
    figures = measure(device, *((8, 1) if given.quick else (32, 3 if device != "cpu" else 1)))
    if given.record:
        record(given.record, "verifiers", figures)
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}", file=sys.stdout)


if __name__ == "__main__":
    main()
