"""Prompts that text encoders would cut."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigError
from .source import PipelineSource

SHOWN = 80  # characters of a text that is too long
CLIP = 77  # tokens that a text encoder of the CLIP family takes
TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3", "tokenizer_4", "prior_tokenizer")
ENDLESS = 10**6  # a length that only says that none is known


def check_length(tokenizer: Any, length: int, owner: str, what: str, text: str) -> None:
    """ConfigError where something of a text would be cut: how many tokens, and which."""
    # A token is a byte at least, and two may be added.
    if tokenizer is None or len(text.encode()) + 2 <= length:
        return
    tokens = tokenizer(text).input_ids
    if len(tokens) > length:
        # Where the last token ends the text, it is kept in place of one of the text's.
        ended = tokens[-1] == tokenizer.eos_token_id
        cut = tokenizer.decode(tokens[length - 1 : -1] if ended else tokens[length:]).strip()
        cut = cut if len(cut) <= SHOWN else cut[: SHOWN - 1] + "…"
        raise ConfigError(
            f"the {what} has {len(tokens)} tokens and {owner} takes {length}, so "
            f"{len(tokens) - length} would be cut ({cut!r}); shorten it"
        )


def longest_reader(source: PipelineSource, most: float | None) -> tuple[Any, int]:
    """Return of a pipeline of any class the tokenizer that takes most, and how many tokens it
    takes.

    That is its own length, or ``most``, the call's ``max_sequence_length``, for those that are not
    CLIP's; without a length that is known, no tokenizer.
    """
    found: tuple[Any, int] = None, 0
    for part in TOKENIZERS:
        tokenizer = source.tokenizer(part)
        length = getattr(tokenizer, "model_max_length", None)
        if not isinstance(length, int):
            continue
        if most is not None and length > CLIP:
            length = int(most)
        if length > ENDLESS:
            return None, 0
        found = max(found, (tokenizer, length), key=lambda each: each[1])
    return found
