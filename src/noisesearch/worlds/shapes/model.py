"""The shapes world's generator as a model of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...candidates.condition import Condition
from ...candidates.space import Space
from ...candidates.trajectory import Grid
from ...errors import ConfigError
from ...files.fingerprint import of_file
from ...names.drafts import usual
from . import prompts

if TYPE_CHECKING:
    from torch import Tensor

    from .sampling import ShapesDenoiser

WEIGHTS = Path(__file__).parent / "weights"
REAL_SEED = 2**31  # of the real pictures; training and benchmark have smaller ones
ROLES = ("clipscore", "imagereward", "aesthetic", "self-supervised", "checker")


@dataclass(frozen=True)
class ShapesModel:
    """One size of the generator, with the steps and guidance chosen for it (training/README)."""

    name: str
    summary: str
    steps: int
    guidance: float
    solver: str = "euler"
    size: tuple[int, int] = (32, 32)
    ensemble: tuple[str, ...] = ("clipscore", "aesthetic", "imagereward")
    drafter: str = ""  # the model that was distilled from this one
    teacher: str = ""  # the model that this one was distilled from, and adds to

    @property
    def verifiers(self) -> Mapping[str, str]:
        module = f"{__package__}.verifiers"
        return {name: f"{module}:{name.replace('-', '_')}" for name in ROLES}

    @property
    def drafts(self) -> Mapping[str, str]:
        own = f"model:{self.drafter}"
        fast = {"fast": own, "fast2": f"steps:2+{own}"} if self.drafter else {}
        return {**fast, **usual(self.steps, cached=True)}

    @property
    def fingerprint(self) -> str:
        """Of all files that the weights are made of."""
        names = filter(None, (self.name, self.teacher))
        return "+".join(of_file(WEIGHTS / f"{name}.safetensors") for name in names)

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        for prompt in (text, negative):
            if prompt is not None:
                prompts.parse(prompt)
                prompts.tokenize(prompt)
        return Condition(text=text, negative=negative)

    def words(self) -> tuple[str, ...]:
        return tuple(w for w in prompts.VOCABULARY if not w.startswith("<"))

    def examples(self, count: int) -> list[str]:
        """Every n-th of the benchmark's prompts, so that each category keeps its share."""
        from .benchmark import load

        prompts = [each.prompt for each in load()]
        return prompts[:: max(1, len(prompts) // count)][:count]

    def real(self, conditions: Sequence[Condition], count: int) -> Tensor:
        """Rendered pictures [N, 3, 32, 32] in [0, 1] of the conditions in turn."""
        import numpy as np
        import torch

        from .render import render
        from .scene import sample_scene, sample_spec

        rng = np.random.default_rng(REAL_SEED)
        texts = [conditions[i % len(conditions)].text for i in range(count)]
        specs = (sample_spec(rng) if text is None else prompts.parse(text) for text in texts)
        painted = np.stack([render(sample_scene(rng, spec)) for spec in specs])
        return torch.from_numpy(painted).permute(0, 3, 1, 2).float() / 255

    def space(self) -> Space:
        return Space((3, 32, 32), Grid.uniform, differentiable=True)

    def build(self, guidance: float, device: str, dtype: str) -> ShapesDenoiser:
        if dtype not in ("float32", "bfloat16"):
            raise ConfigError(f"dtype is {dtype!r}, but must be float32 or bfloat16")
        from .sampling import ShapesDenoiser

        return ShapesDenoiser(self.name, guidance, device, dtype)


def shapes() -> ShapesModel:
    summary = "text to image at 32×32, the default size"
    return ShapesModel("shapes", summary, 12, 1.0, drafter="shapes-fast")


def shapes_fast() -> ShapesModel:
    summary = "distilled from shapes: one step or two, on the same noises"
    return ShapesModel("shapes-fast", summary, 1, 1.0, teacher="shapes")


def shapes_small() -> ShapesModel:
    return ShapesModel(
        "shapes-small", "half the layers: quicker and weaker, to compare sizes", 12, 2.0
    )
