"""Which model a name or an object means, and at which size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..candidates.space import PIPELINE
from ..errors import ConfigError
from ..files.hub import ENDINGS
from ..names import protocols, registry
from ..names.capabilities import offered
from ..store.given_images import InputImages
from . import capabilities
from .black_box.model import PipelineModel
from .capabilities import Sized
from .diffusers.model import DiffusersModel
from .pipelines import followed, from_folder, from_object, in_its_own_loop
from .protocol import Model
from .sit.config import NAMES

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")


def model_of(name: str) -> Model:
    """By name, ``module:name`` or ``file.py:name``, else a pipeline's folder or hub id, else a
    checkpoint's file or folder."""
    from .sit.model import is_checkpoint, sit

    if name in registry.names("model"):
        return _loaded(name)
    if is_pipeline(name):
        return from_folder(name)
    if is_checkpoint(name):
        return sit(name)
    return _loaded(name)


def _loaded(name: str) -> Model:
    target = registry.load("model", name)
    return as_model(target() if callable(target) else target, name)


def as_model(thing: Any, name: str = "") -> Model:
    """Return a model, or the model of a diffusers pipeline in memory.

    ``name``: what the user wrote; empty for an object. ConfigError for anything else.
    """
    if any(c.__name__ == "DiffusionPipeline" for c in type(thing).__mro__):
        return from_object(thing)
    protocols.check("model", name, thing)
    capabilities.warn_of_near_misses(thing)
    return cast(Model, thing)


def at_size(model: Model, size: str | None) -> Model:
    """The model at WIDTHxHEIGHT; ConfigError where it cannot be had."""
    width, height = model.size
    if not size or size == f"{width}x{height}":
        return model
    several = offered(model, Sized)
    if several is None:
        raise ConfigError(f"size {size!r}: {model.name} makes {width}x{height} only")
    numbers = SIZE.fullmatch(size)
    if numbers is None:
        raise ConfigError(f"size is {size!r}, but must be WIDTHxHEIGHT, such as 1024x768")
    return several.sized(int(numbers[1]), int(numbers[2]))


def as_it_runs(model: Model, solver: str | None) -> Model:
    """The model as it runs: a pipeline is a black box where that is asked for by the solver
    ``pipeline``, or where no solver is named and none of ours takes its scheduler's steps."""
    if isinstance(model, DiffusersModel):
        if solver == PIPELINE:
            return in_its_own_loop(model)
        return model if solver is not None or followed(model) else in_its_own_loop(model)
    whole = isinstance(model, PipelineModel)
    if solver is not None and whole != (solver == PIPELINE):
        raise ConfigError(
            f"solver {solver!r}: {model.name} "
            + ("runs as a black box with its own scheduler" if whole else "is no pipeline")
            + "; leave the solver out"
        )
    return model


def with_call_arguments(model: Model, call: Mapping[str, Any], images: InputImages) -> Model:
    """The model with what its pipeline's call takes besides; ConfigError where it takes none."""
    if isinstance(model, PipelineModel):
        return model.given(call, images)
    given, how = [*call, *images.keys], ""
    if isinstance(model, DiffusersModel):
        given, how = [*given, *model.facts.preset.call], "; add --solver pipeline"
    if given:
        raise ConfigError(
            f"{given[0]} is for pipelines that run as a black box, and {model.name} does not{how}"
        )
    return model


@dataclass(frozen=True)
class Placement:
    """Device and dtype of a model in memory, None of one that goes where the run goes."""

    device: str | None = None
    dtype: str | None = None


def placement(model: Model) -> Placement:
    """Where a model is already, to be used there and as it is."""
    return Placement(*(capabilities.placed(model) or ()))


def is_pipeline(name: str) -> bool:
    """True where a model's name is that of a pipeline's folder, or looks like a hub id."""
    path = Path(name).expanduser()
    if path.exists():
        return (path / "model_index.json").is_file()
    other = name in NAMES or path.suffix in (*ENDINGS, ".py")
    return HUB_ID.fullmatch(name) is not None and not other
