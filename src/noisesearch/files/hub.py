"""Files from the model hub: had, or a sentence that says why not and what works instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..errors import ConfigError

ENDINGS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")  # of files with weights

# What the hub's client raises of a model that it could ask for, and what that means.
REFUSED = {
    "GatedRepoError": "its licence has to be accepted on its page, and this machine to be known "
    "there: hf auth login",
    "RepositoryNotFoundError": "it has none of that name, or a private one: hf auth login",
}


def unreachable(what: str, error: BaseException, instead: str) -> ConfigError:
    """``what`` cannot be had from the hub, why, and what to do."""
    first, kinds = error, [type(error).__name__]
    while cause := first.__cause__ or first.__context__:  # the hub hides why behind what it means
        first = cause
        kinds.append(type(first).__name__)
    known = [REFUSED[kind] for kind in kinds if kind in REFUSED]
    said = (str(first).strip() or type(first).__name__).splitlines()[0].rstrip(".")
    return ConfigError(
        f"{what} is no folder here, and cannot be had from the hub "
        f"({known[0] if known else said}); {instead}"
    )


def downloaded(
    name: str,
    files: Sequence[str],
    what: str,
    instead: str,
    kind: Literal["model", "dataset"] = "model",
) -> Path:
    """The folder, in the hub's own cache, of those files of a hub id that match the patterns."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ConfigError(
            f"{what} is no folder here, and to download it huggingface_hub is needed: pip install "
            f"'noisesearch[verifiers]'; or {instead}"
        ) from error
    try:
        return Path(snapshot_download(name, repo_type=kind, allow_patterns=list(files)))
    except Exception as error:  # whatever the network, the hub or its files may raise
        raise unreachable(what, error, instead) from error
