"""Measure the world fashion: how right its networks and its unsearched samples are.

    python training/fashion_measure.py --samples 1000

Prints JSON: the accuracy of each network on the real test set; for each generator the share of
unsearched samples, at the model's own steps, with its guidance and without, whose class each
network finds; and the scores' standard deviations within a class, averaged over the classes, which
are the SCALES of ``worlds/fashion/verifiers.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fashion_verifiers import accuracy
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.trajectory import Grid
from noisesearch.models.sit.model import SiTModel
from noisesearch.sampling.solvers import solver
from noisesearch.verifiers.protocol import Views
from noisesearch.worker.gradient import Flow
from noisesearch.worlds.fashion import model as models
from noisesearch.worlds.fashion import networks, verifiers
from noisesearch.worlds.fashion.data import CLASSES

GENERATORS = (models.fashion, models.fashion_medium, models.fashion_small)
JUDGES = (verifiers.oracle_is, verifiers.dino_linear, verifiers.clip_zeroshot, verifiers.checker,
          verifiers.oracle_fid)  # fmt: skip
ROWS = 100


@torch.no_grad()
def samples(model: SiTModel, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images [N, 3, 28, 28] in [0, 1] and class numbers [N], the classes in turn."""
    denoiser = model.build(model.guidance, "cpu", "float32")
    times = torch.tensor(model.space().times(Grid(model.steps)), dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    images, labels = [], torch.arange(count) % len(CLASSES)
    for some in labels.split(ROWS):
        encoded = denoiser.encode([Condition(label=int(label)) for label in some])
        flow = Flow(denoiser, solver(model.solver), times, encoded, lambda level: None)
        noise = torch.randn(len(some), *denoiser.shape, generator=generator)
        images.append(denoiser.decode(flow.states(noise)[-1][0]))
    # As a file holds them, which is what verifiers see.
    return (torch.cat(images) * 255).round() / 255, labels


@torch.no_grad()
def right(images: Tensor, labels: Tensor) -> dict[str, float]:
    """The share of the samples whose class each network finds."""
    grey = images.mean(1, keepdim=True)
    found = {kind: networks.load(kind).logits(grey).argmax(1) for kind in networks.KINDS}
    return {kind: round(float((at == labels).float().mean()), 4) for kind, at in found.items()}


@torch.no_grad()
def scales(images: Tensor, labels: Tensor) -> dict[str, float]:
    """Of each verifier, the standard deviation within a class, averaged over the classes."""
    views = Views(images, [Condition(label=int(label)) for label in labels])
    result = {}
    for make in JUDGES:
        judge = make()
        scores: Mapping[str, Tensor] = judge(views)
        by_class = [scores[judge.name][labels == label] for label in range(len(CLASSES))]
        result[judge.name] = round(float(torch.stack([s.std() for s in by_class]).mean()), 3)
    return result


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "networks": {kind: round(accuracy(networks.load(kind)), 4) for kind in networks.KINDS}
    }
    for make in GENERATORS:
        model = make()
        for guidance in (model.guidance, 1.0):
            of = replace(model, guidance=guidance)
            images, labels = samples(of, arguments.samples, arguments.seed)
            name = f"{model.name}, guidance {guidance:g}"
            result[name] = {"samples": arguments.samples, "right": right(images, labels)}
            if make is GENERATORS[0] and guidance == model.guidance:
                result["scales"] = scales(images, labels)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
