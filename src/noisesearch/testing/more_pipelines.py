"""Tiny pipelines of classes that no loop of ours runs: they are black boxes to a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import tokenizers
from .pipeline_parts import (
    CHANNELS,
    CLIP_LENGTH,
    LEVELS,
    SIDE,
    WIDTH,
    make_clip,
    make_sd,
    make_t5,
    make_unet,
    make_vae,
)

FRAMES = 5
VIDEO: Mapping[str, Any] = {"steps": 2, "size": [32, 32], "call": {"num_frames": FRAMES}}


def _pndm(diffusers: Any, transformers: Any) -> Any:
    """Stable Diffusion with the scheduler that it is published with."""
    pipeline = make_sd(diffusers, transformers)
    return _with(pipeline, scheduler=diffusers.PNDMScheduler.from_config(
        pipeline.scheduler.config, skip_prk_steps=True))  # fmt: skip


def _with(pipeline: Any, kind: Any = None, **parts: Any) -> Any:
    """A pipeline of the same parts but some, perhaps of another class."""
    bare = {"safety_checker": None, "feature_extractor": None}
    known = {**pipeline.components, **bare, **parts}
    return (kind or type(pipeline))(**known, requires_safety_checker=False)


def _inpaint(diffusers: Any, transformers: Any) -> Any:
    """A UNet that sees the mask and the masked image beside the latents."""
    unet = diffusers.UNet2DConditionModel(
        sample_size=SIDE, in_channels=2 * CHANNELS + 1, out_channels=CHANNELS, layers_per_block=1,
        norm_num_groups=4, block_out_channels=(8, 16), cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), attention_head_dim=2,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    plain = make_sd(diffusers, transformers)
    return _with(plain, diffusers.StableDiffusionInpaintPipeline, unet=unet)


def _img2img(diffusers: Any, transformers: Any) -> Any:
    return _with(make_sd(diffusers, transformers), diffusers.StableDiffusionImg2ImgPipeline)


def _lcm(diffusers: Any, transformers: Any) -> Any:
    plain = make_sd(diffusers, transformers)
    unet = make_unet(
        diffusers, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=2,
        cross_attention_dim=WIDTH, time_cond_proj_dim=8,
    )  # fmt: skip
    scheduler = diffusers.LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    )
    kind = diffusers.LatentConsistencyModelPipeline
    return _with(plain, kind, unet=unet, scheduler=scheduler)


def _umt5(transformers: Any, tokenizer: Any) -> Any:
    config = transformers.UMT5Config(
        vocab_size=len(tokenizer), d_model=2 * WIDTH, d_kv=8, d_ff=2 * WIDTH, num_layers=2,
        num_heads=2, feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    return transformers.UMT5EncoderModel(config)


def _auraflow(diffusers: Any, transformers: Any) -> Any:
    pieces = tokenizers.t5(512)
    return diffusers.AuraFlowPipeline(
        tokenizer=pieces, text_encoder=_umt5(transformers, pieces),
        vae=make_vae(diffusers, CHANNELS, 0.13025),
        transformer=diffusers.AuraFlowTransformer2DModel(
            sample_size=SIDE, in_channels=CHANNELS, out_channels=CHANNELS, num_mmdit_layers=1,
            num_single_dit_layers=1, attention_head_dim=8, num_attention_heads=4,
            caption_projection_dim=32, joint_attention_dim=2 * WIDTH, pos_embed_max_size=64,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.73),
    )  # fmt: skip


def _lumina2(diffusers: Any, transformers: Any) -> Any:
    words = tokenizers.gemma()
    config = transformers.Gemma2Config(
        vocab_size=len(words), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )  # fmt: skip
    return diffusers.Lumina2Pipeline(
        transformer=diffusers.Lumina2Transformer2DModel(
            sample_size=SIDE, patch_size=2, in_channels=CHANNELS, hidden_size=24, num_layers=2,
            num_refiner_layers=1, num_attention_heads=3, num_kv_heads=1, multiple_of=2,
            axes_dim_rope=(4, 2, 2), axes_lens=(300, 32, 32), cap_feat_dim=WIDTH,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=make_vae(diffusers, CHANNELS, 0.3611, 0.1159, levels=4),
        text_encoder=transformers.Gemma2Model(config), tokenizer=words,
    )  # fmt: skip


def _chroma(diffusers: Any, transformers: Any) -> Any:
    pieces = tokenizers.t5(512)
    return diffusers.ChromaPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=make_vae(diffusers, 16, 0.3611, 0.1159),
        text_encoder=make_t5(transformers, pieces), tokenizer=pieces,
        transformer=diffusers.ChromaTransformer2DModel(
            in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=2 * WIDTH, axes_dims_rope=(4, 6, 6),
            approximator_num_channels=8, approximator_hidden_dim=32, approximator_layers=1,
        ),
    )  # fmt: skip


def _kandinsky(diffusers: Any, transformers: Any) -> Any:
    """Kandinsky 2.2: a prior makes of the prompt an embedding of a picture, a UNet the picture."""
    words = tokenizers.clip(CLIP_LENGTH)
    vision = transformers.CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=1, projection_dim=WIDTH,
        num_attention_heads=2, image_size=32, patch_size=16,
    )  # fmt: skip
    prior = diffusers.PriorTransformer(
        num_attention_heads=2, attention_head_dim=8, num_layers=1, embedding_dim=WIDTH,
    )  # fmt: skip
    prior.clip_std.data.fill_(1.0)  # what it is trained to; zeros would leave nothing of a noise
    return diffusers.KandinskyV22CombinedPipeline(
        unet=diffusers.UNet2DConditionModel(
            sample_size=SIDE, in_channels=CHANNELS, out_channels=2 * CHANNELS, layers_per_block=1,
            norm_num_groups=4, block_out_channels=(8, 16), cross_attention_dim=WIDTH,
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn", attention_head_dim=4,
            addition_embed_type="image", encoder_hid_dim=WIDTH,
            encoder_hid_dim_type="image_proj", resnet_time_scale_shift="scale_shift",
        ),
        scheduler=diffusers.DDIMScheduler(
            beta_schedule="linear", beta_start=0.00085, beta_end=0.012, clip_sample=False,
            set_alpha_to_one=False, steps_offset=1, thresholding=False,
        ),
        movq=diffusers.VQModel(
            block_out_channels=[32] * LEVELS, latent_channels=CHANNELS,
            down_block_types=["DownEncoderBlock2D"] * LEVELS,
            up_block_types=["AttnUpDecoderBlock2D"] * LEVELS,
            num_vq_embeddings=12, vq_embed_dim=CHANNELS, norm_type="spatial",
        ),
        prior_prior=prior,
        prior_image_encoder=transformers.CLIPVisionModelWithProjection(vision),
        prior_text_encoder=make_clip(transformers, words, projected=True), prior_tokenizer=words,
        prior_scheduler=diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000,
            clip_sample_range=5.0,
        ),
        prior_image_processor=transformers.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
    )  # fmt: skip


def _wan(diffusers: Any, transformers: Any) -> Any:
    pieces = tokenizers.t5(512)
    return diffusers.WanPipeline(
        tokenizer=pieces, text_encoder=_umt5(transformers, pieces),
        vae=diffusers.AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ),
        scheduler=diffusers.UniPCMultistepScheduler(
            flow_shift=3.0, use_flow_sigmas=True, prediction_type="flow_prediction",
        ),
        transformer=diffusers.WanTransformer3DModel(
            patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16,
            out_channels=16, text_dim=2 * WIDTH, freq_dim=16, ffn_dim=32, num_layers=2,
            cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
        ),
    )  # fmt: skip


def _ltx(diffusers: Any, transformers: Any) -> Any:
    pieces = tokenizers.t5(128)
    return diffusers.LTXPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=diffusers.AutoencoderKLLTXVideo(
            latent_channels=8, block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1), patch_size=1, encoder_causal=True,
            spatio_temporal_scaling=(True, True, False, False),
            decoder_spatio_temporal_scaling=(True, True, False, False), decoder_causal=False,
        ),
        text_encoder=make_t5(transformers, pieces), tokenizer=pieces,
        transformer=diffusers.LTXVideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8,
            cross_attention_dim=32, num_layers=1, caption_channels=2 * WIDTH,
        ),
    )  # fmt: skip


BUILDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "sd-pndm": _pndm,
    "sd-inpaint": _inpaint,
    "sd-img2img": _img2img,
    "lcm": _lcm,
    "auraflow": _auraflow,
    "lumina2": _lumina2,
    "chroma": _chroma,
    "kandinsky": _kandinsky,
    "wan": _wan,
    "ltx": _ltx,
}
# Where these differ from what the others take by default.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "sd-img2img": {"size": None},  # as large as its image
    "kandinsky": {"steps": 4, "size": [32, 32], "call": {"prior_num_inference_steps": 2}},
    "wan": VIDEO,
    "ltx": VIDEO,
}
