"""Verifiers of images on videos: a few frames, evenly spaced, each seen alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..names.capabilities import offered
from .capabilities import WithFeatures, features_of, video
from .protocol import Verifier, Views

FRAMES = 8  # of a video that a verifier of images looks at


class OnVideos:
    """A verifier that is shown images or videos; of a video, one of images sees a few frames.

    What the verifier offers is looked up once, since it is asked for every batch.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._whole_videos = video(verifier)

    @cached_property
    def _seeing(self) -> WithFeatures | None:
        """The verifier where it has features; asked only for objectives of sets."""
        return offered(self._verifier, WithFeatures)

    def scores(self, views: Views) -> Mapping[str, Any]:
        """Return what it says of images, or of videos as the mean over frames; NaN in one frame is
        NaN."""
        if self._seen_whole(views):
            return self._verifier(views)
        of = [self._verifier(frame) for frame in _frames(views)]
        return {
            part: torch.stack([_tensor(one[part]) for one in of]).mean(0)
            for part in self._verifier.parts
        }

    def features(self, views: Views) -> Tensor:
        """Return features [B, d] of images, or of videos as the mean over frames; ConfigError
        where it has none."""
        see = features_of(self._verifier) if self._seeing is None else self._seeing.features
        if self._seen_whole(views):
            return see(views)
        return torch.stack([see(frame) for frame in _frames(views)]).mean(0)

    def _seen_whole(self, views: Views) -> bool:
        return self._whole_videos or views.images.ndim == 4


def _frames(views: Views) -> Iterator[Views]:
    """At most FRAMES frames, the first and the last among them; rows stay as many as they are."""
    count = views.images.shape[1]
    for at in torch.linspace(0, count - 1, min(FRAMES, count)).round().int().tolist():
        memo = views.once(("frame", at), dict)
        back = {time: images[:, at] for time, images in views.previews.items()}
        yield replace(views, images=views.images[:, at], previews=back, memo=memo)


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(values).detach().double().cpu()
