"""Measure the self-supervised verifiers of the worlds inside.

    python training/self_supervised.py --samples 32

Prints JSON: for each world's default generator at its own steps and guidance, without search, each
score's mean, its standard deviation within a condition, averaged over conditions (the ``SETTLED``
of the world's ``verifiers.py``), and within conditions its rank correlation with the world's
other verifiers (arXiv 2501.09732, Figures 5 and 15).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import normals
from noisesearch.candidates.trajectory import Grid
from noisesearch.models import choice
from noisesearch.models.protocol import Model
from noisesearch.sampling.images import quantise
from noisesearch.sampling.solvers import solver
from noisesearch.setup import selection
from noisesearch.verifiers.features.self_supervised import TIME
from noisesearch.verifiers.protocol import Views
from noisesearch.worker.gradient import Flow

WORLDS = {
    "fashion": ("self-supervised", "self-supervised(network=clip)", "oracle-is", "dino-linear",
                "clip-zeroshot"),
    "shapes": ("self-supervised", "clipscore", "imagereward", "aesthetic"),
}  # fmt: skip
CONDITIONS = 20


@torch.no_grad()
def sampled(model: Model, condition: Condition, count: int, seed: int) -> Views:
    """Samples of a condition, with their previews at the level nearest to the time."""
    denoiser = model.build(model.guidance, "cpu", "float32")
    times = torch.tensor(model.space().times(Grid(model.steps)), dtype=torch.float64)
    encoded = denoiser.encode([condition] * count)
    flow = Flow(denoiser, solver(model.solver), times, encoded, lambda level: None)
    states = flow.states(torch.from_numpy(normals(seed, (count, *denoiser.shape))))
    level = int((times - TIME).abs().argmin())
    preview, _ = denoiser(states[level][0], times[level].expand(count), encoded)
    images, previews = (quantise(denoiser.decode(x)) for x in (states[-1][0], preview))
    return Views(images, [condition] * count, {TIME: previews})


def measured(name: str, samples: int) -> dict[str, object]:
    """The figures of a world."""
    model = choice.model_of(name)
    judges = [selection.verifier_of(role, model) for role in WORLDS[name]]
    scores: dict[str, list[np.ndarray]] = {judge.name: [] for judge in judges}
    for seed, text in enumerate(model.examples(CONDITIONS)):
        views = sampled(model, model.condition(text), samples, seed)
        with torch.no_grad():
            for judge in judges:
                found: Mapping[str, Tensor] = judge(views)
                scores[judge.name].append(found[judge.name].double().numpy())
    ours = [judge.name for judge in judges if judge.name.startswith("self-supervised")]
    others = [judge.name for judge in judges if judge.name not in ours]
    return {
        one: {
            "mean": round(float(np.mean(scores[one])), 4),
            "deviation": round(float(np.mean([s.std() for s in scores[one]])), 4),
            "correlation": {
                other: round(float(np.mean([
                    spearmanr(a, b).statistic
                    for a, b in zip(scores[one], scores[other], strict=True)
                ])), 3)
                for other in others
            },
        }
        for one in ours
    }  # fmt: skip


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=32)
    arguments = parser.parse_args()
    print(json.dumps({name: measured(name, arguments.samples) for name in WORLDS}, indent=2))


if __name__ == "__main__":
    main()
