"""The families of diffusers pipelines that run in our own loop: sizes, defaults, schedules."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from .prompt_length import CLIP
from .source import PipelineSource, package

if TYPE_CHECKING:
    from ..schedules import Schedule

PREFERRED = ("clipscore", "aesthetic", "pickscore")  # SDXL's and Diffusion-DPO's (Table 3)
ENSEMBLE = ("clipscore", "aesthetic", "imagereward")  # of the text-to-image models (Table 3)
FLOW = "FlowMatchEulerDiscreteScheduler"
BETAS = "DDIMScheduler"
# What a scheduler says of the network, and our word for it.
PREDICTED = {"epsilon": "epsilon", "v_prediction": "v_prediction", "flow_prediction": "flow"}


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


@dataclass(frozen=True, kw_only=True)
class Family(ABC):
    """One pipeline class.

    ``needs``: its components, the network first. ``backbone``: ``module:Class`` in this package.
    ``usual``: the scheduler whose times are taken where the pipeline's own is none of ours.
    ``least``: what width and height must be multiples of whatever the autoencoder, by the
    pipeline's own demand. ``levels``: the autoencoder's setting with an entry a level.
    ``ensemble``: the verifiers that `ensemble` stands for. ``draws_as``: the components in whose
    precision the pipeline draws its noise; none: float32.
    """

    kind: str
    summary: str
    needs: tuple[str, ...]
    backbone: str
    usual: str
    least: int = 1
    levels: str = "block_out_channels"
    ensemble: tuple[str, ...] = ENSEMBLE
    draws_as: tuple[str, ...] = ()

    @abstractmethod
    def defaults(self, source: PipelineSource) -> tuple[int, float]:
        """Steps and guidance, where nobody says otherwise."""

    def distilled(self, source: PipelineSource) -> bool:
        """Guidance is a number that the network reads, not two forwards."""
        return False

    def factor(self, source: PipelineSource) -> int:
        """Pixels to a latent's place: every level of the autoencoder but one halves."""
        return int(2 ** (len(source.config("vae")[self.levels]) - 1))

    def layout(self, source: PipelineSource) -> Layout:
        """As the network's configuration has it; its patches are whole."""
        config, factor = source.config(self.needs[0]), self.factor(source)
        # One number, or height and width.
        sides = config["sample_size"]
        high, wide = (sides, sides) if isinstance(sides, int) else sides
        unit = max(self.least, factor * config.get("patch_size", 1))
        return Layout(config["in_channels"], factor, unit, (wide * factor, high * factor))

    @abstractmethod
    def reader(self, source: PipelineSource) -> tuple[str, int]:
        """The tokenizer that takes the longest prompts, and how many tokens it takes."""

    @abstractmethod
    def schedule(self, scheduler: Any, tokens: int) -> Schedule:
        """The scheduler's, set as the pipeline sets it; ``tokens``: units in the picture."""

    def arguments(self, guidance: float, scale: float) -> dict[str, Any]:
        """What the pipeline's own call is told for a guidance; ``scale``: of two forwards."""
        return {"guidance_scale": guidance}


def shift(scheduler: Any, tokens: int, most: float) -> float:
    """μ of the shift towards noise that larger pictures need: linear in the number of tokens
    (arXiv 2403.03206, Section 5.3.2, as FLUX and SD3.5 use it)."""
    get = scheduler.config.get
    low, high = get("base_image_seq_len", 256), get("max_image_seq_len", 4096)
    base, top = get("base_shift", 0.5), get("max_shift", most)
    return float(base + (top - base) * (tokens - low) / (high - low))


def longest(kind: str) -> int:
    """Tokens that a pipeline's own encoding of prompts keeps."""
    encode = getattr(package(), kind).encode_prompt
    return int(inspect.signature(encode).parameters["max_sequence_length"].default)


