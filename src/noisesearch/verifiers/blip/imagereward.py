"""ImageReward (arXiv 2304.05977): what people prefer, learned from 137,000 comparisons.

As in https://github.com/THUDM/ImageReward: a BLIP model reads the prompt while it looks at the
picture, and a head without activations makes a number of its first token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ...candidates.keys import digest
from ...files.fingerprint import of_file
from ..preprocess import clip_picture
from ..protocol import OnePart, Views
from ..settings import Precision, VerifierSettings
from ..weights import Files, files, filled, shared, transformers
from . import network as blip

# Of raw scores on the annotated pairs; in the published code, not in its checkpoint.
MEAN, STD = 0.16717362830052426, 1.0333394966054072
LENGTH = 35  # tokens; padding counts, since the published model was trained with it
HIDDEN = (1024, 128, 64, 16)
# Not measured here. In Table 2 of arXiv 2501.09732 the best of 96 candidates has 1.58 where one
# has 0.97; the best of 96 normals lies 2.5 standard deviations up.
SCALE = 0.25


class ImageRewardNetwork(nn.Module):
    """``seen`` of pictures, then the reward of what was seen beside a text."""

    def __init__(self, vision: Any, text: Any) -> None:
        super().__init__()
        self.vision_model, self.text_encoder = vision, text
        sizes = (text.config.hidden_size, *HIDDEN, 1)
        # The published numbers of layers: after each of the first three stands a dropout.
        layers = {
            str(place): nn.Linear(*shape)
            for place, shape in zip((0, 2, 4, 6, 7), pairwise(sizes), strict=True)
        }
        self.mlp = nn.ModuleDict({"layers": nn.Sequential(OrderedDict(layers))})

    def seen(self, pictures: Tensor) -> Tensor:
        """[B, places + 1, width] of normalised pictures [B, 3, side, side]; the first is [CLS]."""
        found: Tensor = self.vision_model(pictures).last_hidden_state
        return found

    def forward(self, seen: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """[B] rewards; ``ids`` and ``mask`` [B, 35]."""
        read = self.text_encoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=seen, is_decoder=False
        ).last_hidden_state[:, 0]
        # The head stays as precise as it was filled: a short last sum would make ties.
        raw: Tensor = self.mlp["layers"](read.to(next(self.mlp.parameters()).dtype))[:, 0]
        return (raw - MEAN) / STD


def network(
    of: Files, vision_head: int = blip.HEAD, text_head: int = blip.HEAD
) -> ImageRewardNetwork:
    """The network of published weights, in float32; the heads' widths are those published."""
    state = blip.renamed(of.tensors())
    config = blip.text_config(of, state, "text_encoder.", text_head)
    with blip.unfilled(of.verifier):
        vision = blip.vision_model(of, state, "vision_model.", vision_head)
        text = transformers(of.verifier).BlipTextModel(config, add_pooling_layer=False)
        made = ImageRewardNetwork(vision, text)
    # Projections of the training's other task are in the published file too.
    return filled(made, state, of, spare=("vision_proj.", "text_proj."))


@dataclass(frozen=True)
class ImageRewardVerifier(OnePart):
    """The reward of a picture for its prompt; NaN where there is none."""

    network: ImageRewardNetwork
    tokenizer: Any
    fingerprint: str
    name: str = "imagereward"
    differentiable: bool = True
    rows: int | None = None
    known: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    deviation = SCALE

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.network,)

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        texts = [condition.text for condition in views.conditions]
        asked = zip(*(self._tokens(text or "") for text in texts), strict=True)
        ids, mask = (torch.stack(rows).to(views.images.device) for rows in asked)
        none = torch.tensor([text is None for text in texts], device=views.images.device)
        rewards: Tensor = self.network(self._seen(views), ids, mask)
        return {self.name: rewards.masked_fill(none, float("nan"))}

    def features(self, views: Views) -> Tensor:
        """[B, width]: what stands in the place of [CLS] when the picture was seen."""
        return self._seen(views)[:, 0].float()

    def _seen(self, views: Views) -> Tensor:
        side = self.network.vision_model.config.image_size
        found: Tensor = views.once(
            self.network, lambda: self.network.seen(clip_picture(views.images, side))
        )
        return found

    def _tokens(self, text: str) -> tuple[Tensor, Tensor]:
        if text not in self.known:
            self.known[text] = blip.tokens(self.tokenizer, text, LENGTH, pad=True)
        return self.known[text]


class ImageReward(VerifierSettings):
    """What people prefer for this prompt: a reward of mean 0 and deviation 1."""

    name: ClassVar[str] = "imagereward"

    weights: str = Field("THUDM/ImageReward", description="file, folder or hub id")
    tokenizer: str = Field(
        blip.BERT, description="vocab.txt, a folder or hub id; counts where none is by the weights"
    )
    dtype: Precision = Field("float32", description="of the network; pictures are in float32")

    def open(self) -> ImageRewardVerifier:
        of = files(self.name, self.weights, ("ImageReward*.safetensors", "ImageReward*.pt"))
        words = blip.vocabulary(of, self.tokenizer)
        dtype = getattr(torch, self.dtype)

        def load() -> ImageRewardNetwork:
            made = network(of)
            made.vision_model.to(dtype)
            made.text_encoder.to(dtype)
            return made

        made = shared((self.name, of.fingerprint, self.dtype), load)
        reader = blip.tokenizer(of, words, made.text_encoder.config.vocab_size)
        return ImageRewardVerifier(made, reader, digest([of.fingerprint, of_file(words)])[:16])
