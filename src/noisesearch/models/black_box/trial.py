"""How a pipeline is started, found by trying it: a few samples of two steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from ...candidates.condition import Condition
from ...errors import ConfigError
from .call import Call
from .draws import instead, same_numbers, without
from .sampler import LoopStart, PipelineCaller, PipelineOutput, PipelineSampler, reason

TRIED = Condition(text="a photo")
SEED, OTHER = 1, 2
MOST = 8  # draws that are tried as the latents; the first is the one nearly always
# Shares of the difference that another noise makes: of the same numbers given in another way, and
# of a row in another batch, which rounds otherwise.
SAME, ROUNDED = 0.01, 0.05
NOTHING = 1e-6  # in values from 0 to 1


def tried(name: str, pipeline: Any, call: Call) -> PipelineSampler:
    """The sampler of a pipeline; ConfigError, one sentence, where it cannot be one.

    The pipeline first draws its own noise. The same numbers given to it must make the same
    picture, others another; so must another image, where it is given one. Whether rows may share
    a call is tried with two.
    """
    trial = _Trial(name, PipelineCaller(pipeline, call), call)
    start = trial.start()
    trial.check_image(start)
    caller = trial.shared(start)
    together = caller is not None
    return PipelineSampler(name, caller or trial.caller, start, together, trial.own, trial.seconds)


class _Trial:
    """``own``: what the pipeline makes of its own draws."""

    def __init__(self, name: str, caller: PipelineCaller, call: Call) -> None:
        self.name, self.caller, self.call = name, caller, call
        self.steps = call.few_steps
        self.from_image = call.strength < 1
        if "latents" not in call.signature and not self.from_image:
            raise ConfigError(
                f"{name} takes no latents=, so nothing but its seed could be searched; choose a "
                "pipeline that takes them"
            )
        try:
            self.own = self._run(tried=True)
        except ConfigError:
            raise
        except Exception as error:  # the pipeline's own code
            raise ConfigError(
                f"{name} cannot be called with what it is given ({reason(error)}); {call.lacking}"
            ) from error
        if self.own.watch.steps == 0:
            raise ConfigError(
                f"{name} takes no step of a scheduler, so what a sample costs cannot be counted; "
                "choose a pipeline that has one"
            )

    def _run(self, **how: Any) -> PipelineOutput:
        started = time.perf_counter()
        ran = self.caller([TRIED], [SEED], self.steps, **how)
        self.seconds = (time.perf_counter() - started) / max(1, ran.watch.steps)
        return ran

    def start(self) -> LoopStart:
        """ConfigError where no noise of ours can be given."""
        if self.from_image:
            return self._drawn(self._mixed())
        try:
            return self._argument()
        except ConfigError:
            # Of an image to video, what it draws may be mixed with the image before it is latents.
            sizes = [laid.numel() for laid in self.own.laid]
            found = [i for i, drawn in enumerate(self.own.drawn) if drawn.numel() in sizes]
            if self.call.image is None or len(found) != 1:
                raise
            return self._drawn(found[0])

    def _argument(self) -> LoopStart:
        """Of a pipeline whose loop begins at noise: its ``latents``."""
        refused = ""
        for index, latents in self._layouts():
            rest = without(self.own.drawn, index)
            try:
                same = self._run(latents=latents, replace=rest).images
                other = self._run(latents=another(latents), replace=rest).images
            except Exception as error:  # it may check their shape, or multiply what does not fit
                refused = refused or reason(error)
                continue
            spread = away(same, other)
            if away(same, self.own.images) <= max(NOTHING, SAME * spread):
                if spread <= NOTHING:
                    raise self._ignored("latents")
                self.other, self.same, self.latents, self.rest = other, same, latents, rest
                return LoopStart(tuple(latents.shape[1:]), latents.dtype, index, argument=True)
        if refused:
            raise ConfigError(
                f"{self.name} refuses as latents= the noise that it draws itself ({refused}); "
                "choose another pipeline"
            )
        raise self._ignored("latents")

    def _layouts(self) -> Iterator[tuple[int, Tensor]]:
        """What ``latents`` may be: a draw as it is, or as ``prepare_latents`` laid it out."""
        for index, drawn in enumerate(self.own.drawn[:MOST]):
            if drawn.ndim > 1 and len(drawn) == 1:
                for laid in self.own.layouts(index):
                    yield index, laid

    def _mixed(self) -> int:
        """Of a pipeline whose loop begins between its image and noise: the draw that its
        scheduler mixes into the image."""
        mixed = self.own.watch.mixed
        found = [i for i, drawn in enumerate(self.own.drawn)
                 if mixed is not None and same_numbers(mixed, drawn)]  # fmt: skip
        if not found:
            raise ConfigError(
                f"{self.name} begins at strength {self.call.strength:g} from its image, in a way "
                "that no noise can be given to; set strength to 1"
            )
        return found[0]

    def _drawn(self, index: int) -> LoopStart:
        """A start that is one of the pipeline's own draws, ours in its place."""
        drawn = self.own.drawn[index]
        self.same, self.other = (
            self._run(replace=instead(noise, index, self.own.drawn)).images
            for noise in (drawn, another(drawn))
        )
        spread = away(self.same, self.other)
        if spread <= NOTHING or away(self.same, self.own.images) > max(NOTHING, SAME * spread):
            raise self._ignored("noise")
        return LoopStart(tuple(drawn.shape[1:]), drawn.dtype, index)

    def check_image(self, start: LoopStart) -> None:
        """Another image must make another picture."""
        from PIL import ImageOps

        if self.call.image is None:
            return
        given: dict[str, Any] = {"image": ImageOps.invert(self.call.image)}
        if start.argument:
            given["latents"] = torch.zeros(1, *start.shape, dtype=start.dtype)
            before = self._run(latents=given["latents"]).images
        else:
            before = self.own.images
        if away(before, self._run(**given).images) <= NOTHING:
            raise self._ignored("image")

    def shared(self, start: LoopStart) -> PipelineCaller | None:
        """The caller of several rows at once; None where each must have a call of its own."""
        for listed in (True, False) if self.call.image is not None else (True,):
            caller = PipelineCaller(self.caller.pipeline, self.call, listed)
            try:
                both = self._two(caller, start)
            except Exception:  # whatever it says of two rows
                continue
            spread = away(self.same, self.other)
            error = max(away(both[:1], self.same), away(both[1:], self.other))
            if error <= ROUNDED * spread:
                return caller
        return None

    def _two(self, caller: PipelineCaller, start: LoopStart) -> Tensor:
        """Pictures of two rows, the one of the pipeline's own noise and the other."""
        if start.argument:
            pair = torch.cat([self.latents, another(self.latents)])
            given: dict[str, Any] = {"latents": pair, "replace": self.rest}
        else:
            drawn = self.own.drawn[start.draw]
            pair = torch.cat([drawn, another(drawn)])
            given = {"replace": instead(pair, start.draw, self.own.drawn)}
        return caller([TRIED, TRIED], [SEED, OTHER], self.steps, **given).images

    def _ignored(self, what: str) -> ConfigError:
        return ConfigError(
            f"what {self.name} makes does not follow from the {what} that it is given, so a "
            "search would be in vain; choose another pipeline"
        )


def another(noise: Tensor) -> Tensor:
    """Other normals of the same shape."""
    drawn = torch.randn(noise.shape, generator=Generator().manual_seed(OTHER))
    return drawn.to(noise.dtype)


def away(one: Tensor, other: Tensor) -> float:
    """The largest difference; infinite between shapes."""
    return float((one - other).abs().max()) if one.shape == other.shape else math.inf