def predicted(scheduler: Any) -> str:
    """What the network gives, a key of PREDICTIONS; ConfigError for what we do not take."""
    said = scheduler.config.get("prediction_type")
    if said is None:
        raise ConfigError(
            f"the pipeline's {type(scheduler).__name__} does not say what the network gives "
            "(prediction_type); put a scheduler that it was trained for into the pipeline"
        )
    if said not in PREDICTED:
        raise ConfigError(
            f"the pipeline's {type(scheduler).__name__} says prediction_type={said!r}, which is "
            f"not supported; supported are {', '.join(PREDICTED)}"
        )
    return PREDICTED[said]


def of_betas(scheduler: Any) -> Schedule:
    """The schedule of a network that may have been trained on betas; ConfigError where the times
    and what the network gives do not go together."""
    from ...sampling.process import VariancePreserving
    from ..schedules import schedule

    given, found = predicted(scheduler), schedule(scheduler)
    if (found.process.name == "linear") != (given == "flow"):
        raise ConfigError(
            f"the pipeline's {type(scheduler).__name__} has the times of a "
            f"{found.process.name} process and a network that gives {given}; put a scheduler "
            "into the pipeline that the network was trained for"
        )
    table = found.process
    if given == "epsilon" and isinstance(table, VariancePreserving) and table.kept[-1] == 0:
        raise ConfigError(
            "the pipeline's scheduler begins without any signal (rescale_betas_zero_snr), of "
            "which a network that gives epsilon can say nothing; turn that off in the scheduler"
        )
    return found


def even(steps: int) -> list[float]:
    """σ from 1 to 1/n in equal steps, before any shift."""
    return [1.0 - k / steps for k in range(steps)]


@dataclass(frozen=True, kw_only=True)
class Flux(Family):
    """FLUX.1: dev reads its guidance as a number, schnell is made for four steps without any."""

    kind: str = "FluxPipeline"
    summary: str = "text to image, a flow"
    needs: tuple[str, ...] = ("transformer", "vae", "scheduler", "text_encoder", "text_encoder_2")
    backbone: str = "flux:FluxBackbone"
    usual: str = FLOW
    draws_as: tuple[str, ...] = ("text_encoder_2",)

    def defaults(self, source: PipelineSource) -> tuple[int, float]:
        return (30, 3.5) if self.distilled(source) else (4, 1.0)

    def distilled(self, source: PipelineSource) -> bool:
        return bool(source.config("transformer").get("guidance_embeds", False))

    def layout(self, source: PipelineSource) -> Layout:
        factor = self.factor(source)
        side = 128 * factor  # latents of 128 places, whatever the autoencoder
        # A token is two places wide and high.
        channels = source.config("transformer")["in_channels"] // 4
        return Layout(channels, factor, 2 * factor, (side, side))

    def reader(self, source: PipelineSource) -> tuple[str, int]:
        return "tokenizer_2", longest(self.kind)

    def schedule(self, scheduler: Any, tokens: int) -> Schedule:
        from ..schedules import schedule

        own = scheduler.config.get("use_flow_sigmas", False)  # then its sigmas are not asked for
        return schedule(scheduler, None if own else even, shift(scheduler, tokens, 1.15))

    def arguments(self, guidance: float, scale: float) -> dict[str, Any]:
        # Without a negative prompt the pipeline would take one forward.
        led = {"true_cfg_scale": scale, "negative_prompt": ""} if scale > 1 else {}
        return {"guidance_scale": guidance, **led}


@dataclass(frozen=True, kw_only=True)
class StableDiffusion3(Family):
    """Stable Diffusion 3 and 3.5; the third text encoder may be left out."""

    kind: str = "StableDiffusion3Pipeline"
    summary: str = "text to image, a flow"
    needs: tuple[str, ...] = ("transformer", "vae", "scheduler", "text_encoder", "text_encoder_2")
    backbone: str = "sd3:StableDiffusion3Backbone"
    usual: str = FLOW
    draws_as: tuple[str, ...] = ("text_encoder", "text_encoder_3")

    def defaults(self, source: PipelineSource) -> tuple[int, float]:
        return 28, 7.0

    def reader(self, source: PipelineSource) -> tuple[str, int]:
        third = source.tokenizer("tokenizer_3")
        return ("tokenizer", CLIP) if third is None else ("tokenizer_3", longest(self.kind))

    def schedule(self, scheduler: Any, tokens: int) -> Schedule:
        from ..schedules import schedule

        moved = scheduler.config.get("use_dynamic_shifting", False)
        return schedule(scheduler, mu=shift(scheduler, tokens, 1.16) if moved else None)


