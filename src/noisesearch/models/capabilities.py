"""What a model may offer beyond :class:`Model`: a protocol for each.

There is one way to read them. A value has a function here that gives it, or its default where the
model has none. For a method ask ``offered(model, Sized)``, which gives the model as one that has
it, or None. A model may also be :class:`sampling.capabilities.DrawingNoise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..candidates.condition import Condition
from ..names.capabilities import Capability, offered
from ..names.capabilities import warn_of_near_misses as _warn_of_near_misses
from ..sampling.capabilities import DrawingNoise
from .protocol import Model

if TYPE_CHECKING:
    from torch import Tensor

    from ..sampling.denoiser import Denoiser


@runtime_checkable
class WithRealImages(Protocol):
    """A model with real images at hand, for objectives and metrics that compare sets."""

    def real(self, conditions: Sequence[Condition], count: int) -> Tensor:
        """Return real images [count, 3, H, W] in [0, 1] of the conditions in turn."""
        ...


@runtime_checkable
class Sized(Protocol):
    """A model with several sizes, for ``--size`` and for drafts of a smaller size."""

    def sized(self, width: int, height: int) -> Model:
        """Return the model at another size; ConfigError where it cannot have it."""
        ...


@runtime_checkable
class WithNotice(Protocol):
    """A model of which something is to be said before it runs.

    ``why``: the sentence; empty where there is none.
    """

    @property
    def why(self) -> str: ...


@runtime_checkable
class Placed(Protocol):
    """A model whose weights may be in memory already, and are used where and as they are.

    ``placed``: (device, dtype) of these weights, None of a model that is still to be loaded.
    """

    @property
    def placed(self) -> tuple[str, str] | None: ...


@runtime_checkable
class NamingDrafts(Protocol):
    """A model that has names for some of its drafts.

    ``drafts``: the text of each draft by its name, for ``--draft`` and for algorithms.
    """

    @property
    def drafts(self) -> Mapping[str, str]: ...


@runtime_checkable
class SharingWeights(Protocol):
    """A model that can build a second denoiser with weights that are loaded already."""

    def beside(self, denoiser: Denoiser, guidance: float) -> Denoiser:
        """Return a denoiser at another guidance or size, with the weights of ``denoiser``."""
        ...


@runtime_checkable
class WithPipelineForm(Protocol):
    """A model of a pipeline, which says apart from the model what holds for the pipeline itself.

    ``pipeline_form``: an object with some of ``weigh``, ``native``, ``arguments``, ``opened`` and
    ``drawn``. A model without it may have them itself.
    """

    @property
    def pipeline_form(self) -> object: ...


@runtime_checkable
class Weighed(Protocol):
    """A model that knows what its weights take before they are loaded; ``--memory auto`` asks."""

    def weigh(self, dtype: str) -> Mapping[str, int]:
        """Return bytes by component, of weights in ``dtype``."""
        ...


@runtime_checkable
class WithNativeLayout(Protocol):
    """A model whose pipeline has noises in another layout; for latents given and exported."""

    def native(self, x: Tensor) -> Tensor:
        """Return noises [B, …] as the pipeline's ``latents=`` takes them: the same numbers in
        another order."""
        ...


@runtime_checkable
class WithCallArguments(Protocol):
    """A model that knows how its own pipeline is called for a picture; for exported noises."""

    def arguments(self, condition: Condition, guidance: float) -> Mapping[str, Any]:
        """Return the arguments of the pipeline's call beside noise and steps."""
        ...


@runtime_checkable
class WithPipelineCode(Protocol):
    """A model that knows the lines of Python that make its pipeline; for exported noises."""

    def opened(self, solver: str, device: str, dtype: str) -> list[str]:
        """Return lines that make the pipeline as ``pipe``; ConfigError where there are none."""
        ...


CAPABILITIES: tuple[Callable[..., Any], ...] = (
    WithRealImages, Sized, WithNotice, Placed, NamingDrafts, SharingWeights, Weighed,
    WithPipelineForm, WithNativeLayout, WithCallArguments, WithPipelineCode, DrawingNoise,
)  # fmt: skip


def of_pipeline(model: object, capability: Callable[..., Capability]) -> Capability | None:
    """Return what offers a capability: the model itself, else what speaks for its pipeline."""
    return offered(model, capability) or offered(pipeline_form(model), capability)


def pipeline_form(model: object) -> object:
    """Return what speaks for a model's pipeline; the model itself where nothing else does."""
    found = offered(model, WithPipelineForm)
    return model if found is None else found.pipeline_form


def drafts(model: object) -> Mapping[str, str]:
    """Return the texts of a model's drafts by their names; none where it has no names."""
    found = offered(model, NamingDrafts)
    return {} if found is None else found.drafts


def placed(model: object) -> tuple[str, str] | None:
    """Return (device, dtype) of weights that are in memory already; None where there are none."""
    found = offered(model, Placed)
    return None if found is None else found.placed


def why(model: object) -> str:
    """Return what is to be said of a model before it runs; empty where there is nothing."""
    found = offered(model, WithNotice)
    return "" if found is None else str(found.why)


def warn_of_near_misses(model: Model) -> None:
    """Warn where a user's model has an attribute that is almost one of these."""
    _warn_of_near_misses("model", model.name, model, (Model, *CAPABILITIES))
