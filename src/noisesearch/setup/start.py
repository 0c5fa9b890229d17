"""The user's own first noise: what a pipeline draws from a seed, or latents that were kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..candidates.condition import Condition
from ..candidates.noise import Array, packed
from ..errors import ConfigError
from ..files import arrays as array_files
from ..models.capabilities import Sized, WithNativeLayout, of_pipeline
from ..names.capabilities import offered
from ..names.forms import numeral
from ..sampling.capabilities import DrawingNoise
from ..store.spec import StartSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..models.protocol import Model
    from ..sampling.sampler import Sampler

LATENTS = "latents"  # what our own files call them
NAMES = (LATENTS, "latent_tensor")  # the latter is ComfyUI's
TENSORS = (".safetensors", ".latent")  # the latter is ComfyUI's name for the same format
ARRAYS = (".npy", ".npz")
PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
KEEP = 'write it with safetensors.torch.save_file({"latents": x}, "x.safetensors")'
# Unit normals are this near to mean 0 and deviation 1, beside what chance does to a few numbers.
SLACK, DEVIATIONS = 0.02, 5.0


@dataclass(frozen=True)
class StartNoises:
    """First noises of a run, one for each condition, float32, exactly as they were given."""

    of: str
    noises: tuple[Array, ...]

    @cached_property
    def spec(self) -> StartSpec:
        keys = {id(noise): packed(noise)[0] for noise in self.noises}  # one may serve all
        return StartSpec(of=self.of, noises=[keys[id(noise)] for noise in self.noises])

    @property
    def remark(self) -> str:
        """A sentence where they do not look like unit normals, which models begin with."""
        for noise in self.noises:
            numbers = noise.astype(np.float64)
            mean, deviation = float(numbers.mean()), float(numbers.std())
            chance = DEVIATIONS / math.sqrt(noise.size)
            if abs(mean) > SLACK + chance or abs(deviation - 1) > SLACK + chance / math.sqrt(2):
                return (
                    f"{self.of} does not look like unit normals, which models begin with (mean "
                    f"{mean:.3g}, standard deviation {deviation:.3g}); it is used as it is"
                )
        return ""


def start_of(
    model: Model,
    conditions: Sequence[Condition],
    device: str,
    dtype: str,
    seed: int | str | None = None,
    latents: Any = None,
    sampler: Sampler | None = None,
) -> StartNoises | None:
    """The noises of a seed or of latents; None where neither is given. ConfigError otherwise.

    ``seed``: a number, drawn from on ``device``, or ``cpu:`` and a number; every condition gets
    the noise of a generator of its own. ``latents``: a file, array or tensor, [C, H, W] for all
    conditions or [N, C, H, W] for each of N, or both as the pipeline's ``latents=`` has them.
    ``sampler``: of a black box, which alone knows its noises.
    """
    if seed is not None and latents is not None:
        raise ConfigError("start-seed and start-latents are both given; choose one of them")
    shape = model.space().shape if sampler is None else sampler.shape
    if seed is not None:
        drawn = _drawn(sampler or model, shape, _generator(seed, device), dtype)
        return StartNoises(f"start-seed {seed}", (drawn,) * len(conditions))
    if latents is None:
        return None
    of = f"start-latents {latents}" if isinstance(latents, str | Path) else "start-latents"
    found = _fitted(_floats(_given(latents), of), of, model, shape, len(conditions))
    known: dict[str, Array] = {}
    for condition, noise in zip(conditions, found, strict=True):
        if not np.array_equal(known.setdefault(condition.key, noise), noise):
            raise ConfigError(
                f"{of}: the prompt {str(condition)!r} is there twice, with different latents; "
                "search from the second in a run of its own"
            )
    return StartNoises(of, tuple(found))


def _generator(seed: int | str, device: str) -> torch.Generator:
    import torch

    place, _, digits = str(seed).rpartition(":")
    number = numeral(digits)
    if number is None or number >= 2**64 or place not in ("", "cpu"):
        raise ConfigError(
            f"start-seed is {seed!r}, but must be a whole number from 0 up to 64 bits, such as "
            "1234, or cpu:1234 for a generator on the processor"
        )
    return torch.Generator(place or device).manual_seed(number)


def _drawn(
    of: Model | Sampler, shape: tuple[int, ...], generator: torch.Generator, dtype: str
) -> Array:
    import torch

    own = of_pipeline(of, DrawingNoise)
    if own is not None:
        noise = own.drawn(generator, dtype)
    else:
        noise = torch.randn(shape, generator=generator, device=generator.device)
    return noise.float().cpu().numpy()


def _given(latents: Any) -> Tensor:
    """The tensor that was given, or that a file holds."""
    import torch

    if isinstance(latents, str | Path):
        return _read(Path(latents).expanduser())
    if isinstance(latents, np.ndarray):
        return _tensor(latents)
    if isinstance(latents, torch.Tensor):
        return latents.detach().cpu()
    raise ConfigError(
        f"start-latents is a {type(latents).__name__}, but must be a file, an array or a tensor"
    )


def _tensor(array: Any) -> Tensor:
    import torch

    if array.dtype.kind not in "fiub":
        raise ConfigError(f"start-latents holds {array.dtype}, but must hold numbers")
    return torch.from_numpy(np.ascontiguousarray(array))


def _read(path: Path) -> Tensor:
    """The one tensor of a file; nothing is unpickled."""
    if path.suffix in PICKLED:
        raise ConfigError(
            f"start-latents {path} would have to be unpickled, which can run anything; {KEEP}"
        )
    if not path.is_file():
        raise ConfigError(f"start-latents {path}: no such file; {KEEP}")
    if path.suffix in TENSORS:
        return _of_tensors(path)
    if path.suffix in ARRAYS:
        return _of_arrays(path)
    raise ConfigError(
        f"start-latents {path} is none of {', '.join((*TENSORS, *ARRAYS))} files; {KEEP}"
    )


def _of_tensors(path: Path) -> Tensor:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as stored:
            found: Tensor = stored.get_tensor(_name(path, list(stored.keys())))
            return found
    except SafetensorError as error:
        raise ConfigError(f"start-latents {path} cannot be read ({error}); {KEEP}") from error


def _of_arrays(path: Path) -> Tensor:
    try:
        if path.suffix == ".npy":
            return _tensor(array_files.array(path))
        with array_files.opened(path) as stored:
            return _tensor(stored[_name(path, list(stored))])
    except array_files.BROKEN as error:
        if isinstance(error, ConfigError):
            raise
        why = array_files.reason(error)
        raise ConfigError(f"start-latents {path} cannot be read ({why}); {KEEP}") from error


def _name(path: Path, names: Sequence[str]) -> str:
    """Of several tensors the one that is named as latents are."""
    if len(names) == 1:
        return names[0]
    for name in NAMES:
        if name in names:
            return name
    held = ", ".join(sorted(names)[:8]) or "nothing"
    raise ConfigError(f"start-latents {path} must hold one tensor, and holds {held}; {KEEP}")


def _floats(found: Tensor, of: str) -> Tensor:
    """float32; ConfigError for other kinds of numbers and for those that are not finite."""
    if not found.is_floating_point():
        raise ConfigError(
            f"{of} holds {str(found.dtype).removeprefix('torch.')}, but noise is floating-point "
            "numbers near 0; give the latents, not a picture"
        )
    numbers = found.float()
    if not numbers.any():
        raise ConfigError(f"{of} holds only zeros; give the latents that a picture begins with")
    strange = int((~numbers.isfinite()).sum())
    if strange:
        raise ConfigError(
            f"{of} holds {strange} numbers of {numbers.numel()} that are not finite; give latents "
            "without NaN and infinities"
        )
    return numbers


def _fitted(
    found: Tensor, of: str, model: Model, shape: tuple[int, ...], count: int
) -> list[Array]:
    """One noise for each of ``count`` conditions, in the shape of the model's."""
    import torch

    pipeline = of_pipeline(model, WithNativeLayout)
    # A pipeline's own layout only puts the numbers elsewhere: where each goes tells the way back.
    order = torch.arange(math.prod(shape)).reshape(1, *shape)
    order = order[0] if pipeline is None else pipeline.native(order)[0]
    own, given = tuple(order.shape), tuple(found.shape)
    width, height = model.size
    size = f" at {width}x{height}" if width else ""  # of a black box it may not be known
    for layout in (shape, own):
        if given == layout:
            found, given = found[None], (1, *given)
        if given[1:] != layout:
            continue
        if given[0] not in (1, count):
            raise ConfigError(
                f"{of} holds {given[0]} noises for {count} prompt{'s' * (count > 1)}; give one "
                "for all, or one for each"
            )
        if layout != shape:
            rows = found.reshape(len(found), -1)
            found = torch.empty_like(rows)
            found[:, order.reshape(-1)] = rows
        noises = list(found.reshape(-1, *shape).numpy())
        return noises * count if len(noises) == 1 else noises
    also = "" if own == shape else f" or {list(own)}"
    resize = ", or choose their size with --size" if offered(model, Sized) is not None else ""
    raise ConfigError(
        f"{of} has the shape {list(given)}, but {model.name}{size} needs {list(shape)}{also}, "
        f"or one such for each prompt; give latents of this model{resize}"
    )
