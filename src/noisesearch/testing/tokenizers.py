"""Tokenizers of the real classes over the words of ten sentences.

They are written down and not trained: a trainer breaks its ties by the order of a hash table, so
that two of its tokenizers give a word different numbers.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from typing import Any

SENTENCES = (
    "a red circle",
    "a blue square above a yellow ring",
    "two green triangles and one white star",
    "a photo of a cat sleeping on a warm windowsill",
    "a busy city street at night in the rain",
    "an old man reading a newspaper",
    "three purple balls next to a small black box",
    "a painting of mountains and a quiet lake",
    "blurry low quality deformed",
    "a very long story about nothing",
)
WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
LETTERS = sorted(set(string.printable.strip()))


def clip(length: int, pad: str = "<|endoftext|>", last: bool = False) -> Any:
    """A CLIPTokenizer (byte pairs); ``length``: of the encoder it is for; ``last``: its special
    tokens have the highest numbers, as the published one's, and not the lowest."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    alone = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges = _merges([*word[:-1], f"{word[-1]}</w>"] for word in WORDS)
    vocabulary = _numbered(["<|startoftext|>", "<|endoftext|>"], alone, merges)
    if last:
        vocabulary = {token: (n - 2) % len(vocabulary) for token, n in vocabulary.items()}
    return CLIPTokenizer(vocabulary, merges, pad_token=pad, model_max_length=length)


def t5(length: int) -> Any:
    """A T5TokenizerFast (unigrams), its special tokens where the published one has them."""
    from transformers import T5TokenizerFast

    # A word is likelier than the letters that it is made of.
    pieces = [("▁", -2.0), *((f"▁{word}", -4.0) for word in WORDS)]
    pieces += [(letter, -6.0) for letter in LETTERS]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return T5TokenizerFast([*special, *pieces], extra_ids=0, model_max_length=length)


def gemma(more: Sequence[str] = ()) -> Any:
    """A GemmaTokenizerFast (byte pairs; a space is the letter ▁). ``more``: further words."""
    from transformers import GemmaTokenizerFast

    merges = _merges([*WORDS, *more])
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    return GemmaTokenizerFast(_numbered(special, ["▁", *LETTERS], merges), merges)


def bert(more: Sequence[str] = ()) -> list[str]:
    """The lines of a BertTokenizer's vocab.txt (word pieces in small letters)."""
    letters = sorted({letter.lower() for letter in LETTERS})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    ends = [f"##{letter}" for letter in letters]
    return list(dict.fromkeys([*special, *letters, *ends, *WORDS, *more]))


def _merges(words: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """The pairs that make each word from its letters, from left to right."""
    found: dict[tuple[str, str], None] = {}
    for word in words:
        for i in range(1, len(word)):
            found["".join(word[:i]), word[i]] = None
    return list(found)


def _numbered(
    special: Sequence[str], letters: Sequence[str], merges: Sequence[tuple[str, str]]
) -> dict[str, int]:
    pieces = dict.fromkeys([*special, *letters, *("".join(pair) for pair in merges)])
    return {piece: number for number, piece in enumerate(pieces)}
