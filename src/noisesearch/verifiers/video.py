"""Verifiers of images on videos: a few frames, evenly spaced, each seen alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .protocol import Verifier, Views, features_of

FRAMES = 8  # of a video that a verifier of images looks at


def scores(verifier: Verifier, views: Views) -> Mapping[str, Any]:
    """What a verifier says of images, or of videos as the mean over frames; NaN in one is NaN."""
    if _seen_whole(verifier, views):
        return verifier(views)
    of = [verifier(frame) for frame in _frames(views)]
    return {
        part: torch.stack([_tensor(one[part]) for one in of]).mean(0) for part in verifier.parts
    }


def features(verifier: Verifier, views: Views) -> Tensor:
    """Features [B, d] of images, or of videos as the mean over frames."""
    see = features_of(verifier)
    if _seen_whole(verifier, views):
        return see(views)
    return torch.stack([see(frame) for frame in _frames(views)]).mean(0)


def _seen_whole(verifier: Verifier, views: Views) -> bool:
    return views.images.ndim == 4 or bool(getattr(verifier, "video", False))


def _frames(views: Views) -> Iterator[Views]:
    """At most FRAMES frames, the first and the last among them; rows stay as many as they are."""
    count = views.images.shape[1]
    for at in torch.linspace(0, count - 1, min(FRAMES, count)).round().int().tolist():
        memo = views.once(("frame", at), dict)
        back = {time: images[:, at] for time, images in views.previews.items()}
        yield replace(views, images=views.images[:, at], previews=back, memo=memo)


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(values).detach().double().cpu()
