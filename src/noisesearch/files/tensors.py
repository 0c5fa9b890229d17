"""Named tensors in files, safetensors and torch's own; nothing is unpickled."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ConfigError


@contextmanager
def opened(path: Path, other: str) -> Iterator[Any]:
    """An open safetensors file; ConfigError ends with ``other``, what to do instead."""
    try:
        with safe_open(str(path), framework="pt") as stored:
            yield stored
    except SafetensorError as error:
        raise ConfigError(f"{path} cannot be read ({error}): {other}") from error


def data(path: Path, other: str) -> Mapping[str, Any]:
    """The dictionary of a file written by torch.save, if it holds nothing but data."""
    # Published training scripts store their arguments as a Namespace, which holds values only.
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        whole = _loaded(path)
    except Exception as error:  # whatever a file that is something else makes of the reader
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            raise ConfigError(f"{path} cannot be read as weights: {other}") from error
        raise ConfigError(
            f"{path} holds Python objects ({named[1]}), which are not unpickled, since that could "
            "run anything; where you trust it, save its weights with safetensors and give those"
        ) from error
    if not isinstance(whole, Mapping):
        raise ConfigError(f"{path} holds a {type(whole).__name__}, not named weights: {other}")
    return whole


def tensors(path: Path, other: str, branches: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The tensors of a file by name, on the processor; of the first of ``branches`` that a torch
    file nests them in, where there is one."""
    if path.suffix == ".safetensors":
        with opened(path, other) as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    content = data(path, other)
    inner = next((content[b] for b in branches if isinstance(content.get(b), Mapping)), content)
    return {name: value for name, value in inner.items() if isinstance(value, Tensor)}


def _loaded(path: Path) -> Any:
    try:
        # Mapped: of a checkpoint with optimiser states only what is used is read.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)  # an old kind of file
