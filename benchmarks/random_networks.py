"""FLUX.1-dev's and SiT-XL/2's transformers with random weights, as models of the library.

Nothing is downloaded. What surrounds a transformer is as small as it can be: text encodings are
random numbers of the right shape, a picture is its latent enlarged, so that what is measured is
the transformer and the engine around it. Sizes are published ones at the scale ``full``; ``small``
and ``tiny`` are copies with fewer, narrower blocks, on smaller pictures, in fewer steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import diffusers
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisesearch.candidates.condition import Condition
from noisesearch.candidates.keys import seed_of
from noisesearch.candidates.space import Space
from noisesearch.candidates.trajectory import Grid
from noisesearch.models.diffusers.denoiser import DiffusersDenoiser
from noisesearch.models.diffusers.families import FAMILIES
from noisesearch.models.diffusers.flux import FluxBackbone
from noisesearch.models.sit.config import SiTConfig, sized
from noisesearch.models.sit.denoiser import SiTDenoiser
from noisesearch.models.sit.network import SiT

FACTOR = 8  # pixels to a latent's place, of both autoencoders
# Published beside the weights, in transformer/config.json and scheduler/scheduler_config.json.
FLUX = {"patch_size": 1, "in_channels": 64, "num_layers": 19, "num_single_layers": 38,
        "attention_head_dim": 128, "num_attention_heads": 24, "joint_attention_dim": 4096,
        "pooled_projection_dim": 768, "guidance_embeds": True,
        "axes_dims_rope": (16, 56, 56)}  # fmt: skip
FLUX_SCHEDULER = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15,
                  "base_image_seq_len": 256, "max_image_seq_len": 4096}  # fmt: skip
GUIDANCE = 3.5
ROOM = 0.8  # of the free memory that weights may take


@dataclass(frozen=True)
class Scale:
    """``flux`` changes the published configuration; ``side`` is that of FLUX's latents, ``words``
    the length of its text; ``steps`` are FLUX's by Euler and SiT's by Heun."""

    flux: Mapping[str, Any]
    side: int
    words: int
    sit: SiTConfig
    steps: tuple[int, int]


def narrow(heads: int, blocks: tuple[int, int], **text: int) -> dict[str, Any]:
    """A FLUX of a few heads of 64."""
    return {"num_layers": blocks[0], "num_single_layers": blocks[1], "num_attention_heads": heads,
            "attention_head_dim": 64, "axes_dims_rope": (8, 28, 28), **text}  # fmt: skip


SCALES = {
    "full": Scale({}, 128, 512, sized("SiT-XL/2"), (30, 25)),
    "small": Scale(
        narrow(4, (3, 6), joint_attention_dim=512, pooled_projection_dim=96), 16, 32,
        SiTConfig(input_size=16, hidden_size=256, depth=8, num_heads=4), (10, 5),
    ),
    "tiny": Scale(
        narrow(1, (1, 1), joint_attention_dim=32, pooled_projection_dim=16), 4, 4,
        SiTConfig(input_size=4, hidden_size=32, depth=1, num_heads=2), (2, 1),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class RandomModel:
    """A model of the library whose network is in memory already and has learned nothing.

    ``bare(rows)`` prepares a batch and gives what calls the network on it, and nothing else.
    ``scaled`` says what is smaller than published; empty where nothing is.
    """

    name: str
    denoiser: Any
    times: Callable[[Grid], Sequence[Any]]
    steps: int
    guidance: float
    solver: str
    placed: tuple[str, str]
    scaled: str
    bare: Callable[[int], Callable[[], Tensor]] = field(repr=False)
    summary: str = "random weights, for benchmarks"
    ensemble: tuple[str, ...] = ()
    verifiers: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = "random"

    @property
    def size(self) -> tuple[int, int]:
        _, height, width = self.denoiser.shape
        return FACTOR * width, FACTOR * height

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        """A text, and a class for networks that know classes."""
        return Condition(text=text, label=None if text is None else seed_of("class", text) % 10)

    def words(self) -> tuple[str, ...]:
        return ()

    def examples(self, count: int) -> list[str]:
        return [f"prompt {i}" for i in range(count)]

    def space(self) -> Space:
        return Space(self.denoiser.shape, self.times)

    def build(self, guidance: float, device: str, dtype: str) -> Any:
        return self.denoiser


@contextmanager
def made_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """What is made inside is made there and in that precision, without a larger copy first."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def pictures(latents: Tensor) -> Tensor:
    """Images [B, 3, H, W] in [0, 1]: three channels of latents [B, C, h, w], enlarged."""
    return F.interpolate(latents[:, :3].float(), scale_factor=FACTOR, mode="bilinear").sigmoid()


