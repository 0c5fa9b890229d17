"""A pipeline's double: its networks are the pipeline's, all that a call changes is its own."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn


def double(pipeline: Any, watched: Callable[[str, dict[str, Any]], None]) -> Any:
    """A shallow copy with schedulers of its own and no progress bar, the pipelines that it is
    combined of copied likewise.

    A call writes to the pipeline (steps, guidance, offloading) and to its scheduler (times, what
    multistep methods remember), and leaves the networks as they are. ``watched`` is told the name
    and the arguments of each call of a scheduler's ``step``, ``add_noise`` and ``scale_noise``.
    """
    return _double(pipeline, watched, {})


def _double(
    pipeline: Any, watched: Callable[[str, dict[str, Any]], None], made: dict[int, Any]
) -> Any:
    from diffusers import DiffusionPipeline, SchedulerMixin

    result = copy.copy(pipeline)
    made[id(pipeline)] = result
    for name, part in vars(pipeline).items():
        if id(part) not in made:
            if isinstance(part, DiffusionPipeline):
                made[id(part)] = _double(part, watched, made)
            elif isinstance(part, SchedulerMixin):
                made[id(part)] = _watched(copy.deepcopy(part), watched)
        if id(part) in made:
            vars(result)[name] = made[id(part)]
    vars(result)["_progress_bar_config"] = {"disable": True}
    return result


def _watched(scheduler: Any, watched: Callable[[str, dict[str, Any]], None]) -> Any:
    """The scheduler, of a class that tells; pipelines copy schedulers, and a class goes along."""
    kind = type(scheduler)
    told = {n: _told(getattr(kind, n), n, watched)
            for n in ("step", "add_noise", "scale_noise") if hasattr(kind, n)}  # fmt: skip
    scheduler.__class__ = type(kind.__name__, (kind,), told)
    return scheduler


def _told(method: Any, name: str, watched: Callable[[str, dict[str, Any]], None]) -> Any:
    import inspect

    signature = inspect.signature(method)

    @functools.wraps(method)  # pipelines ask for the signature
    def call(*args: Any, **kwargs: Any) -> Any:
        watched(name, dict(signature.bind(*args, **kwargs).arguments))
        return method(*args, **kwargs)

    return call


def networks(pipeline: Any) -> Iterator[nn.Module]:
    """Every network of a pipeline and of those that it is combined of, each once."""
    seen: set[int] = set()
    for part in pipeline.components.values():
        if isinstance(part, nn.Module) and id(part) not in seen:
            seen.add(id(part))
            yield part
