"""SDXL as a backbone, with any UNet of its kind in its place, such as that of Diffusion-DPO."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...sampling.denoiser import Encoded
from .backbone import PipelineBackbone
from .families import predicted
from .unet import guidance_read


class StableDiffusionXLBackbone(PipelineBackbone):
    """Two text encoders, of which the second also gives one vector; the network is told the size.

    Where no negative prompt is given, published pipelines lead away from zeros and not from the
    empty prompt.
    """

    def __init__(self, pipeline: Any, size: tuple[int, int], guidance: float) -> None:
        super().__init__(pipeline, pipeline.unet, size)
        self.prediction = predicted(pipeline.scheduler)
        self._guidance = guidance

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        prompts = [text or "" for text in texts]
        words, _, pooled, _ = self.pipeline.encode_prompt(
            prompt=prompts,
            prompt_2=prompts,
            device=self.reading,
            do_classifier_free_guidance=False,
        )
        if negative and self.pipeline.config.force_zeros_for_empty_prompt:
            given = torch.tensor([text is not None for text in texts], device=words.device)
            words = torch.where(given[:, None, None], words, 0)
            pooled = torch.where(given[:, None], pooled, 0)
        return {"words": words, "pooled": pooled}

    def inputs(self, x: Tensor, timestep: Tensor, encoded: Encoded) -> dict[str, Any]:
        width, height = self.size
        # Original size, upper left corner of the cut, size wanted: nothing is cut.
        sizes = encoded["pooled"].new_tensor([height, width, 0, 0, height, width])
        return {
            "sample": x,
            "timestep": timestep,
            "encoder_hidden_states": encoded["words"],
            "timestep_cond": guidance_read(self.pipeline, self._guidance, x),
            "added_cond_kwargs": {
                "text_embeds": encoded["pooled"],
                "time_ids": sizes.expand(len(x), -1),
            },
        }

    @cached_property
    def vae(self) -> Any:
        """SDXL's first autoencoder overflows in float16. Where it says so, a copy of it runs in
        float32: the user's own stays as it is, also while a gradient still needs its weights."""
        vae = self.pipeline.vae
        if vae.dtype == torch.float16 and vae.config.force_upcast:
            return copy.deepcopy(vae).float()
        return vae

    def pictures(self, x0: Tensor) -> Tensor:
        config = self.vae.config
        mean, deviation = config.get("latents_mean"), config.get("latents_std")
        if mean is None or deviation is None:
            return super().pictures(x0)
        # Of autoencoders whose channels are brought to unit variance one by one.
        x = x0.to(self.vae.dtype)
        mean, deviation = (x.new_tensor(v).reshape(1, -1, 1, 1) for v in (mean, deviation))
        return self.decoded(x * deviation / config.scaling_factor + mean)