@dataclass(frozen=True, kw_only=True)
class Sana(Family):
    """Sana; the size is taken as it is, without the pipeline's bins of sizes."""

    kind: str = "SanaPipeline"
    summary: str = "text to image, a flow on coarse latents"
    needs: tuple[str, ...] = ("transformer", "vae", "scheduler", "text_encoder")
    backbone: str = "sana:SanaBackbone"
    usual: str = FLOW
    least: int = 32
    levels: str = "encoder_block_out_channels"

    def defaults(self, source: PipelineSource) -> tuple[int, float]:
        return 20, 4.5

    def reader(self, source: PipelineSource) -> tuple[str, int]:
        return "tokenizer", longest(self.kind) - 2  # the instruction before it takes two

    def schedule(self, scheduler: Any, tokens: int) -> Schedule:
        from ..schedules import schedule

        return schedule(scheduler)

    def arguments(self, guidance: float, scale: float) -> dict[str, Any]:
        return {"guidance_scale": guidance, "use_resolution_binning": False}


@dataclass(frozen=True, kw_only=True)
class TrainedOnBetas(Family):
    """What the families with a table of betas have in common."""

    summary: str = "text to image, trained on betas"
    usual: str = BETAS
    least: int = 8
    draws_as: tuple[str, ...] = ("text_encoder",)

    def schedule(self, scheduler: Any, tokens: int) -> Schedule:
        return of_betas(scheduler)


@dataclass(frozen=True, kw_only=True)
class StableDiffusion(TrainedOnBetas):
    """Stable Diffusion 1.x and 2.x. The safety checker is not run: a loop scores what it makes."""

    kind: str = "StableDiffusionPipeline"
    needs: tuple[str, ...] = ("unet", "vae", "scheduler", "text_encoder")
    backbone: str = "sd:StableDiffusionBackbone"

    def defaults(self, source: PipelineSource) -> tuple[int, float]:
        return 50, 7.5

    def distilled(self, source: PipelineSource) -> bool:
        return source.config("unet").get("time_cond_proj_dim") is not None

    def reader(self, source: PipelineSource) -> tuple[str, int]:
        return "tokenizer", CLIP


@dataclass(frozen=True, kw_only=True)
class StableDiffusionXL(StableDiffusion):
    """SDXL, with whatever UNet is in its place."""

    kind: str = "StableDiffusionXLPipeline"
    needs: tuple[str, ...] = ("unet", "vae", "scheduler", "text_encoder", "text_encoder_2")
    backbone: str = "sdxl:StableDiffusionXLBackbone"
    ensemble: tuple[str, ...] = PREFERRED
    draws_as: tuple[str, ...] = ("text_encoder_2",)

    def defaults(self, source: PipelineSource) -> tuple[int, float]:
        return 40, 5.0


@dataclass(frozen=True, kw_only=True)
class PixArtSigma(TrainedOnBetas):
    """PixArt-Sigma; the size is taken as it is, without the pipeline's bins of sizes."""

    kind: str = "PixArtSigmaPipeline"
    needs: tuple[str, ...] = ("transformer", "vae", "scheduler", "text_encoder")
    backbone: str = "pixart:PixArtBackbone"

    def defaults(self, source: PipelineSource) -> tuple[int, float]:
        return 30, 4.5

    def reader(self, source: PipelineSource) -> tuple[str, int]:
        return "tokenizer", longest(self.kind)

    def arguments(self, guidance: float, scale: float) -> dict[str, Any]:
        return {"guidance_scale": guidance, "use_resolution_binning": False}


FAMILIES: dict[str, Family] = {
    f.kind: f
    for f in (Flux(), StableDiffusion3(), Sana(), StableDiffusion(), StableDiffusionXL(),
              PixArtSigma())
}  # fmt: skip
