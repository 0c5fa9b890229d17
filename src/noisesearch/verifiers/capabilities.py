"""What a verifier may offer beyond :class:`Verifier`: a protocol for each.

There is one way to read them. A flag or a value has a function here that gives it, or its default
where the verifier has none. For a method ask ``offered(verifier, WithFeatures)``, which gives the
verifier as one that has it, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..candidates.condition import Condition
from ..errors import ConfigError
from ..names.capabilities import offered
from ..names.capabilities import warn_of_near_misses as _warn_of_near_misses
from .protocol import Verifier, Views

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..objectives.sets import Rows


@runtime_checkable
class Previewing(Protocol):
    """A verifier that compares a sample with what it was predicted to be on the way.

    ``previews``: the times at which it looks back, of the linear interpolant, as every σ of
    arXiv 2501.09732. The worker keeps the predictions nearest to them, and ``views.previews`` has
    them by time. Black boxes have no previews, so a run refuses such a verifier there.
    """

    @property
    def previews(self) -> Sequence[float]: ...


@runtime_checkable
class WholeOnly(Protocol):
    """A verifier to which the preview of an unfinished sample means nothing.

    ``whole_only``: true where that is so; a run refuses an algorithm that shows it previews.
    """

    @property
    def whole_only(self) -> bool: ...


@runtime_checkable
class Video(Protocol):
    """A verifier that looks at whole videos.

    ``video``: true where its ``views.images`` are [B, F, 3, H, W] for a model of videos. Others
    are shown single frames, and their scores are averaged (:mod:`verifiers.video`).
    """

    @property
    def video(self) -> bool: ...


@runtime_checkable
class Heavy(Protocol):
    """A verifier that is worth a device of its own where a run has many.

    ``heavy``: true where that is so. The executor on Ray gives it a device if it has no
    gradients.
    """

    @property
    def heavy(self) -> bool: ...


@runtime_checkable
class Paid(Protocol):
    """A verifier whose answers cost money.

    ``paid``: true where they do. The journal says so before it is asked, a budget in usd needs
    one, and ``auto`` does not show it previews.
    """

    @property
    def paid(self) -> bool: ...


@runtime_checkable
class InTerminal(Protocol):
    """A verifier that asks a person in the terminal.

    ``terminal``: true where it does; the command line then draws no progress bar.
    """

    @property
    def terminal(self) -> bool: ...


@runtime_checkable
class MovableVerifier(Protocol):
    """A verifier whose modules are moved to the device of the images.

    ``networks``: its modules. A run moves them with the phases of its work, and off the device
    again with ``--memory lean``.
    """

    @property
    def networks(self) -> Sequence[nn.Module]: ...


@runtime_checkable
class WithFeatures(Protocol):
    """A verifier that gives what it sees in an image, for objectives and metrics of sets."""

    def features(self, views: Views) -> Tensor:
        """Return the features [B, d] of images [B, 3, H, W]."""
        ...


@runtime_checkable
class WithReference(Protocol):
    """A verifier that knows what real images look like.

    ``reference``: mean [d] and covariance [d, d] of the features of real images, as arrays, None
    where it has none; for objectives and metrics of sets that name no file.
    """

    @property
    def reference(self) -> tuple[Rows, Rows] | None: ...


@runtime_checkable
class WithLogits(Protocol):
    """A classifier, for the Inception Score of ``noisesearch evaluate``."""

    def logits(self, views: Views) -> Tensor:
        """Return what it says of each class [B, classes] before the softmax."""
        ...


@runtime_checkable
class WithClasses(Protocol):
    """A classifier, for the Inception Score of experiments."""

    def classes(self, views: Views) -> Tensor:
        """Return the probability of every class [B, classes]."""
        ...


@runtime_checkable
class WithReportedParts(Protocol):
    """A verifier some of whose parts are only reported.

    ``reported``: those of its parts that no objective wants which does not name them.
    """

    @property
    def reported(self) -> Sequence[str]: ...


@runtime_checkable
class CheckingConditions(Protocol):
    """A verifier that can say before a run that it cannot score some conditions."""

    def check(self, conditions: Sequence[Condition]) -> None:
        """Raise ConfigError where it cannot score one of the conditions."""
        ...


CAPABILITIES: tuple[Callable[..., Any], ...] = (
    Previewing, WholeOnly, Video, Heavy, Paid, InTerminal, MovableVerifier, WithFeatures,
    WithReference, WithLogits, WithClasses, WithReportedParts, CheckingConditions,
)  # fmt: skip


def previews_of(verifier: object) -> tuple[float, ...]:
    """Return the times at which a verifier looks back on a sample."""
    found = offered(verifier, Previewing)
    return () if found is None else tuple(found.previews)


def whole_only(verifier: object) -> bool:
    """Return whether previews of unfinished samples mean nothing to a verifier."""
    found = offered(verifier, WholeOnly)
    return found is not None and bool(found.whole_only)


def video(verifier: object) -> bool:
    """Return whether a verifier looks at whole videos."""
    found = offered(verifier, Video)
    return found is not None and bool(found.video)


def heavy(verifier: object) -> bool:
    """Return whether a verifier is worth a device of its own."""
    found = offered(verifier, Heavy)
    return found is not None and bool(found.heavy)


def paid(verifier: object) -> bool:
    """Return whether a verifier's answers cost money."""
    found = offered(verifier, Paid)
    return found is not None and bool(found.paid)


def in_terminal(verifier: object) -> bool:
    """Return whether a verifier asks a person in the terminal."""
    found = offered(verifier, InTerminal)
    return found is not None and bool(found.terminal)


def networks(verifier: object) -> Sequence[nn.Module]:
    """Return the modules of a verifier; none where it names none."""
    found = offered(verifier, MovableVerifier)
    return () if found is None else found.networks


def reference(verifier: object) -> tuple[Rows, Rows] | None:
    """Return what a verifier knows of real images: mean [d] and covariance [d, d]."""
    found = offered(verifier, WithReference)
    return None if found is None else found.reference


def reported(verifier: object) -> Sequence[str]:
    """Return the parts of a verifier that are reported, and wanted where they are named."""
    found = offered(verifier, WithReportedParts)
    if found is None or not isinstance(found.reported, list | tuple | set | frozenset):
        return ()  # an attribute of the user's own that only has this name
    return tuple(found.reported)


def check(verifiers: Iterable[Verifier], conditions: Sequence[Condition]) -> None:
    """Raise ConfigError where one of the verifiers says that it cannot score the conditions."""
    for verifier in verifiers:
        checking = offered(verifier, CheckingConditions)
        if checking is not None:
            checking.check(conditions)


def features_of(verifier: Verifier) -> Callable[[Views], Tensor]:
    """Return what gives a verifier's features [B, d]; ConfigError where it has none."""
    found = offered(verifier, WithFeatures)
    if found is None:
        raise ConfigError(
            f"verifier {verifier.name!r} gives no features, but an objective that compares sets "
            "needs them; name another verifier in it"
        )
    return found.features


def warn_of_near_misses(verifier: object, name: str) -> None:
    """Warn where a user's verifier or function has an attribute that is almost one of these."""
    _warn_of_near_misses("verifier", name, verifier, (Verifier, *CAPABILITIES))
