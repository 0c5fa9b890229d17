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

    It may also have ``real(conditions, count) -> images [N, 3, H, W]`` in [0, 1]: real images of
    the conditions in turn, for objectives that compare sets; ``sized(width, height) -> Model``,
    where it has several sizes; ``why``, a sentence that is said before it runs; ``placed``,
    (device, dtype) of weights that are in memory already and are used where and as they are;
    ``drafts``, short names of drafts; ``beside(denoiser, guidance) -> Denoiser``, as :meth:`build`
    with the weights that a denoiser has loaded already.

    For noise that comes from elsewhere or goes there: ``drawn(generator, dtype) -> noise``, what
    its own pipeline draws (without it, float32 normals of torch); ``native(noises [B, …])``, as
    its own ``latents=`` takes them, the same numbers in another order; ``arguments(condition,
    guidance)`` of its own call beside noise and steps; ``opened(solver, device, dtype)``, lines of
    Python that make the pipeline as ``pipe``.
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
