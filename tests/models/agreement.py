"""Our loop and a pipeline's own on the same noise, to be compared."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from noisesearch.ask import Ask
from noisesearch.denoiser import Encoded
from noisesearch.models.diffusers_denoiser import DiffusersDenoiser
from noisesearch.models.diffusers_model import DiffusersModel
from noisesearch.noise import Materialiser, gaussian
from noisesearch.solvers import Pair, solver
from noisesearch.testing.mixture_model import brightness
from noisesearch.trajectory import Condition, Trajectory
from noisesearch.worker.engine import Worker

LARGEST = 1e-4  # in float32; what the summation order leaves is a hundred times smaller


class Watched:
    """A denoiser that keeps the clean samples that it decodes, and their images."""

    def __init__(self, denoiser: DiffusersDenoiser) -> None:
        self.denoiser = denoiser
        self.latents = self.images = torch.empty(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.denoiser, name)

    def __call__(self, x: Tensor, t: Tensor, encoded: Encoded) -> Pair:
        return self.denoiser(x, t, encoded)

    def decode(self, x0: Tensor) -> Tensor:
        self.latents, self.images = x0, self.denoiser.decode(x0)
        return self.images


@dataclass(frozen=True)
class Samples:
    """Start noises and clean samples as ``latents=`` has them, and images [N, 3, H, W]."""

    noise: Tensor
    latents: Tensor
    images: Tensor


def sampled(
    model: DiffusersModel,
    conditions: Sequence[Condition],
    steps: int,
    guidance: float,
    by: str,
    rows: int = 4,
) -> Samples:
    """One sample of each condition by the worker's loop."""
    denoiser = Watched(model.build(guidance, "cpu", "float32"))
    space = model.space()
    noises = Materialiser(space.shape)
    worker = Worker(denoiser, solver(by), [brightness()], noises, space.times, rows=rows)
    seeds = range(11, 11 + len(conditions))
    asked = [Trajectory.begin(c, gaussian(s), steps).denoise()
             for c, s in zip(conditions, seeds, strict=True)]  # fmt: skip
    for trajectory in asked:
        worker.submit(Ask((trajectory,)))
    found: dict[str, tuple[Tensor, Tensor]] = {}
    while len(found) < len(asked):
        for i, (ask, _) in enumerate(worker.wait()):
            found[ask.trajectory.key] = denoiser.latents[i], denoiser.images[i]
    latents, images = (torch.stack([found[t.key][k] for t in asked]) for k in (0, 1))
    noise = torch.stack([torch.tensor(noises(gaussian(seed))) for seed in seeds])
    return Samples(denoiser.native(noise), denoiser.native(latents), images)


def assert_agree(
    pipeline: Any,
    model: DiffusersModel,
    conditions: Sequence[Condition],
    steps: int,
    guidance: float,
    by: str,
    **settings: Any,
) -> None:
    """Latents and images equal those of ``pipeline(**settings)`` for the same start."""
    # In batches of one size: a matrix product of another size is rounded otherwise.
    ours = sampled(model, conditions, steps, guidance, by, rows=len(conditions))
    width, height = model.size
    common = {"prompt": [c.text for c in conditions], "width": width, "height": height,
              "num_inference_steps": steps, **settings}  # fmt: skip
    seen: list[Tensor] = []

    def keep(_: Any, step: int, time: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        seen.append(tensors["latents"].clone())
        return tensors

    def keep_plain(step: int, time: Any, latents: Tensor) -> None:
        seen.append(latents.clone())

    if "callback_on_step_end" in inspect.signature(pipeline.__call__).parameters:
        common["callback_on_step_end"] = keep
    else:  # PixArt's, an older form
        common["callback"] = keep_plain
    images = pipeline(**common, latents=ours.noise.clone(), output_type="pt").images
    latents = seen[-1]
    assert latents.shape == ours.latents.shape and images.shape == ours.images.shape
    worst = [
        (a - b).abs().max().item() for a, b in ((latents, ours.latents), (images, ours.images))
    ]
    assert max(worst) < LARGEST, f"latents and images differ by {worst}"
