"""The families of diffusers pipelines that run in our own loop: sizes, defaults, schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import ConfigError
from .diffusers_source import Source

ENSEMBLE = ("clipscore", "aesthetic", "imagereward")


@dataclass(frozen=True)
class Layout:
    """``factor``: pixels to a latent's place; ``unit``: what width and height are multiples of."""

    channels: int
    factor: int
    unit: int
    size: tuple[int, int]

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Of one latent [C, H, W]."""
        return self.channels, height // self.factor, width // self.factor


class Family(Protocol):
    """One pipeline class.

    ``needs``: its components, the network first. ``backbone``: ``module:Class`` in this package.
    ``distilled(source)``: guidance is a number that the network reads, not two forwards.
    """

    @property
    def kind(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def backbone(self) -> str: ...

    def defaults(self, source: Source) -> tuple[int, float]:
        """Steps and guidance, where nobody says otherwise."""
        ...

    def distilled(self, source: Source) -> bool: ...
    def layout(self, source: Source) -> Layout: ...

    def set_steps(self, scheduler: Any, steps: int, tokens: int) -> None:
        """Give a scheduler its steps as the pipeline does; ``tokens``: units in the picture."""
        ...


def autoencoder_factor(config: Mapping[str, Any], blocks: str) -> int:
    """Pixels to a latent's place: every level but one halves."""
    return int(2 ** (len(config[blocks]) - 1))


def shift(scheduler: Any, tokens: int, most: float) -> float:
    """μ of the shift towards noise that larger pictures need: linear in the number of tokens
    (arXiv 2403.03206, Section 5.3.2, as FLUX and SD3.5 use it)."""
    get = scheduler.config.get
    low, high = get("base_image_seq_len", 256), get("max_image_seq_len", 4096)
    base, top = get("base_shift", 0.5), get("max_shift", most)
    return float(base + (top - base) * (tokens - low) / (high - low))


@dataclass(frozen=True)
class Flux:
    """FLUX.1: dev reads its guidance as a number, schnell is made for four steps without any."""

    kind: str = "FluxPipeline"
    summary: str = "text to image, a flow"
    needs: tuple[str, ...] = ("transformer", "vae", "scheduler", "text_encoder", "text_encoder_2")
    backbone: str = "flux:FluxBackbone"

    def defaults(self, source: Source) -> tuple[int, float]:
        return (30, 3.5) if self.distilled(source) else (4, 1.0)

    def distilled(self, source: Source) -> bool:
        return bool(source.config("transformer").get("guidance_embeds", False))

    def layout(self, source: Source) -> Layout:
        factor = autoencoder_factor(source.config("vae"), "block_out_channels")
        side = 128 * factor  # latents of 128 places, whatever the autoencoder
        # A token is two places wide and high.
        channels = source.config("transformer")["in_channels"] // 4
        return Layout(channels, factor, 2 * factor, (side, side))

    def set_steps(self, scheduler: Any, steps: int, tokens: int) -> None:
        import numpy as np

        mu = shift(scheduler, tokens, 1.15)
        if scheduler.config.get("use_flow_sigmas", False):
            scheduler.set_timesteps(steps, mu=mu)
        else:
            scheduler.set_timesteps(steps, sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)


@dataclass(frozen=True)
class StableDiffusion3:
    """Stable Diffusion 3 and 3.5; the third text encoder may be left out."""

    kind: str = "StableDiffusion3Pipeline"
    summary: str = "text to image, a flow"
    needs: tuple[str, ...] = ("transformer", "vae", "scheduler", "text_encoder", "text_encoder_2")
    backbone: str = "sd3:StableDiffusion3Backbone"

    def defaults(self, source: Source) -> tuple[int, float]:
        return 28, 7.0

    def distilled(self, source: Source) -> bool:
        return False

    def layout(self, source: Source) -> Layout:
        factor = autoencoder_factor(source.config("vae"), "block_out_channels")
        config = source.config("transformer")
        side = config["sample_size"] * factor
        return Layout(config["in_channels"], factor, factor * config["patch_size"], (side, side))

    def set_steps(self, scheduler: Any, steps: int, tokens: int) -> None:
        if scheduler.config.get("use_dynamic_shifting", False):
            scheduler.set_timesteps(steps, mu=shift(scheduler, tokens, 1.16))
        else:
            scheduler.set_timesteps(steps)


@dataclass(frozen=True)
class Sana:
    """Sana; the size is taken as it is, without the pipeline's bins of sizes."""

    kind: str = "SanaPipeline"
    summary: str = "text to image, a flow on coarse latents"
    needs: tuple[str, ...] = ("transformer", "vae", "scheduler", "text_encoder")
    backbone: str = "sana:SanaBackbone"

    def defaults(self, source: Source) -> tuple[int, float]:
        return 20, 4.5

    def distilled(self, source: Source) -> bool:
        return False

    def layout(self, source: Source) -> Layout:
        factor = autoencoder_factor(source.config("vae"), "encoder_block_out_channels")
        config = source.config("transformer")
        side = config["sample_size"] * factor
        # 32 is the pipeline's own demand, whatever the autoencoder.
        unit = max(32, factor * config["patch_size"])
        return Layout(config["in_channels"], factor, unit, (side, side))

    def set_steps(self, scheduler: Any, steps: int, tokens: int) -> None:
        scheduler.set_timesteps(steps)


FAMILIES: dict[str, Family] = {f.kind: f for f in (Flux(), StableDiffusion3(), Sana())}


def family_of(kind: str, name: str) -> Family:
    """By the pipeline's class; ConfigError names the classes that are supported."""
    if kind not in FAMILIES:
        what = f"{name} is a {kind}" if name != kind else f"the model is a {kind}"
        raise ConfigError(f"{what}, which is not supported; supported are {', '.join(FAMILIES)}")
    return FAMILIES[kind]


def solver_of(scheduler: Any) -> str | None:
    """The name of our solver that takes a scheduler's steps; None where there is none."""
    kind, get = type(scheduler).__name__, scheduler.config.get
    if kind == "FlowMatchEulerDiscreteScheduler":
        return None if get("stochastic_sampling") or get("invert_sigmas") else "euler"
    if kind == "DPMSolverMultistepScheduler" and get("use_flow_sigmas"):
        second = ("dpmsolver++", 2, "midpoint", "zero")
        found = tuple(get(n) for n in ("algorithm_type", "solver_order", "solver_type",
                                       "final_sigmas_type"))  # fmt: skip
        other = get("thresholding") or get("euler_at_final") or not get("lower_order_final")
        return "dpm++2m" if found == second and not other else None
    return None
