"""A pipeline of diffusers as a sampler: its own loop, started from our noise."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ...candidates.condition import Condition
from ...errors import BackendError, ConfigError
from .call import Call
from .call_record import CallRecord
from .copy import double, networks
from .draws import Draws, Replace, instead, same_numbers

ROWS = 4  # of a call that makes pictures; a video alone is much


@dataclass(frozen=True)
class LoopStart:
    """How a noise becomes the start of a pipeline's loop.

    ``draw``: which draw of a row's generator it is when the pipeline draws for itself. With
    ``argument`` ours is given as ``latents``; else in the place of that draw, which the pipeline
    then mixes into the image that it encoded.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    draw: int
    argument: bool = False


@dataclass(frozen=True)
class PipelineOutput:
    """Images [B, 3, H, W] or videos [B, F, 3, H, W] in [0, 1], what the call did, what it drew
    and what its ``prepare_latents`` gave."""

    images: Tensor
    watch: CallRecord
    drawn: list[Tensor]
    prepared: list[Any]

    @property
    def laid(self) -> list[Tensor]:
        """The latents that ``prepare_latents`` gave: all that it gave, or the first of it."""
        firsts = (g[0] if isinstance(g, tuple | list) else g for g in self.prepared)
        return [laid for laid in firsts if isinstance(laid, Tensor)]

    def layouts(self, draw: int) -> list[Tensor]:
        """A draw as it is, and as ``prepare_latents`` laid it out."""
        drawn = self.drawn[draw]
        return [drawn, *(laid.cpu() for laid in self.laid if same_numbers(laid, drawn))]


class PipelineCaller:
    """Calls a pipeline, or rather its double, so that nothing about it is changed.

    ``listed``: a picture is given once for each row of a call, not once for all.
    """

    def __init__(self, pipeline: Any, call: Call, listed: bool = True) -> None:
        self.pipeline, self.call, self.listed = pipeline, call, listed
        self.device = pipeline._execution_device

    @torch.no_grad()
    def __call__(
        self,
        conditions: Sequence[Condition],
        seeds: Sequence[int | Generator],
        steps: int,
        *,
        latents: Tensor | None = None,
        replace: Replace | None = None,
        image: Any = None,
        tried: bool = False,
        decoded: bool = True,
    ) -> PipelineOutput:
        """One call for all rows, each with a seed or a generator.

        ``tried``: its draws and the calls of its networks are seen.
        """
        watch = CallRecord()
        prepared: list[Any] = []
        pipeline = double(self.pipeline, watch.told)
        generators = [s if isinstance(s, Generator) else Generator().manual_seed(s)
                      for s in seeds]  # fmt: skip
        given = self._arguments(conditions, steps, image)
        given["generator"] = generators if len(seeds) > 1 else generators[0]
        if latents is not None:
            given["latents"] = latents.to(self.device)
        if not decoded and "output_type" in self.call.signature:
            given["output_type"] = "latent"
        draws = Draws(generators, replace)
        with ExitStack() as stack:
            if tried:
                _note(pipeline, prepared)
                stack.enter_context(watch.on(networks(self.pipeline)))
            if tried or replace is not None:
                stack.enter_context(draws)
            output = pipeline(**given)
        images = pictures(output, self.call.signature.kind) if decoded else torch.empty(0)
        return PipelineOutput(images, watch, draws.seen, prepared)

    def _arguments(
        self, conditions: Sequence[Condition], steps: int, image: Any
    ) -> dict[str, Any]:
        of, rows = self.call, len(conditions)
        image = of.image if image is None else image
        many = self.listed and rows > 1

        def each(thing: Any) -> Any:
            return [thing] * rows if many and thing is not None else thing

        given = of.arguments()
        run = {"num_inference_steps": steps, "output_type": "np"}
        given |= {name: value for name, value in run.items() if name in of.signature}
        shown = {"image": each(image), "mask_image": each(of.mask)}
        given |= {name: value for name, value in shown.items() if value is not None}
        texts = {"prompt": [c.text or "" for c in conditions]}
        if conditions[0].negative is not None:
            texts["negative_prompt"] = [c.negative or "" for c in conditions]
        for name, column in texts.items():
            if name in of.signature:
                given[name] = column if rows > 1 else column[0]
        return given


