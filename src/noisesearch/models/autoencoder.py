"""The autoencoder of latent checkpoints: weights and network of diffusers, used to decode only."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..files.json_text import parsed
from ..sampling.denoiser import fill
from .footprint import peak_bytes

# What the latents of Stable Diffusion's autoencoder are multiplied with to have unit variance
# (arXiv 2112.10752, Section D.1); SiT is trained on such latents.
SCALE = 0.18215
SLICE = 4  # rows decoded at a time: at 256×256 the decoder needs about 1 GB for each


def factor(folder: Path) -> int:
    """Pixels along one side of a latent's place; 8 for Stable Diffusion's autoencoder."""
    try:
        levels = parsed((folder / "config.json").read_text())["block_out_channels"]
        return int(2 ** (len(levels) - 1))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder} is no autoencoder of diffusers (its config.json gives {error!r}); give the "
            "folder of an AutoencoderKL, such as that of stabilityai/sd-vae-ft-ema"
        ) from error


class Autoencoder:
    """Decodes latents [B, C, h, w] to images [B, 3, H, W] in [0, 1].

    In float32 whatever the run's precision: it is a small part of the work, and eight bits of
    mantissa would show in the pictures. Rows go through in slices of one size, the last one
    filled up, so that a row's bits do not depend on its place in the batch.
    """

    def __init__(self, folder: Path, channels: int, device: str) -> None:
        self.network = _load(folder).to(device)
        self.network.eval().requires_grad_(False)
        made = self.network.config.latent_channels
        if made != channels:
            raise ConfigError(
                f"the autoencoder in {folder} decodes {made} channels and the checkpoint makes "
                f"{channels}; give the autoencoder that it was trained with"
            )

    def __call__(self, latents: Tensor) -> Tensor:
        size = min(SLICE, len(latents))
        found = []
        for part in torch.split(latents.float() / SCALE, size):
            images = self.network.decode(fill(list(part), size)).sample[: len(part)]
            found.append((images * 0.5 + 0.5).clamp(0, 1))
        return torch.cat(found)

    def work(self, rows: int, shape: tuple[int, ...]) -> int:
        """Bytes beside the weights, for latents of a shape [C, h, w] in batches of ``rows``."""
        with torch.device("meta"):
            empty = type(self.network).from_config(self.network.config)
            latents = torch.zeros(min(SLICE, rows), *shape)
        return peak_bytes(lambda: empty.decode(latents))


def _load(folder: Path) -> Any:
    """diffusers' AutoencoderKL, from safetensors, no weight missing."""
    try:
        kind = importlib.import_module("diffusers").AutoencoderKL
    except ImportError as error:
        raise ConfigError(
            f"the latents of this checkpoint are decoded by diffusers, which cannot be imported "
            f"({error}); install it with: pip install 'noisesearch[diffusers]'"
        ) from error
    try:
        network, info = kind.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(
            f"{folder} cannot be loaded as an autoencoder of diffusers ({reason}); it must hold "
            "config.json and diffusion_pytorch_model.safetensors of an AutoencoderKL"
        ) from error
    if info["missing_keys"]:
        raise ConfigError(
            f"the autoencoder in {folder} lacks {len(info['missing_keys'])} weights (first "
            f"{sorted(info['missing_keys'])[0]}); get its files again"
        )
    return network
