"""Which model a diffusers pipeline is: one in our own loop, or a black box in the pipeline's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError, Unfollowed
from ..files.hub import unreachable
from ..names.options import sentence
from .black_box.model import PipelineModel, black_box
from .diffusers.facts import PipelineFacts
from .diffusers.families import FAMILIES, Family, Layout
from .diffusers.folder import Folder
from .diffusers.model import DiffusersModel
from .diffusers.object import InMemory
from .diffusers.preset import Preset
from .diffusers.source import CHECKED, PipelineSource, package, pipeline_class

INSTEAD = "download it elsewhere and give the folder: --model /path/to/folder"


def from_folder(source: str | Path) -> DiffusersModel | PipelineModel:
    """The model of a folder with a ``model_index.json``, or of a hub id, which is downloaded."""
    path = Path(source).expanduser()
    if path.is_dir():
        return _model(Folder(path.resolve(), path.resolve().name))
    if path.parent.is_dir() and path.parent != Path():
        raise ConfigError(
            f"no folder {path}: give a folder with a model_index.json, as save_pretrained writes "
            "it, or a hub id such as black-forest-labs/FLUX.1-dev"
        )
    return _model(Folder(_downloaded(str(source)), str(source)))


def from_object(pipeline: Any, **settings: Any) -> DiffusersModel | PipelineModel:
    """The model of a pipeline in memory; ``settings`` are fields of :class:`Preset`."""
    return _model(InMemory(pipeline), settings)


def followed(model: DiffusersModel) -> bool:
    """Return whether one of our solvers takes the steps of the pipeline's scheduler."""
    try:
        return bool(model.solver)
    except Unfollowed:
        return False


def in_its_own_loop(model: DiffusersModel) -> PipelineModel:
    """Return the same pipeline as a black box, with what is known of its family."""
    facts = model.facts
    kind = type(facts.source.scheduler()).__name__
    because = (
        "that was asked for"
        if followed(model)
        else f"its {kind} is none whose steps we take (for our own loop name a --solver)"
    )
    preset = facts.preset.model_copy(update={"steps": facts.steps, "guidance": facts.guidance})
    made = _whole(facts.source, preset, because)
    called = replace(made.called, wanted=facts.size, check=facts.check_prompt)
    return replace(made, called=called, ensemble=model.ensemble)


def _whole(source: PipelineSource, preset: Preset, because: str) -> PipelineModel:
    """A pipeline as a black box, with the components that its own loop uses."""
    if isinstance(source, Folder):
        source = replace(source, unused=CHECKED)
        source.check()
    return black_box(source, preset, because)


def _model(
    source: PipelineSource, settings: Mapping[str, Any] | None = None
) -> DiffusersModel | PipelineModel:
    preset = _preset(source, settings)
    family = FAMILIES.get(source.kind)
    if family is None:
        return _whole(source, preset, f"our own loop does not know a {source.kind}")
    if isinstance(source, Folder):
        source.check()
    for part in family.needs:
        source.config(part)
    package()
    try:
        layout = family.layout(source)
        model = DiffusersModel(PipelineFacts(source, family, preset, layout.size))
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"the configuration of {source.name} is not that of a {source.kind} ({error!r}); get "
            "the pipeline's files again"
        ) from error
    _check_fits(source, family, layout)
    return model if preset.size is None else model.sized(*preset.size)


def _preset(source: PipelineSource, settings: Mapping[str, Any] | None) -> Preset:
    try:
        return Preset(**{**source.settings, **(settings or {})})
    except (ValidationError, TypeError) as error:
        said = sentence(error) if isinstance(error, ValidationError) else str(error)
        raise ConfigError(f"the settings for noisesearch of {source.name}: {said}") from error


def _check_fits(source: PipelineSource, family: Family, layout: Layout) -> None:
    """ConfigError where the autoencoder is none of the network's latents."""
    channels = source.config("vae").get("latent_channels", layout.channels)
    if channels != layout.channels:
        raise ConfigError(
            f"the vae of {source.name} decodes latents of {channels} channels and its "
            f"{family.needs[0]} makes {layout.channels}: they are of two pipelines; get the "
            "pipeline's files again"
        )


def _downloaded(name: str) -> Path:
    """The folder of a hub id in the hub's own cache, its class looked at first."""
    kind = package().DiffusionPipeline
    try:
        index = kind.load_config(name)
        found = str(dict(index).get("_class_name"))
    except Exception as error:  # whatever the network, the hub or its files may raise
        raise unreachable(f"model {name!r}", error, INSTEAD) from error
    pipeline_class(found, name)
    try:
        return Path(kind.download(name, use_safetensors=True))
    except Exception as error:
        raise unreachable(f"model {name!r}", error, INSTEAD) from error
