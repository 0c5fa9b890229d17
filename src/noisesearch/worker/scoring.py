"""Clean samples to images, images to replies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..candidates.ask import Ask, Features, Reply
from ..candidates.noise import Array
from ..candidates.trajectory import Trajectory
from ..errors import BackendError
from ..files.pictures import Picture
from ..sampling.denoiser import fill
from ..sampling.images import pictures, quantise
from ..verifiers.protocol import Verifier, Views
from ..verifiers.slow_verifier import SlowVerifier
from ..verifiers.video import OnVideos
from .residence import out_of_memory

Sink = Callable[[Trajectory, Picture], None]
Source = Callable[[Trajectory], Picture | None]
Hand = Callable[[Trajectory, Picture, SlowVerifier], None]
Column = dict[str, list[float | str]]
# Threads that write pictures. More than there are processors wait for each other.
SAVERS = min(8, os.cpu_count() or 1)


@dataclass
class DecodedSamples:
    """Samples that are looked at together: at most as many as a batch has rows.

    ``images``: [N, 3, H, W] as the file holds them, of ``of``. ``previews``: images like them by
    the time at which a verifier looks back.
    """

    of: Sequence[Trajectory]
    images: Tensor
    previews: Mapping[float, Tensor] = field(default_factory=dict)
    _views: dict[tuple[tuple[int, ...], int], Views] = field(default_factory=dict)

    def views(self, rows: Sequence[int], size: int) -> Views:
        """Some of them, filled to exactly ``size`` rows, with what belongs to them. Verifiers that
        are shown the same rows share what they work out of them."""
        key = tuple(rows), size
        if key not in self._views:
            filled = [*rows, *[rows[0]] * (size - len(rows))]
            of = [self.of[i] for i in filled]
            # One index and no list of rows: it is done for every batch.
            back = {time: images[filled] for time, images in self.previews.items()}
            self._views[key] = Views(
                self.images[filled], [t.condition for t in of], back,
                [t.key for t in of[: len(rows)]],
            )  # fmt: skip
        return self._views[key]


class Scorer:
    """Decodes and scores at fixed numbers of rows; counts what ran.

    ``decode`` makes images of clean samples (None: they are images, or videos, already).
    ``verifiers`` look at every sample, those of ``watch`` only where they are asked for. ``sink``
    keeps the picture of a whole sample and ``source`` gives it back, None where it has none.
    Pictures are kept in threads while verifiers look; they are there before their replies are.
    """

    def __init__(
        self,
        decode: Callable[[Tensor], Tensor] | None,
        verifiers: Sequence[Verifier],
        rows: int,
        sink: Sink | None,
        watch: Sequence[Verifier] = (),
        source: Source | None = None,
    ) -> None:
        self.decode, self.rows, self.sink, self.source = decode, rows, sink, source
        self.verifiers = [*verifiers, *watch]
        self.parts = tuple(part for v in verifiers for part in v.parts)
        self.hand: Hand | None = None  # takes what verifiers look at elsewhere
        self.decodes = 0
        self._pool = ThreadPoolExecutor(SAVERS) if sink is not None else None
        self._saving: list[Future[None]] = []
        self.samples = {v.name: 0 for v in self.verifiers}
        self._shown = {id(v): OnVideos(v) for v in self.verifiers}

    def stored(self, trajectory: Trajectory) -> Picture | None:
        """The picture of a whole sample that was made before."""
        return self.source(trajectory) if self.source and trajectory.finished else None

    def images(self, items: Sequence[tuple[Trajectory, Tensor]]) -> Tensor:
        """Images [N, 3, H, W] of (trajectory, x0 [1, …]), at most ``rows``, as the file has them;
        whole samples are kept."""
        images = self.decoded([x for _, x in items])
        self.decodes += len(items)
        if self._pool is not None and self.sink is not None:
            self._saved()  # of a batch that failed later on, and is made again
            for (trajectory, _), picture in zip(items, pictures(images), strict=False):
                if trajectory.finished:
                    self._saving.append(self._pool.submit(self.sink, trajectory, picture))
        return images[: len(items)]

    def decoded(self, clean: Sequence[Tensor]) -> Tensor:
        """Images of at most ``rows`` clean samples [1, …], as the file has them; filled up."""
        if self.decode is None:
            images = torch.cat(list(clean))
        else:
            images = self.decode(fill([x[0] for x in clean], self.rows))
        return quantise(images).contiguous()  # the layout that from_pictures has

    def answers(
        self, shown: DecodedSamples, asks: Sequence[Collection[Ask]]
    ) -> list[tuple[Ask, Reply]]:
        """The reply to every ask about each of at most ``rows`` samples."""
        wanted = [{p for ask in about for p in ask.parts(self.parts)} for about in asks]
        replies = self.judge(shown, wanted)
        seen = self._features(shown, asks)
        return [
            (ask, replace(reply.only(ask.parts(self.parts)), arrays=seen.get(ask.key, {})))
            for reply, about in zip(replies, asks, strict=True)
            for ask in about
        ]

    def judge(
        self, shown: DecodedSamples, wanted: Sequence[Collection[str]] | None = None
    ) -> list[Reply]:
        """A reply for each of at most ``rows`` samples.

        ``wanted``: the parts that are asked of each; None asks all of all.
        """
        of = shown.of
        numbers: list[dict[str, float | str]] = [{} for _ in of]
        costs: list[dict[str, float]] = [{} for _ in of]
        for verifier in self.verifiers:
            mine = set(verifier.parts)
            rows = [i for i in range(len(of)) if wanted is None or mine & {*wanted[i]}]
            if not rows:
                continue
            if self.hand is not None and isinstance(verifier, SlowVerifier):
                for i, picture in zip(rows, pictures(shown.images[rows]), strict=True):
                    self.hand(of[i], picture, verifier)
                continue
            started = time.perf_counter()
            columns = self._column(verifier, shown, rows)
            cost = (time.perf_counter() - started) / len(rows)
            self.samples[verifier.name] += len(rows)
            for place, i in enumerate(rows):
                costs[i][verifier.name] = cost
                numbers[i] |= {part: values[place] for part, values in columns.items()}
        self._saved()
        return [Reply.of(t, n, c) for t, n, c in zip(of, numbers, costs, strict=True)]

    def _saved(self) -> None:
        """Wait until the pictures are there; what went wrong with one is raised."""
        saving, self._saving = self._saving, []
        for picture in saving:
            picture.result()

    def close(self) -> None:
        """Wait for what is being kept."""
        if self._pool is not None:
            self._pool.shutdown()

    def _features(
        self, shown: DecodedSamples, asks: Sequence[Collection[Ask]]
    ) -> dict[str, dict[str, Array]]:
        """The array of each ask for features, by the ask's key, as a reply holds it."""
        found: dict[str, dict[str, Array]] = {}
        for verifier in self.verifiers:
            rows = {i: ask for i, about in enumerate(asks) for ask in about
                    if ask.want == Features(verifier.name)}  # fmt: skip
            at, size = list(rows), verifier.rows or self.rows
            for start in range(0, len(at), size):
                some = at[start : start + size]
                seen = _seen(self._shown[id(verifier)], verifier.name, shown.views(some, size))
                for i, row in zip(some, seen, strict=False):
                    found[rows[i].key] = {rows[i].key: row}
        return found

    def _column(self, verifier: Verifier, shown: DecodedSamples, rows: Sequence[int]) -> Column:
        size = verifier.rows or self.rows
        result: Column = {part: [] for part in verifier.parts}
        for i in range(0, len(rows), size):
            some = rows[i : i + size]
            scored = [self._try(verifier, shown, some, size)]
            if isinstance(scored[0], str) and len(some) > 1:
                # One bad row must not take its companions along.
                scored = [self._try(verifier, shown, [j], size) for j in some]
            count = len(some) // len(scored)
            for one in scored:
                for part in verifier.parts:
                    result[part] += [one] * count if isinstance(one, str) else one[part]
        return result

    def _try(
        self, verifier: Verifier, shown: DecodedSamples, rows: Sequence[int], size: int
    ) -> dict[str, list[float]] | str:
        """Numbers by part for each of the rows, or the reason why there are none."""
        try:
            with torch.inference_mode():
                scored = self._shown[id(verifier)].scores(shown.views(rows, size))
            return {p: numbers(scored, p, size, verifier.name)[: len(rows)]
                    for p in verifier.parts}  # fmt: skip
        except BackendError:  # it cannot be reached, which says nothing of these rows
            raise
        except Exception as error:  # a user's code: anything may come out, and it is only a reply
            if out_of_memory(error):
                raise
            return f"verifier {verifier.name!r} failed: {type(error).__name__}: {error}"


def _seen(verifier: OnVideos, name: str, views: Views) -> Array:
    """The features [B, d] of a batch; BackendError where they cannot be had, since a set without
    one of its samples is another set."""
    try:
        with torch.inference_mode():
            seen: Array = verifier.features(views).float().cpu().numpy()
    except Exception as error:  # a user's code
        if out_of_memory(error):
            raise
        raise BackendError(
            f"the features of verifier {name!r} failed: {type(error).__name__}: {error}"
        ) from error
    if seen.ndim != 2 or len(seen) != len(views.images) or not np.isfinite(seen).all():
        raise BackendError(
            f"the features of verifier {name!r} must be finite numbers "
            f"[{len(views.images)}, d], got shape {list(seen.shape)}"
        )
    return seen


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