class WordlessFlux(FluxBackbone):
    """FLUX without text encoders and autoencoder."""

    def __init__(self, network: Any, size: tuple[int, int], words: int) -> None:
        super().__init__(
            SimpleNamespace(
                transformer=network, vae=torch.nn.Identity(), vae_scale_factor=FACTOR,
                components={},
            ),
            size, GUIDANCE,
        )  # fmt: skip
        self._words = words

    def encode(self, texts: Sequence[str | None], negative: bool) -> dict[str, Tensor]:
        config, found = self.network.config, []
        for text in texts:
            draw = torch.Generator().manual_seed(seed_of("text", text or "") % 2**63)
            found.append((
                torch.randn(self._words, config.joint_attention_dim, generator=draw),
                torch.randn(config.pooled_projection_dim, generator=draw),
            ))  # fmt: skip
        words, pooled = (
            torch.stack(each).to(self.network.device, self.network.dtype)
            for each in zip(*found, strict=True)
        )
        return {"words": words, "pooled": pooled}

    def pictures(self, x0: Tensor) -> Tensor:
        return 2 * pictures(x0) - 1


def flux(scale: str, device: str, dtype: torch.dtype) -> RandomModel:
    """FLUX.1-dev; with fewer blocks where the weights of all would not fit onto the device."""
    of = SCALES[scale]
    config, cut = fitting({**FLUX, **of.flux}, device, dtype)
    with made_on(device, dtype):
        network = diffusers.FluxTransformer2DModel(**config).eval().requires_grad_(False)
    side = of.side * FACTOR
    backbone = WordlessFlux(network, (side, side), of.words)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(**FLUX_SCHEDULER)
    schedule = FAMILIES["FluxPipeline"].schedule(scheduler, (of.side // 2) ** 2)
    shape = (config["in_channels"] // 4, of.side, of.side)
    denoiser = DiffusersDenoiser(backbone, schedule, shape, 1.0)

    def bare(rows: int) -> Callable[[], Tensor]:
        encoded = backbone.encode([""] * rows, False)
        x = torch.randn(rows, *shape, device=device, dtype=dtype)
        inputs = backbone.inputs(x, torch.full((rows,), 500.0, device=device), encoded)
        return lambda: network(**inputs, return_dict=False)[0]

    width = config["num_attention_heads"] * config["attention_head_dim"]
    blocks = f"{config['num_layers']} + {config['num_single_layers']} blocks of width {width}"
    said = f"{blocks}, {side}x{side}, {of.words} words, {of.steps[0]} steps"
    return RandomModel(
        "FLUX.1-dev", denoiser, schedule.times, of.steps[0], GUIDANCE, "euler",
        (device, named(dtype)), said if cut or of.flux else "", bare,
    )  # fmt: skip


def fitting(
    config: Mapping[str, Any], device: str, dtype: torch.dtype
) -> tuple[dict[str, Any], bool]:
    """The configuration with as many blocks as the device has room for, and if any were cut."""
    if not device.startswith("cuda"):
        return dict(config), False
    with torch.device("meta"):
        empty = diffusers.FluxTransformer2DModel(**config)
    needed = sum(weight.numel() for weight in empty.parameters()) * dtype.itemsize
    share = min(1.0, ROOM * torch.cuda.mem_get_info(device)[0] / needed)
    blocks = {n: max(1, int(config[n] * share)) for n in ("num_layers", "num_single_layers")}
    return {**config, **blocks}, share < 1


def sit(scale: str, device: str, dtype: torch.dtype) -> RandomModel:
    """SiT-XL/2 without guidance, as in arXiv 2501.09732, Section 3.1."""
    of = SCALES[scale]
    config = of.sit
    with made_on(device, dtype):
        network = SiT(config).to(dtype).eval().requires_grad_(False)
        for weight in network.parameters():
            # Zeros, with which training begins, take less power and so less time than numbers.
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)
    denoiser = SiTDenoiser(network, 1.0, pictures, device)

    def bare(rows: int) -> Callable[[], Tensor]:
        x = torch.randn(rows, *config.shape, device=device, dtype=dtype)
        clock = torch.full((rows,), 0.5, device=device)
        labels = torch.zeros(rows, dtype=torch.long, device=device)
        return lambda: network(x, clock, labels)

    side = config.input_size * FACTOR
    return RandomModel(
        "SiT-XL/2", denoiser, Grid.uniform, of.steps[1], 1.0, "heun", (device, named(dtype)),
        "" if config == SCALES["full"].sit else f"{config}, {side}x{side}, {of.steps[1]} steps",
        bare,
    )  # fmt: skip


def named(dtype: torch.dtype) -> str:
    """As settings have it."""
    return str(dtype).removeprefix("torch.")
