"""What a model offers before and after its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ..candidates.condition import Condition
from ..candidates.space import Space

if TYPE_CHECKING:
    from ..sampling.denoiser import Denoiser
    from ..sampling.sampler import Sampler


class Model(Protocol):
    """A model by name; light until :meth:`build`, so that a request is checked at once.

    ``ensemble``: the verifiers that `ensemble` stands for. ``verifiers``: which target the role
    names resolve to here. ``fingerprint``: of the weights; a run of others is refused.

    What it may offer beyond this is in :mod:`models.capabilities`.
    """

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def guidance(self) -> float: ...
    @property
    def solver(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def ensemble(self) -> tuple[str, ...]: ...
    @property
    def verifiers(self) -> Mapping[str, str]: ...
    @property
    def fingerprint(self) -> str: ...

    def condition(self, text: str | None, negative: str | None = None) -> Condition:
        """The condition of a prompt (None: unconditional); ConfigError where it cannot be read."""
        ...

    def words(self) -> tuple[str, ...]:
        """The vocabulary, where it is closed."""
        ...

    def examples(self, count: int) -> list[str]:
        """Prompts to compare methods on, at most ``count``; none where the model has no set."""
        ...

    def space(self) -> Space: ...

    def build(self, guidance: float, device: str, dtype: str) -> Denoiser | Sampler:
        """Load the weights. ``dtype``: float32 or bfloat16. A Sampler where the space is that of a
        black box."""
        ...
