"""Where a diffusers pipeline comes from: what a folder and an object have in common."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from ...errors import ConfigError

# Components that our loop has no use for: they are neither looked at nor loaded.
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")
CHECKED = ("safety_checker",)  # the only one that a pipeline's own loop can do without


class PipelineSource(Protocol):
    """What is known of a pipeline before its weights are loaded, and the way to load them.

    ``kind``: its class. ``settings``: what its maker suggests (steps, guidance, size).
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def pipeline_class(self) -> type: ...

    def config(self, part: str) -> Mapping[str, Any]:
        """A component's configuration; ConfigError where the pipeline has no such component."""
        ...

    def scheduler(self) -> Any:
        """A scheduler of its own, to ask for times; the pipeline's is left alone."""
        ...

    def tokenizer(self, part: str) -> Any | None:
        """A tokenizer; None where the pipeline has none of that name."""
        ...

    def precision(self, part: str, dtype: str) -> Any | None:
        """The torch dtype of a component of the pipeline in ``dtype``; None where it has none."""
        ...

    def pipeline(self, device: str, dtype: str) -> Any:
        """The pipeline, its weights on the device."""
        ...

    def opened(self, device: str, dtype: str) -> list[str]:
        """Lines of Python that make it as ``pipe``."""
        ...


def package() -> Any:
    """diffusers; ConfigError says how to get it."""
    try:
        # Its pipelines need transformers, and say so only when one of them is first looked at.
        importlib.import_module("transformers")
        return importlib.import_module("diffusers")
    except ImportError as error:
        raise ConfigError(
            f"this model is a diffusers pipeline, and a package that it needs cannot be imported "
            f"({error}); install it with: pip install 'noisesearch[diffusers]'"
        ) from error


def pipeline_class(kind: str, name: str) -> type:
    """A class of diffusers by its name; ConfigError for one that is none of its pipelines."""
    found = getattr(package(), kind, None)
    if not isinstance(found, type) or not issubclass(found, package().DiffusionPipeline):
        raise ConfigError(
            f"{name} is a {kind}, which is no pipeline that the installed diffusers knows; "
            "install a newer one (pip install -U diffusers), or give the object itself"
        )
    return found
