"""Our loop and a pipeline's own on the same noise, to be compared."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from noisesearch.candidates.ask import Ask
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.models.diffusers.denoiser import DiffusersDenoiser
from noisesearch.models.diffusers.model import DiffusersModel
from noisesearch.models.pipelines import from_object
from noisesearch.sampling.denoiser import Encoded
from noisesearch.sampling.solvers import Pair, solver
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness
from noisesearch.worker.engine import Worker

PROMPTS = ("a red circle", "a busy city street at night", "an old man reading")
AWAY = ("blurry", "low quality, deformed", "")
PLAIN = [Condition(text=text) for text in PROMPTS]
LED = [Condition(text=text, negative=away) for text, away in zip(PROMPTS, AWAY, strict=True)]
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
        worker.submit(Ask(trajectory))
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


def assert_rows_agree_alone(model: DiffusersModel, of_epsilon: bool = False) -> None:
    """Rows of one batch at different times are as those of batches of one."""
    denoiser = model.build(3.0, "cpu", "float32")
    x = torch.randn(3, *denoiser.shape, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([1.0, 0.37, 0.0], dtype=torch.float64)
    with torch.inference_mode():
        encoded = denoiser.encode(LED)
        together = denoiser(x, t, encoded)
        for i in range(len(x)):
            row = {key: value[i : i + 1] for key, value in encoded.items()}
            alone = denoiser(x[i : i + 1], t[i : i + 1], row)
            # x0 is what is left of x without ε, over α: its rounding too.
            alpha = denoiser.process.alpha(t[i : i + 1]).item() if of_epsilon else 1.0
            for whole, one, room in zip(together, alone, (1e-5 / alpha, 1e-5), strict=True):
                assert whole[i].isfinite().all()
                assert (whole[i] - one[0]).abs().max() < room


def assert_everything_matters(name: str) -> None:
    """A wrong prompt, guidance or time is far above the tolerance: agreement is no accident."""
    model = from_object(tiny_pipeline(name))

    def pair(text: str, guidance: float, t: float) -> torch.Tensor:
        denoiser = model.build(guidance, "cpu", "float32")
        x = torch.randn(1, *denoiser.shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            encoded = denoiser.encode([Condition(text=text)])
            return denoiser(x, torch.tensor([t], dtype=torch.float64), encoded)[0]

    right = pair(PROMPTS[0], 3.0, 0.5)
    wrong = [pair(PROMPTS[1], 3.0, 0.5), pair(PROMPTS[0], 3.5, 0.5), pair(PROMPTS[0], 3.0, 0.51)]
    assert min((right - other).abs().max() for other in wrong) > 1e-3
