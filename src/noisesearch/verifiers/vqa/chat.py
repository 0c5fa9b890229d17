"""Any chat model of transformers that looks at a picture, asked a question about it.

Pictures go through the model's own processor, which works on the host and lets no gradient
through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...errors import ConfigError, first_of
from ...files.remote_code import trusted
from ..protocol import Views
from ..weights import Files, shared, transformers
from .answers import by_length, padded

Tensors = dict[str, Tensor]
MARKS = "▁Ġ "  # what stands in a vocabulary for the space before a word
SPARE = "llava-hf/llava-1.5-7b-hf"  # needs no torchvision, as models of videos too do


@dataclass(frozen=True)
class Chat:
    """Asks a chat model; ``yes`` and ``no`` are the tokens that mean it."""

    network: Any
    processor: Any
    yes: Sequence[int]
    no: Sequence[int]
    fingerprint: str
    differentiable: bool = False
    heavy: bool = True  # of several billion weights
    known: dict[tuple[str, tuple[int, ...]], Tensors] = field(default_factory=dict, repr=False)

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        return (self.network,)

    def __call__(self, views: Views, questions: Sequence[str]) -> Tensor:
        """The logarithms [B, 2] of the probabilities of yes and no; see :class:`Answerer`."""
        pictures = (views.images * 255).round().to(torch.uint8).movedim(1, -1).cpu().numpy()
        seen = views.once(self.network, lambda: [self._seen(picture) for picture in pictures])
        asked = [self._asked(*pair) for pair in zip(questions, pictures, strict=True)]
        lengths = [row["input_ids"].shape[1] for row in asked]

        def ask(rows: list[int], length: int) -> Tensor:
            given = {key: padded([asked[i][key][0] for i in rows], length, self._filler(key))
                     for key in asked[0]}  # fmt: skip
            given |= {key: torch.cat([seen[i][key] for i in rows]) for key in seen[0]}
            logits = self._first(given, [lengths[i] - 1 for i in rows]).log_softmax(1)
            return torch.stack([logits[:, of].logsumexp(1) for of in (self.yes, self.no)], 1)

        return by_length(lengths, ask)

    def _first(self, given: Tensors, at: list[int]) -> Tensor:
        """Logits [B, words] of what comes after the places ``at``, one of a row."""
        model = self.network
        given = {
            key: value.to(model.device, model.dtype if value.is_floating_point() else None)
            for key, value in given.items()
        }
        rows = torch.arange(len(at), device=model.device)
        places = torch.tensor(at, device=model.device)

        def at_places(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
            return (args[0][rows, places][:, None],)

        # As many places as rows, whatever they are, so that a row's bits are its own.
        handle = model.get_output_embeddings().register_forward_pre_hook(at_places)
        try:
            logits: Tensor = model(**given, use_cache=False).logits[:, 0].float()
        finally:
            handle.remove()
        return logits

    def _seen(self, picture: npt.NDArray[np.uint8]) -> Tensors:
        """What the processor makes of a picture [H, W, 3]."""
        return dict(self.processor.image_processor(picture, return_tensors="pt"))

    def _asked(self, question: str, picture: npt.NDArray[np.uint8]) -> Tensors:
        """What the processor makes of a question [1, L]: the same for pictures of one size."""
        key = (question, picture.shape)
        if key not in self.known:
            content = [{"type": "image"}, {"type": "text", "text": question}]
            prompt = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            whole = self.processor(text=prompt, images=picture, return_tensors="pt")
            length = whole["input_ids"].shape[1]
            self.known[key] = {k: v for k, v in whole.items() if v.shape == (1, length)}
        return self.known[key]

    def _filler(self, key: str) -> int:
        if key != "input_ids":
            return 0
        tokenizer = self.processor.tokenizer
        return next(
            i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if i is not None
        )


def opened(of: Files, precision: str) -> Chat:
    """The model of a folder, with its processor."""
    library = transformers(of.verifier)
    try:
        processor = library.AutoProcessor.from_pretrained(
            of.folder, local_files_only=True, trust_remote_code=trusted()
        )
    except Exception as error:  # whatever a folder of something else makes of it
        raise _refused(of, error) from error
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or not hasattr(processor, "image_processor"):
        raise ConfigError(
            f"{of.of} is no model that verifier {of.verifier!r} can ask: it takes no picture "
            "with a question; give a vision-language model"
        )
    if not getattr(processor, "chat_template", None):
        raise ConfigError(
            f"{of.of} has no chat template, by which verifier {of.verifier!r} asks; give a model "
            "that was tuned to follow instructions"
        )

    def load() -> Any:
        return _network(library, of, precision)

    network = shared(("chat", of.fingerprint, precision), load)
    yes, no = (_meaning(tokenizer, of, word) for word in ("yes", "no"))
    return Chat(network, processor, yes, no, of.fingerprint)


def _network(library: Any, of: Files, precision: str) -> Any:
    try:
        network, found = library.AutoModelForImageTextToText.from_pretrained(
            of.folder,
            dtype=getattr(torch, precision),
            local_files_only=True,
            trust_remote_code=trusted(),
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # as above
        raise _refused(of, error) from error
    if lost := sorted(found["missing_keys"]):
        raise ConfigError(
            f"{of.of} is no whole checkpoint of verifier {of.verifier!r}: it lacks {len(lost)} "
            f"weights ({first_of(lost)}); {of.instead}"
        )
    if network.get_output_embeddings() is None:
        raise ConfigError(
            f"verifier {of.verifier!r} cannot ask {of.of}: a {type(network).__name__} does not "
            f"say which of its layers makes words; give another model, such as {SPARE}"
        )
    return network.eval().requires_grad_(False)


def _meaning(tokenizer: Any, of: Files, word: str) -> list[int]:
    """The tokens that are this word, with a capital or without, after a space or not."""
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    found = sorted(n for token, n in vocabulary.items() if token.strip(MARKS).lower() == word)
    if not found:
        raise ConfigError(
            f"{of.of} has no token for the answer {word!r}, which verifier {of.verifier!r} needs"
        )
    return found


def _refused(of: Files, error: Exception) -> ConfigError:
    said = re.split(r"\.?\n|\. |\.$", str(error).strip() or type(error).__name__)[0]
    instead = of.instead
    if isinstance(error, ImportError):
        instead = f"install it, or give a model that needs no more, such as {SPARE}"
    return ConfigError(
        f"verifier {of.verifier!r}: {of.of} cannot be opened by transformers ({said}); {instead}"
    )
