"""What a verifier is, and a plain function dressed as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from ..candidates.condition import Condition


@dataclass(frozen=True)
class Views:
    """What verifiers look at: images [B, 3, H, W] in [0, 1], as the 8-bit file holds them.

    Of a model of videos they are [B, F, 3, H, W] for a verifier that says ``video = True``; others
    are shown single frames (:mod:`verifiers.video`).

    ``previews``: by the time that a verifier wants (its ``previews``), images like ``images`` of
    the prediction at the nearest level of the sample's grid.

    ``memo``: what verifiers have worked out of these very images, for those after them: two that
    look through one network run it once.
    """

    images: Tensor
    conditions: Sequence[Condition]
    previews: Mapping[float, Tensor] = field(default_factory=dict)
    keys: Sequence[str] = ()
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, key: Any, work: Callable[[], Any]) -> Any:
        """``work()`` of these images, done once for all verifiers that ask under this key."""
        if key not in self.memo:
            self.memo[key] = work()
        return self.memo[key]


class Verifier(Protocol):
    """Scores a batch; larger is always better.

    Contract: returns [B] numbers for every name in ``parts``; NaN says "no score for this row".
    Rows are independent. It is called with one fixed number of rows (``rows``, or the run's
    where None), so some may be copies. ``scale``: a part's typical standard deviation among
    i.i.d. candidates of one prompt. May raise: the rows are then tried one by one.

    What it may offer beyond this is in :mod:`verifiers.capabilities`.
    """

    @property
    def name(self) -> str: ...
    @property
    def parts(self) -> tuple[str, ...]: ...
    @property
    def scale(self) -> Mapping[str, float]: ...
    @property
    def differentiable(self) -> bool: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def fingerprint(self) -> str: ...

    def __call__(self, views: Views) -> Mapping[str, Tensor]: ...


class OnePart:
    """Base of verifiers with one part, which has their name; ``deviation`` is its scale."""

    name: str
    deviation: float

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def scale(self) -> Mapping[str, float]:
        return {self.name: self.deviation}


@dataclass(frozen=True)
class FunctionVerifier(OnePart):
    """``f(images, conditions)`` returning [B] numbers, as a verifier with one part."""

    function: Callable[[Tensor, Sequence[Condition]], Any]
    name: str
    fingerprint: str = ""
    differentiable: bool = False
    rows: int | None = None
    whole_only: bool = False
    deviation = 1.0

    @property
    def video(self) -> bool:
        """The function's own word for it."""
        return bool(getattr(self.function, "video", False))

    def __call__(self, views: Views) -> Mapping[str, Any]:
        return {self.name: self.function(views.images, views.conditions)}
