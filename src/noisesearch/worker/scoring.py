"""Clean samples to images, images to replies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..ask import Reply
from ..denoiser import Denoiser, fill
from ..pictures import read
from ..trajectory import Trajectory
from ..verifiers.protocol import Verifier, Views

Picture = npt.NDArray[np.uint8]
Sink = Callable[[Trajectory, Picture], None]
Column = dict[str, list[float | str]]


def quantise(images: Tensor) -> Tensor:
    """Images as the 8-bit file will hold them, with the gradient of the identity inside [0, 1]."""
    clamped = images.clamp(0, 1)
    return clamped + ((clamped * 255).round() / 255 - clamped).detach()


def pictures(images: Tensor) -> list[Picture]:
    """uint8 [H, W, 3] of images [B, 3, H, W]."""
    whole = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return list(whole)


def stored_images(paths: Sequence[Path]) -> Tensor:
    """Images [N, 3, H, W] in [0, 1] of stored pictures: what verifiers saw in the run."""
    stacked = torch.from_numpy(np.stack([read(path) for path in paths]))
    return stacked.permute(0, 3, 1, 2).float() / 255


class Scorer:
    """Decodes and scores at fixed numbers of rows; counts what ran."""

    def __init__(
        self, denoiser: Denoiser, verifiers: Sequence[Verifier], rows: int, sink: Sink | None
    ) -> None:
        self.denoiser, self.verifiers, self.rows, self.sink = denoiser, verifiers, rows, sink
        self.decodes = 0
        self.samples = {v.name: 0 for v in verifiers}

    def __call__(self, items: Sequence[tuple[Trajectory, Tensor]]) -> list[Reply]:
        """A reply an item, (trajectory, x0 [1, …]); at most ``rows`` items."""
        images = quantise(self.denoiser.decode(fill([x[0] for _, x in items], self.rows)))
        self.decodes += len(items)
        if self.sink is not None:
            for (trajectory, _), picture in zip(items, pictures(images), strict=False):
                if trajectory.finished:
                    self.sink(trajectory, picture)
        return self.judge([t for t, _ in items], images[: len(items)])

    def judge(self, of: Sequence[Trajectory], images: Tensor) -> list[Reply]:
        """A reply for each of at most ``rows`` images [N, 3, H, W], as the file holds them."""
        numbers: list[dict[str, float | str]] = [{} for _ in of]
        cost: dict[str, float] = {}
        for verifier in self.verifiers:
            started = time.perf_counter()
            columns = self._column(verifier, images, of)
            cost[verifier.name] = (time.perf_counter() - started) / len(of)
            self.samples[verifier.name] += len(of)
            for part, values in columns.items():
                for i, value in enumerate(values):
                    numbers[i][part] = value
        return [Reply.of(t, n, cost) for t, n in zip(of, numbers, strict=True)]

    def _column(self, verifier: Verifier, images: Tensor, of: Sequence[Trajectory]) -> Column:
        size = verifier.batch or self.rows
        result: Column = {part: [] for part in verifier.parts}
        for i in range(0, len(of), size):
            batch, at = images[i : i + size], of[i : i + size]
            scored = self._try(verifier, batch, at, size)
            if isinstance(scored, str) and len(at) > 1:
                # One bad row must not take its companions along.
                alone = [
                    self._try(verifier, batch[j : j + 1], at[j : j + 1], size)
                    for j in range(len(at))
                ]
            else:
                alone = [scored]
            for one, count in zip(alone, [1] * len(alone) if len(alone) > 1 else [len(at)],
                                  strict=True):  # fmt: skip
                for part in verifier.parts:
                    result[part] += [one] * count if isinstance(one, str) else one[part]
        return result

    def _try(
        self, verifier: Verifier, images: Tensor, of: Sequence[Trajectory], size: int
    ) -> dict[str, list[float]] | str:
        """Numbers by part for each of ``of``, or the reason why there are none."""
        try:
            views = Views(
                fill(list(images), size),
                conditions=[t.condition for t in (*of, *[of[0]] * (size - len(of)))],
                keys=[t.key for t in of],
            )
            with torch.inference_mode():
                scored = verifier(views)
            return {p: numbers(scored, p, size, verifier.name)[: len(of)] for p in verifier.parts}
        except Exception as error:  # a user's code: anything may come out, and it is only a reply
            return f"verifier {verifier.name!r} failed: {type(error).__name__}: {error}"


def numbers(scored: Mapping[str, Any], part: str, size: int, name: str) -> list[float]:
    """The [size] floats of a part; ValueError or TypeError says what was got instead."""
    if not isinstance(scored, Mapping) or part not in scored:
        raise TypeError(f"it must return a mapping with {part!r}, got {type(scored).__name__}")
    values = scored[part]
    if isinstance(values, Tensor):
        values = values.detach().float().cpu().numpy()
    if isinstance(values, str):
        raise TypeError(f"it must return {size} numbers, got the string {values[:40]!r}")
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"it must return {size} numbers, got values of type {array.dtype}")
    if array.shape != (size,):
        raise ValueError(f"it must return {size} numbers for {size} images, got {array.shape}")
    return [float(v) for v in array]
