"""Where a run's networks are, and how much memory it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import ConfigError
from ..models.capabilities import Weighed, of_pipeline
from ..models.choice import placement
from ..models.protocol import Model
from ..names.capabilities import offered
from ..sampling.capabilities import Compilable, Tiling, WithPhases, warn_of_near_misses

if TYPE_CHECKING:
    from ..sampling.denoiser import Denoiser
    from ..sampling.sampler import Sampler
    from ..store.spec import RunSpec

Able = TypeVar("Able")

MODES = ("auto", "full", "lean")
AWAY = "away"  # the phase in which nothing is on the device
BESIDE = 1.2  # what a run is taken to need, over its weights, before anything is loaded


def mode(asked: str, model: Model, device: str, dtype: str) -> str:
    """full or lean; of ``auto`` lean where the weights do not fit beside each other.

    A model in memory is where it is, so it fits.
    """
    if asked not in MODES:
        raise ConfigError(f"memory is {asked!r}, but must be {', '.join(MODES)}")
    if asked != "auto":
        return asked
    from ..worker.residence import free_memory

    free, weighed = free_memory(device), of_pipeline(model, Weighed)
    if free is None or weighed is None or _in_memory(model):
        return "full"
    return "lean" if BESIDE * sum(weighed.weigh(dtype).values()) > free else "full"


def _in_memory(model: Model) -> bool:
    return placement(model).device is not None


def built(model: Model, spec: RunSpec) -> Denoiser | Sampler:
    """The model's denoiser as the spec wants it; in lean memory its weights wait on the host."""
    lean = spec.memory == "lean"
    device = (placement(model).device or "cpu") if lean else spec.device
    denoiser = model.build(spec.guidance, device, spec.dtype)
    warn_of_near_misses(denoiser, model.name)
    if lean and offered(denoiser, WithPhases) is None:
        raise ConfigError(
            f"memory is 'lean', but {model.name} has no parts that could make room for each "
            "other; leave it out"
        )
    if spec.compile:
        _able(denoiser, Compilable, model, "--compile").compile()
    if spec.tiling:
        _able(denoiser, Tiling, model, "--tiling").tile()
    return denoiser


def _able(denoiser: object, capability: Callable[..., Able], model: Model, option: str) -> Able:
    """Return the denoiser with what an option needs; ConfigError where it cannot do that."""
    found = offered(denoiser, capability)
    if found is None:
        raise ConfigError(f"{model.name} cannot be had with {option}; leave it out")
    return found
