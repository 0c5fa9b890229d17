"""Where a run's networks are, and how much memory it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..models.choice import placement
from ..models.protocol import Model

if TYPE_CHECKING:
    from ..sampling.denoiser import Denoiser
    from ..sampling.sampler import Sampler
    from ..store.spec import RunSpec

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

    free, weigh = free_memory(device), getattr(model, "weigh", None)
    if free is None or weigh is None or _in_memory(model):
        return "full"
    return "lean" if BESIDE * sum(weigh(dtype).values()) > free else "full"


def _in_memory(model: Model) -> bool:
    return placement(model).device is not None


def built(model: Model, spec: RunSpec) -> Denoiser | Sampler:
    """The model's denoiser as the spec wants it; in lean memory its weights wait on the host."""
    lean = spec.memory == "lean"
    device = (placement(model).device or "cpu") if lean else spec.device
    denoiser = model.build(spec.guidance, device, spec.dtype)
    if lean and not hasattr(denoiser, "networks"):
        raise ConfigError(
            f"memory is 'lean', but {model.name} has no parts that could make room for each "
            "other; leave it out"
        )
    options = (("--compile", spec.compile, "compile"), ("--tiling", spec.tiling, "tile"))
    for option, wanted, method in options:
        if wanted and not hasattr(denoiser, method):
            raise ConfigError(f"{model.name} cannot be had with {option}; leave it out")
        if wanted:
            getattr(denoiser, method)()
    return denoiser
