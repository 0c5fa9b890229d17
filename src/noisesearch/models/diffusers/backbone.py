"""What backbones over a diffusers pipeline have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class PipelineBackbone:
    """Network, text encoders and autoencoder of a pipeline, used as they are and left so.

    ``tiling``: the autoencoder decodes large pictures in tiles that overlap.
    """

    tiling = False

    def __init__(self, pipeline: Any, network: Any, size: tuple[int, int]) -> None:
        self.pipeline, self.network, self.size = pipeline, network, size

    @property
    def vae(self) -> Any:
        return self.pipeline.vae

    @property
    def readers(self) -> list[torch.nn.Module]:
        """The networks that read prompts."""
        named = self.pipeline.components.items()
        return [part for name, part in named if name.startswith("text_encoder") and part]

    @property
    def reading(self) -> torch.device:
        """Where prompts are read: a pipeline whose parts are on several devices cannot tell."""
        moved = any(hasattr(reader, "_hf_hook") for reader in self.readers)
        found: Any = self.pipeline._execution_device if moved else self.readers[0].device
        return torch.device(found)

    def output(self, found: Tensor) -> Tensor:
        return found

    @staticmethod
    def native(x: Tensor) -> Tensor:
        """Latents [B, C, h, w] as ``latents=`` takes them: unit normals, which a pipeline that
        begins at a larger σ scales itself."""
        return x

    def pictures(self, x0: Tensor) -> Tensor:
        """Images [B, 3, H, W] from -1 to 1 of clean latents [B, C, h, w]."""
        config = self.vae.config
        latents = x0.to(self.vae.dtype) / config.scaling_factor
        return self.decoded(latents + (getattr(config, "shift_factor", None) or 0.0))

    def decoded(self, latents: Tensor) -> Tensor:
        """Images [B, 3, H, W] of latents as the autoencoder takes them, in its own dtype."""
        with self._tiles():
            found: Tensor = self.vae.decode(latents, return_dict=False)[0]
        return found

    @contextmanager
    def _tiles(self) -> Iterator[None]:
        if not self.tiling:
            yield
            return
        before = self.vae.use_tiling
        self.vae.use_tiling = True
        try:
            yield
        finally:
            self.vae.use_tiling = before
