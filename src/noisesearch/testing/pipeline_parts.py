"""Sizes and networks that the tiny pipelines share."""

from __future__ import annotations

from typing import Any

from . import tokenizers

SIDE = 8  # of the default latents
LEVELS = 3  # of the autoencoders: four pixels to a latent's place
WIDTH = 16  # of text encoders
CHANNELS = 4  # of Stable Diffusion's and PixArt's latents
CLIP_LENGTH = 77


def make_clip(transformers: Any, tokenizer: Any, projected: bool) -> Any:
    """A CLIP text encoder, with the projection that SDXL and SD3 read or without."""
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=2, num_attention_heads=2, projection_dim=WIDTH,
        max_position_embeddings=CLIP_LENGTH, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return kind(config)


def make_t5(transformers: Any, tokenizer: Any) -> Any:
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=2 * WIDTH, d_kv=8, d_ff=2 * WIDTH, num_layers=2,
        num_heads=2, feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    return transformers.T5EncoderModel(config)


def make_vae(
    diffusers: Any, channels: int, scale: float, shift: float | None = None, levels: int = LEVELS
) -> Any:
    """An AutoencoderKL; FLUX's and SD3's latents are shifted and have no quantising layers."""
    blocks = levels
    return diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * blocks, norm_num_groups=4,
        up_block_types=["UpDecoderBlock2D"] * blocks, block_out_channels=[8] * blocks,
        latent_channels=channels, scaling_factor=scale, shift_factor=shift,
        sample_size=SIDE * 2 ** (blocks - 1),
        use_quant_conv=shift is None, use_post_quant_conv=shift is None,
    )  # fmt: skip


def make_unet(diffusers: Any, **settings: Any) -> Any:
    return diffusers.UNet2DConditionModel(
        sample_size=SIDE, in_channels=CHANNELS, out_channels=CHANNELS, layers_per_block=1,
        norm_num_groups=4, block_out_channels=(8, 16),
        **settings,
    )  # fmt: skip


def make_sd(diffusers: Any, transformers: Any) -> Any:
    words = tokenizers.clip(CLIP_LENGTH)
    return diffusers.StableDiffusionPipeline(
        vae=make_vae(diffusers, CHANNELS, 0.18215),
        text_encoder=make_clip(transformers, words, projected=False), tokenizer=words,
        unet=make_unet(
            diffusers, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=2,
            cross_attention_dim=WIDTH,
        ),
        # Published with PNDM, whose steps no solver of ours takes.
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
            clip_sample=False, set_alpha_to_one=False,
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
