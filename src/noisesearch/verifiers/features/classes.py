"""Verifiers of classes: of all that a classifier says, the number of the class asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...candidates.condition import Condition
from ...errors import ConfigError


def of_class(scores: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """[B] of scores [B, classes]; NaN where no class was asked for."""
    labels = torch.tensor(
        [-1 if c.label is None else c.label for c in conditions], device=scores.device
    )
    chosen = scores.gather(1, labels.clamp_min(0)[:, None])[:, 0]
    return chosen.masked_fill(labels < 0, float("nan"))


def check_classes(name: str, classes: int, conditions: Sequence[Condition]) -> None:
    """ConfigError where one of the conditions is no class of the classifier's."""
    for condition in conditions:
        if condition.label is None or condition.label >= classes:
            raise ConfigError(
                f"verifier {name!r} scores how well an image shows a class, from class:0 to "
                f"class:{classes - 1}, and {str(condition)!r} is none; use a model of classes "
                "such as SiT, or a verifier of texts such as clipscore"
            )
