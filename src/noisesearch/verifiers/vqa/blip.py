"""BLIP-VQA (arXiv 2201.12086), asked as T2I-CompBench does (arXiv 2307.06350).

As in BLIPvqa_eval of https://github.com/Karine-Huang/T2I-CompBench: the picture is squeezed into a
square, the question begins with [ENC], and the answer is what the decoder says first, which looks
at the question and not at its padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...candidates.keys import digest
from ...files.fingerprint import of_file
from ..blip import network as blip
from ..preprocess import CLIP_MEAN, CLIP_STD, normalise, pillow_resize
from ..protocol import Views
from ..weights import Files, filled, shared, transformers
from .answers import by_length, padded

UNASKED = str.maketrans("", "", '.!"()*#:;~')  # letters that the published code takes out


class BlipVqaNetwork(nn.Module):
    """``seen`` of pictures, then the first word of the answer to a question about it."""

    def __init__(self, vision: Any, text: Any, decoder: Any) -> None:
        super().__init__()
        self.vision_model, self.text_encoder, self.text_decoder = vision, text, decoder
        blip.with_masks(decoder)
        # The last two tokens are BLIP's own: with [DEC] begins an answer, with [ENC] a question.
        self.decode, self.encode = text.config.vocab_size - 2, text.config.vocab_size - 1

    def seen(self, pictures: Tensor) -> Tensor:
        """[B, places + 1, width] of normalised pictures [B, 3, side, side]."""
        found: Tensor = self.vision_model(pictures).last_hidden_state
        return found

    def forward(self, seen: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """[B, words] logits of the first word of the answer; ``ids`` and ``mask`` [B, L]."""
        ids = torch.cat([torch.full_like(ids[:, :1], self.encode), ids[:, 1:]], 1)
        question = self.text_encoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=seen, is_decoder=False
        ).last_hidden_state
        answer = self.text_decoder.bert(
            input_ids=torch.full_like(ids[:, :1], self.decode),
            encoder_hidden_states=question,
            encoder_attention_mask=mask,
            is_decoder=True,
        ).last_hidden_state[:, 0]
        head = self.text_decoder.cls  # as precise as it was filled: logits are large numbers
        logits: Tensor = head(answer.to(next(head.parameters()).dtype))
        return logits


def network(of: Files, vision_head: int = blip.HEAD, text_head: int = blip.HEAD) -> BlipVqaNetwork:
    """The network of weights under transformers' names or the published code's, in float32."""
    state = blip.renamed(of.tensors())
    config = blip.text_config(of, state, "text_encoder.", text_head)
    library = transformers(of.verifier)
    with blip.unfilled(of.verifier):
        vision = blip.vision_model(of, state, "vision_model.", vision_head)
        text = library.BlipTextModel(config, add_pooling_layer=False)
        decoder = library.models.blip.modeling_blip_text.BlipTextLMHeadModel(config)
    # The last layer is the table of words again, and files hold it once or twice.
    head = "text_decoder.cls.predictions."
    for twins in (
        (f"{head}decoder.weight", "text_decoder.bert.embeddings.word_embeddings.weight"),
        (f"{head}decoder.bias", f"{head}bias"),
    ):
        there = [state[name] for name in twins if name in state]
        state |= {name: there[0] for name in twins if there and name not in state}
    return filled(BlipVqaNetwork(vision, text, decoder), state, of)


@dataclass(frozen=True)
class BlipVqa:
    """Asks BLIP-VQA."""

    network: BlipVqaNetwork
    tokenizer: Any
    fingerprint: str
    differentiable: bool = True
    known: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.network,)

    def __call__(self, views: Views, questions: Sequence[str]) -> Tensor:
        """The logarithms [B, 2] of the probabilities of yes and no; see :class:`Answerer`."""
        asked = [self._tokens(question) for question in questions]
        seen = views.once(self.network, lambda: self.network.seen(self._pictures(views.images)))
        words = [self.tokenizer.convert_tokens_to_ids(answer) for answer in ("yes", "no")]

        def ask(rows: list[int], length: int) -> Tensor:
            ids = padded([asked[i] for i in rows], length).to(seen.device)
            mask = padded([torch.ones_like(asked[i]) for i in rows], length).to(seen.device)
            logits: Tensor = self.network(seen[rows], ids, mask)
            return logits.log_softmax(1)[:, words]

        return by_length([len(ids) for ids in asked], ask)

    def _pictures(self, images: Tensor) -> Tensor:
        side = self.network.vision_model.config.image_size
        return normalise(pillow_resize(images, side, side), CLIP_MEAN, CLIP_STD)

    def _tokens(self, question: str) -> Tensor:
        if question not in self.known:
            plain = question.lower().translate(UNASKED).rstrip(" ")
            most = self.network.text_encoder.config.max_position_embeddings
            self.known[question], _ = blip.tokens(self.tokenizer, plain, most)
        return self.known[question]


def opened(of: Files, tokenizer: str, precision: str) -> BlipVqa:
    """BLIP-VQA with these weights in this precision."""
    words = blip.vocabulary(of, tokenizer)
    dtype = getattr(torch, precision)

    def load() -> BlipVqaNetwork:
        made = network(of)
        for part in (made.vision_model, made.text_encoder, made.text_decoder.bert):
            part.to(dtype)
        return made

    made = shared(("blip-vqa", of.fingerprint, precision), load)
    reader = blip.tokenizer(of, words, made.text_encoder.config.vocab_size)
    return BlipVqa(made, reader, digest([of.fingerprint, of_file(words)])[:16])
