"""From the files of a CLIP checkpoint to its towers: transformers' layout and open_clip's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...candidates.keys import digest
from ...errors import ConfigError
from ...files.fingerprint import of_file
from ...files.hub import downloaded
from ..settings import Precision
from ..weights import Files, files, filled, shared, transformers
from . import open_clip_names as clip_names
from .towers import ImageTower, TextTower

SAVED = ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin")
PATTERNS = (*SAVED, "*.safetensors", "*.pt", "*.pth", "*.bin")
TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json")
VOCABULARY = TOKENIZER[:2]  # one of them is enough
# Names of a whole checkpoint that are not the image tower's, and not the text tower's.
BESIDE_IMAGES = ("text_", "logit_", "vision_model.embeddings.position_ids")
BESIDE_TEXTS = ("vision_model.", "visual_", "logit_", "text_model.embeddings.position_ids")


@dataclass(frozen=True)
class ClipCheckpoint:
    """The files of one CLIP; a tower is loaded when asked for, once for all verifiers."""

    files: Files
    dtype: Precision

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, and of the file that says what is made of them."""
        return digest(self.files.fingerprint, _of_all(self.files.folder, ("config.json",)))[:16]

    @cached_property
    def config(self) -> Any:
        """transformers' CLIPConfig: the folder's, or what open_clip's weights tell."""
        if not self._open_clip or (self.files.folder / "config.json").is_file():
            content = self.files.config()
        else:
            content = self._told()
        if content.get("model_type") != "clip":
            raise ConfigError(
                f"{self.files.folder / 'config.json'} is of a network of type "
                f"{content.get('model_type')!r}, but verifier {self.files.verifier!r} needs one "
                f"of type 'clip'; {self.files.instead}"
            )
        config = transformers(self.files.verifier).CLIPConfig.from_dict(dict(content))
        # Files of old name another size in there, which the network as a whole does not look at.
        config.text_config.projection_dim = config.projection_dim
        config.vision_config.projection_dim = config.projection_dim
        return config

    def images(self) -> ImageTower:
        """The tower of pictures."""
        key = ("clip images", self.fingerprint, self.dtype)
        network = shared(key, partial(self._tower, "Vision", BESIDE_IMAGES))
        return ImageTower(network, key, self.config.vision_config.image_size)

    def texts(self, tokenizer: str) -> TextTower:
        """The tower of sentences. ``tokenizer``: folder or hub id of its files, where the weights'
        folder has none."""
        folder = self._with_tokenizer(tokenizer)
        split = _tokenizer(self.files.verifier, folder)
        config = self.config.text_config
        if len(split) > config.vocab_size:
            raise ConfigError(
                f"the tokenizer in {folder} has {len(split)} words, but the network in "
                f"{self.files.of} knows {config.vocab_size}; put the network's own tokenizer "
                "files beside its weights"
            )
        key = ("clip texts", self.fingerprint, self.dtype)
        network = shared(key, partial(self._tower, "Text", BESIDE_TEXTS))
        tokens = partial(_tokens, split, config.max_position_embeddings)
        return TextTower(network, tokens, split.eos_token_id, _of_all(folder, TOKENIZER))

    @property
    def temperature(self) -> float:
        """exp(logit_scale), which PickScore multiplies cosines by."""
        if "logit_scale" not in self._state:
            raise self._broken("it lacks logit_scale")
        return float(self._state["logit_scale"].double().exp())

    @cached_property
    def _state(self) -> dict[str, Tensor]:
        return self.files.tensors()

    @property
    def _open_clip(self) -> bool:
        return clip_names.MARK in self._state

    def _told(self) -> dict[str, Any]:
        try:
            return clip_names.told(self._state)
        except KeyError as error:
            raise self._broken(f"it lacks {error.args[0]}") from error

    def _broken(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self.files.of} is no whole checkpoint of verifier {self.files.verifier!r}: {why}; "
            f"{self.files.instead}"
        )

    def _tower(self, which: str, beside: Sequence[str]) -> nn.Module:
        """``which``: Vision or Text. ``beside``: names of the checkpoint that are not its own."""
        kind: Callable[[Any], nn.Module] = getattr(
            transformers(self.files.verifier), f"CLIP{which}ModelWithProjection"
        )
        with torch.device("meta"):  # random numbers to be replaced take longer than reading does
            network = kind(getattr(self.config, f"{which.lower()}_config"))
        for name, buffer in list(network.named_buffers()):
            # The numbers of the places: in no file, the same in all networks.
            path, _, last = name.rpartition(".")
            places = torch.arange(buffer.shape[-1]).expand(buffer.shape)
            network.get_submodule(path).register_buffer(last, places, persistent=False)
        state = clip_names.renamed(self._state) if self._open_clip else self._state
        return filled(network, state, self.files, beside).to(getattr(torch, self.dtype))

    def _with_tokenizer(self, source: str) -> Path:
        """The folder of the tokenizer's files."""
        for folder in (self.files.folder, Path(source).expanduser()):
            if any((folder / name).is_file() for name in VOCABULARY):
                return folder
        name = self.files.verifier
        what = f"{source!r}, the tokenizer of verifier {name!r},"
        instead = f"give a folder with its files: --verifier '{name}(tokenizer=/path/to/folder)'"
        return downloaded(source, TOKENIZER, what, instead)


def checkpoint(
    verifier: str,
    source: str,
    dtype: Precision,
    patterns: Sequence[str] = PATTERNS,
    setting: str = "weights",
) -> ClipCheckpoint:
    """The CLIP that a file, a folder or a hub id holds; ConfigError where there is none.

    ``setting``: the verifier's setting that ``source`` is.
    """
    transformers(verifier)
    return ClipCheckpoint(files(verifier, source, patterns, setting=setting), dtype)


def _tokenizer(verifier: str, folder: Path) -> Any:
    try:
        return transformers(verifier).CLIPTokenizer.from_pretrained(
            str(folder), local_files_only=True
        )
    except Exception as error:  # whatever a file that is something else makes of the reader
        raise ConfigError(
            f"the tokenizer of verifier {verifier!r} cannot be read from {folder} ({error}); its "
            f"files are {', '.join(TOKENIZER)}, as published with CLIP"
        ) from error


def _tokens(split: Any, length: int, sentences: Sequence[str]) -> Tensor:
    """Numbers [N, length]; what is longer is cut, and still ends."""
    numbers: Tensor = split(
        list(sentences), padding="max_length", truncation=True, max_length=length,
        return_tensors="pt",
    ).input_ids  # fmt: skip
    return numbers


def _of_all(folder: Path, names: Sequence[str]) -> str:
    """Which files of a folder these are."""
    return digest({name: of_file(folder / name) for name in names if (folder / name).is_file()})