def _note(pipeline: Any, prepared: list[Any]) -> None:
    """Keep what a double's ``prepare_latents`` gives, where it has one."""
    prepare = getattr(pipeline, "prepare_latents", None)

    def noted(*args: Any, **kwargs: Any) -> Any:
        prepared.append(prepare(*args, **kwargs))  # type: ignore[misc]
        return prepared[-1]

    if prepare is not None:
        vars(pipeline)["prepare_latents"] = noted


def pictures(output: Any, kind: str) -> Tensor:
    """Images [B, 3, H, W] or videos [B, F, 3, H, W] in [0, 1] of what a pipeline returns."""
    found = getattr(output, "frames", None)
    found = getattr(output, "images", None) if found is None else found
    if isinstance(found, list) and found and isinstance(found[0], np.ndarray):
        found = np.stack(found)
    if not isinstance(found, np.ndarray) or found.ndim not in (4, 5) or found.shape[-1] != 3:
        what = list(found.shape) if isinstance(found, np.ndarray) else type(found).__name__
        raise ConfigError(
            f"{kind} gives {what}, but pictures [rows, height, width, 3] or videos "
            "[rows, frames, height, width, 3] are needed; choose a pipeline that makes them"
        )
    return torch.from_numpy(np.ascontiguousarray(found)).float().movedim(-1, -3)


class PipelineSampler:
    """The sampler of a pipeline; :func:`models.pipeline_trial.tried` finds its start."""

    def __init__(
        self,
        name: str,
        caller: PipelineCaller,
        start: LoopStart,
        together: bool,
        first: PipelineOutput,
        seconds: float,
    ) -> None:
        self._name, self._caller, self._start = name, caller, start
        self._first = first.watch
        self.together = together
        self.rows = ROWS if together and first.images.ndim == 4 else 1
        self.shape = start.shape
        self.forwards = max(1, first.watch.forwards)
        self.flops = first.watch.flops()
        self._first.inputs = ((), {})  # not needed any longer, and they may be large
        self.seconds_per_nfe = seconds
        self._prices: dict[int, int] = {}

    @property
    def resident(self) -> list[nn.Module]:
        """Its networks, which stay where they are in every phase of a run."""
        return list(networks(self._caller.pipeline))

    def price(self, steps: int) -> int:
        """Counted by running the pipeline's loop, its networks giving again what they gave."""
        if steps not in self._prices:
            try:
                with self._first.replayed():
                    ran = self._caller([Condition(text="")], [0], steps, decoded=False)
            except Exception as error:  # the pipeline's own code
                raise ConfigError(
                    f"{self._name} refuses {steps} steps ({reason(error)}); give another --steps"
                ) from error
            if ran.watch.steps == 0:
                raise ConfigError(
                    f"{self._name} takes none of {steps} steps at that strength, so its image "
                    "would stay as it is; give more --steps or more --strength"
                )
            self._prices[steps] = ran.watch.steps
        return self._prices[steps]

    def drawn(self, generator: Generator, dtype: str) -> Tensor:
        """The noise that the pipeline, in its own precision, draws of a generator by itself."""
        ran = self._caller([Condition(text="")], [generator], self._caller.call.few_steps,
                           tried=True)  # fmt: skip
        found = ran.layouts(self._start.draw)
        return next(laid[0] for laid in found if laid.shape[1:] == self.shape)

    def alike(self, one: Condition, other: Condition) -> bool:
        return (one.negative is None) == (other.negative is None)

    def sample(
        self, noises: Tensor, seeds: Sequence[int], conditions: Sequence[Condition], steps: int
    ) -> tuple[Tensor, int]:
        start, given = self._start, noises.to(self._start.dtype)
        try:
            if start.argument:
                ran = self._caller(conditions, seeds, steps, latents=given)
            else:
                replace = instead(given, start.draw)
                ran = self._caller(conditions, seeds, steps, replace=replace)
        except Exception as error:  # the pipeline's own code; memory may run out
            raise BackendError(f"{self._name} failed: {reason(error)}") from error
        return ran.images, ran.watch.steps


def reason(error: BaseException) -> str:
    """The first line of what a pipeline says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:300]
