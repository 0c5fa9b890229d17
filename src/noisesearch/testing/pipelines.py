"""Real diffusers pipelines, tiny: the published classes and settings, a few thousand weights.

They make noise of noise, but by the very code that runs the published weights, so they show
whether a loader, a schedule, an encoder or a latent layout is understood.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import unknown
from . import more_pipelines, tokenizers
from .pipeline_parts import (
    CHANNELS,
    CLIP_LENGTH,
    SIDE,
    WIDTH,
    make_clip,
    make_sd,
    make_t5,
    make_unet,
    make_vae,
)

SEED = 7
# What a search takes where nothing is asked for: full defaults are too much for a laptop.
DEFAULTS = {"steps": 4, "size": [32, 32]}


def tiny_pipeline(name: str, folder: str | Path | None = None) -> Any:
    """A pipeline of the real class with random weights, the same at every call.

    ``name``: flux, flux-schnell, sd3, sana, sdxl, sd or pixart, and black boxes: sd-pndm,
    sd-inpaint, sd-img2img, lcm, auraflow, lumina2, chroma, kandinsky, and of videos wan and ltx.
    With ``folder`` it is saved there and loaded again from there. It is in float32 on the CPU,
    makes 32×32 pixels by default and takes other sizes in steps of 8 (sana, videos: of 32);
    nothing is downloaded, and the state of torch's generator stays as it is.
    """
    builders = {**_BUILDERS, **more_pipelines.BUILDERS}
    if name not in builders:
        raise unknown("tiny pipeline", name, builders)
    import torch

    defaults = {**DEFAULTS, **more_pipelines.DEFAULTS.get(name, {})}

    diffusers = importlib.import_module("diffusers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        pipeline = builders[name](diffusers, importlib.import_module("transformers"))
        if folder is not None:
            pipeline.save_pretrained(str(folder), safe_serialization=True)
            (Path(folder) / "noisesearch.json").write_text(json.dumps(defaults) + "\n")
            pipeline = type(pipeline).from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True
            )
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    pipeline.set_progress_bar_config(disable=True)
    pipeline.noisesearch = defaults
    return pipeline


def _flux(diffusers: Any, transformers: Any, dev: bool = True) -> Any:
    words, pieces = tokenizers.clip(CLIP_LENGTH), tokenizers.t5(512)
    return diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
            shift=3.0 if dev else 1.0, use_dynamic_shifting=dev, base_shift=0.5, max_shift=1.15,
        ),
        vae=make_vae(diffusers, 16, 0.3611, 0.1159),
        text_encoder=make_clip(transformers, words, projected=False), tokenizer=words,
        text_encoder_2=make_t5(transformers, pieces), tokenizer_2=pieces,
        transformer=diffusers.FluxTransformer2DModel(
            in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=2 * WIDTH, pooled_projection_dim=WIDTH,
            guidance_embeds=dev, axes_dims_rope=(4, 6, 6),
        ),
    )  # fmt: skip


def _schnell(diffusers: Any, transformers: Any) -> Any:
    return _flux(diffusers, transformers, dev=False)


def _sd3(diffusers: Any, transformers: Any) -> Any:
    first, second = tokenizers.clip(CLIP_LENGTH), tokenizers.clip(CLIP_LENGTH, pad="!")
    pieces = tokenizers.t5(512)
    return diffusers.StableDiffusion3Pipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=make_vae(diffusers, 16, 1.5305, 0.0609),
        text_encoder=make_clip(transformers, first, projected=True), tokenizer=first,
        text_encoder_2=make_clip(transformers, second, projected=True), tokenizer_2=second,
        text_encoder_3=make_t5(transformers, pieces), tokenizer_3=pieces,
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=SIDE, in_channels=16, out_channels=16, num_layers=2,
            attention_head_dim=8, num_attention_heads=2, joint_attention_dim=2 * WIDTH,
            caption_projection_dim=16, pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=2 * SIDE, qk_norm="rms_norm", dual_attention_layers=(0,),
        ),
    )  # fmt: skip


def _sana(diffusers: Any, transformers: Any) -> Any:
    words = tokenizers.gemma()
    config = transformers.Gemma2Config(
        vocab_size=len(words), hidden_size=WIDTH, intermediate_size=2 * WIDTH,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )  # fmt: skip
    return diffusers.SanaPipeline(
        tokenizer=words,
        text_encoder=transformers.Gemma2Model(config),
        vae=diffusers.AutoencoderDC(
            latent_channels=8, attention_head_dim=8, scaling_factor=0.41407,
            encoder_block_types=["ResBlock", "ResBlock", "EfficientViTBlock"],
            decoder_block_types=["ResBlock", "ResBlock", "EfficientViTBlock"],
            encoder_block_out_channels=(8, 8, 16), decoder_block_out_channels=(8, 8, 16),
            encoder_layers_per_block=(1, 1, 1), decoder_layers_per_block=(1, 1, 1),
            encoder_qkv_multiscales=((), (), (5,)), decoder_qkv_multiscales=((), (), (5,)),
        ),
        transformer=diffusers.SanaTransformer2DModel(
            in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=8,
            num_layers=2, num_cross_attention_heads=2, cross_attention_head_dim=8,
            cross_attention_dim=16, caption_channels=WIDTH, sample_size=SIDE,
        ),
        scheduler=diffusers.DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0,
            algorithm_type="dpmsolver++", solver_order=2,
        ),
    )  # fmt: skip


def _sdxl(diffusers: Any, transformers: Any) -> Any:
    first, second = tokenizers.clip(CLIP_LENGTH), tokenizers.clip(CLIP_LENGTH, pad="!")
    return diffusers.StableDiffusionXLPipeline(
        vae=make_vae(diffusers, CHANNELS, 0.13025),
        text_encoder=make_clip(transformers, first, projected=False), tokenizer=first,
        text_encoder_2=make_clip(transformers, second, projected=True), tokenizer_2=second,
        unet=make_unet(
            diffusers, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 2),
            use_linear_projection=True, transformer_layers_per_block=(1, 2),
            cross_attention_dim=2 * WIDTH, addition_embed_type="text_time",
            addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        ),
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
            timestep_spacing="leading",
        ),
        add_watermarker=False,
    )  # fmt: skip


def _knowing_noise(network: Any) -> Any:
    """The transformer, so that it takes what comes in for noise, as a trained network would.

    PixArt's last timestep leaves 0.0064 of the image. Random weights, which take noise for
    anything else, make clean latents of hundreds and steer them wildly from there: float32 is too
    coarse to compare two loops on such numbers.
    """
    import torch

    config = network.config
    channels, places, rows = config.in_channels, config.patch_size**2, 256
    seen: list[Any] = []

    def settled(weights: Any) -> Any:
        """Rounded, since the last digits of linear algebra are not the same at every call."""
        return (weights * 4096).round() / 4096

    network = network.double().eval()
    with torch.no_grad():
        # Words, times and neighbours say little against what a place holds itself, and a large
        # constant makes the last norm nearly linear in that.
        entry, blocks = network.pos_embed.proj, network.transformer_blocks
        torch.nn.init.orthogonal_(entry.weight.view(entry.out_channels, -1), gain=1.5)
        entry.weight.copy_(settled(entry.weight))
        entry.bias.mul_(20)
        quiet = [*network.adaln_single.parameters(), network.scale_shift_table]
        quiet += [w for b in blocks for w in (b.scale_shift_table, b.attn2.to_out[0].weight)]
        for weights in quiet:
            weights.mul_(0.1)
        x = torch.randn(rows, channels, SIDE, SIDE, dtype=torch.float64)
        hook = network.proj_out.register_forward_hook(lambda _, given, out: seen.append(given[0]))
        words = torch.randn(rows, 8, config.caption_channels, dtype=torch.float64)
        network(
            x, encoder_hidden_states=words, timestep=torch.randint(1000, (rows,)),
            added_cond_kwargs={},
        )  # fmt: skip
        hook.remove()
        parts = x.unfold(2, config.patch_size, config.patch_size)
        parts = parts.unfold(3, config.patch_size, config.patch_size).permute(0, 2, 3, 4, 5, 1)
        known = torch.nn.functional.pad(seen[0].flatten(0, 1), (0, 1), value=1.0)
        fitted = torch.linalg.lstsq(known, parts.reshape(len(known), -1)).solution.T
        fitted = settled(fitted.reshape(places, channels, -1))
        # The other half of the channels, the variance, stays as it is.
        last = network.proj_out
        last.weight.view(places, -1, last.in_features)[:, :channels] = fitted[..., :-1]
        last.bias.view(places, -1)[:, :channels] = fitted[..., -1]
    return network.float()


def _pixart(diffusers: Any, transformers: Any) -> Any:
    pieces = tokenizers.t5(300)
    return diffusers.PixArtSigmaPipeline(
        tokenizer=pieces,
        text_encoder=make_t5(transformers, pieces),
        vae=make_vae(diffusers, CHANNELS, 0.13025),
        transformer=_knowing_noise(diffusers.PixArtTransformer2DModel(
            num_attention_heads=4, attention_head_dim=8, in_channels=CHANNELS,
            out_channels=2 * CHANNELS, num_layers=2, cross_attention_dim=32, sample_size=SIDE,
            caption_channels=2 * WIDTH, use_additional_conditions=False,
        )),
        scheduler=diffusers.DPMSolverMultistepScheduler(
            beta_start=0.0001, beta_end=0.02, beta_schedule="linear", solver_order=2,
            algorithm_type="dpmsolver++",
        ),
    )  # fmt: skip


_BUILDERS: dict[str, Callable[[Any, Any], Any]] = {
    "flux": _flux,
    "flux-schnell": _schnell,
    "sd3": _sd3,
    "sana": _sana,
    "sdxl": _sdxl,
    "sd": make_sd,
    "pixart": _pixart,
}
