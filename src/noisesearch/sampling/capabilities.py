"""What a denoiser or a sampler may offer beyond its protocol: a protocol for each.

There is one way to read them. A value has a function here that gives it, or its default where
there is none. For a method ask ``offered(denoiser, Remembering)``, which gives the denoiser as one
that has it, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..names.capabilities import offered
from ..names.capabilities import warn_of_near_misses as _warn_of_near_misses

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from .denoiser import Denoiser, Encoded, RowMemories
    from .solvers import Pair


@runtime_checkable
class WithPhases(Protocol):
    """A denoiser whose modules are moved to the device when a phase of the work needs them.

    ``networks``: its modules by phase (READ, DENOISE, LOOK). Without them a run cannot be had in
    lean memory.
    """

    @property
    def networks(self) -> Mapping[str, Sequence[nn.Module]]: ...


@runtime_checkable
class Resident(Protocol):
    """A sampler whose modules stay on the device in every phase.

    ``resident``: these modules; a plan counts their weights in each phase.
    """

    @property
    def resident(self) -> Sequence[nn.Module]: ...


@runtime_checkable
class WithWorkingMemory(Protocol):
    """A denoiser that knows how much memory it needs beside its weights; plans ask for it."""

    def work(self, rows: int) -> Mapping[str, int]:
        """Return bytes by phase, in batches of ``rows``."""
        ...


@runtime_checkable
class Compilable(Protocol):
    """A denoiser whose network torch.compile can translate, for ``--compile``."""

    def compile(self) -> None:
        """Have torch.compile translate the network; called once, before anything is sampled."""
        ...


@runtime_checkable
class Tiling(Protocol):
    """A denoiser that can decode pictures in tiles, for ``--tiling``."""

    def tile(self) -> None:
        """Decode in tiles from now on; called once, before anything is sampled."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A denoiser that keeps something of each row between two evaluations, as a cache does.

    The worker calls ``recall`` in place of the denoiser itself.
    """

    def recall(self, x: Tensor, t: Tensor, encoded: Encoded, live: RowMemories) -> Pair:
        """Return (x0, ε) at x [B, …] and t [B].

        ``live`` has, by row, what was kept of each row that is work, None at a row's first
        evaluation. The denoiser leaves there what it keeps now. A memory that is the same object
        as before means that the row was not computed in full.
        """
        ...


@runtime_checkable
class Rewirable(Protocol):
    """A denoiser whose network can be exchanged, for drafts that skip layers, cache or adapt."""

    def rewired(self, change: Callable[[Any], Any]) -> Denoiser:
        """Return the same denoiser with the network that ``change(network)`` gives."""
        ...


@runtime_checkable
class DrawingNoise(Protocol):
    """A sampler, or a model, that draws start noise as its own pipeline does.

    ``--start-seed`` asks for it; without it the noise is float32 normals of torch.
    """

    def drawn(self, generator: Generator, dtype: str) -> Tensor:
        """Return the noise [C, H, W] that the pipeline in ``dtype`` draws of a generator."""
        ...


CAPABILITIES: tuple[Callable[..., Any], ...] = (
    WithPhases, Resident, WithWorkingMemory, Compilable, Tiling, Remembering, Rewirable,
    DrawingNoise,
)  # fmt: skip


def networks(denoiser: object) -> Mapping[str, Sequence[nn.Module]]:
    """Return the modules of a denoiser by phase; none where it names none."""
    found = offered(denoiser, WithPhases)
    return {} if found is None else found.networks


def resident(denoiser: object) -> Sequence[nn.Module]:
    """Return the modules that stay on the device in every phase."""
    found = offered(denoiser, Resident)
    return () if found is None else found.resident


def warn_of_near_misses(denoiser: object, model: str) -> None:
    """Warn where a user's denoiser or sampler has an attribute that is almost one of these.
    ``model``: the name of its model."""
    from .denoiser import Denoiser
    from .sampler import Sampler

    known = Denoiser, Sampler, *CAPABILITIES
    _warn_of_near_misses("denoiser or sampler of model", model, denoiser, known)
