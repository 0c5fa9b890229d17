"""What an algorithm may offer beyond :class:`Algorithm`: a protocol for each.

There is one way to read them. A flag or a value has a function here that gives it, or its default
where the algorithm has none. For a method ask ``offered(algorithm, WithNames)``, which gives the
algorithm as one that has it, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

from ..candidates.space import Known
from ..candidates.trajectory import Trajectory
from ..names.capabilities import offered
from ..names.capabilities import warn_of_near_misses as _warn_of_near_misses
from .problem import Algorithm, Problem


@runtime_checkable
class Stochastic(Protocol):
    """An algorithm that searches the noise that a solver injects on the way.

    ``stochastic``: true where it does; a run whose user named no solver then takes one that
    injects some.
    """

    @property
    def stochastic(self) -> bool: ...


@runtime_checkable
class Joint(Protocol):
    """An algorithm that makes one search for all conditions together, and returns a whole set.

    ``joint``: true where it does. Such an algorithm is also :class:`WithBaselineSet`.
    """

    @property
    def joint(self) -> bool: ...


@runtime_checkable
class WithBaselineSet(Protocol):
    """A joint algorithm that knows which set there is without a search; the driver asks for it
    before the search begins."""

    def unsearched(self, problem: Problem) -> Sequence[Trajectory]:
        """Return the trajectories of the set without search."""
        ...


@runtime_checkable
class WithSetSize(Protocol):
    """A joint algorithm that is told how large its set is.

    ``size``: samples in the set, None for one of each condition.
    """

    @property
    def size(self) -> int | None: ...


@runtime_checkable
class Adaptive(Protocol):
    """An algorithm whose cost follows from its scores in ways that a plan cannot go through.

    ``adaptive``: true where that is so; its plan is then an example.
    """

    @property
    def adaptive(self) -> bool: ...


@runtime_checkable
class WithFinalists(Protocol):
    """An algorithm of whose returned trajectories several are finished at the final steps.

    ``finalists``: how many; they are compared where the final steps differ from the search's.
    """

    @property
    def finalists(self) -> int: ...


@runtime_checkable
class AskingForDrafts(Protocol):
    """An algorithm that asks for drafts beside the search's own.

    ``drafts``: their texts; its run loads them.
    """

    @property
    def drafts(self) -> Sequence[str]: ...


@runtime_checkable
class WithFingerprints(Protocol):
    """An algorithm that was fitted on something before the search.

    ``fingerprints``: of what it was fitted on, by name; a run is not resumed with others.
    """

    @property
    def fingerprints(self) -> Mapping[str, str]: ...


@runtime_checkable
class Unbound(Protocol):
    """An algorithm that may search otherwise where the user leaves it free."""

    def unbound(self) -> Algorithm:
        """Return the algorithm for a run whose user asked for no solver, first noise, draft or
        number of final steps."""
        ...


@runtime_checkable
class WithNames(Protocol):
    """An algorithm whose settings may name a model's drafts by the model's own names."""

    def with_names(self, named: Mapping[str, str], steps: int) -> Algorithm:
        """Return the algorithm for runs of ``steps`` steps, with the texts of drafts in place of
        their names. ``named``: the model's texts by name."""
        ...


@runtime_checkable
class WithRunFacts(Protocol):
    """An algorithm that takes something from the run's model or verifiers."""

    def with_run_facts(self, known: Known) -> Algorithm:
        """Return the algorithm with what it takes from what is known of the run; ConfigError
        where that does not fit."""
        ...


CAPABILITIES: tuple[Callable[..., Any], ...] = (
    Stochastic, Joint, WithBaselineSet, WithSetSize, Adaptive, WithFinalists, AskingForDrafts,
    WithFingerprints, Unbound, WithNames, WithRunFacts,
)  # fmt: skip


def is_algorithm(thing: object) -> TypeGuard[Algorithm]:
    """Return whether an object is an algorithm, and not a plain generator function."""
    return hasattr(thing, "extendable")


def stochastic(algorithm: object) -> bool:
    """Return whether an algorithm searches the noise that a solver injects."""
    found = offered(algorithm, Stochastic)
    return found is not None and bool(found.stochastic)


def joint(algorithm: object) -> bool:
    """Return whether an algorithm makes one search for all conditions together."""
    found = offered(algorithm, Joint)
    return found is not None and bool(found.joint)


def set_size(algorithm: object) -> int | None:
    """Return how large the set of a joint algorithm is; None for one of each condition."""
    found = offered(algorithm, WithSetSize)
    return None if found is None else found.size


def adaptive(algorithm: object) -> bool:
    """Return whether the plan of an algorithm is an example."""
    found = offered(algorithm, Adaptive)
    return found is not None and bool(found.adaptive)


def finalists(algorithm: object) -> int:
    """Return how many returned trajectories an algorithm wants to be finished; 1 by default."""
    found = offered(algorithm, WithFinalists)
    return 1 if found is None else found.finalists


def drafts(algorithm: object) -> Sequence[str]:
    """Return the drafts that an algorithm asks for beside the search's own."""
    found = offered(algorithm, AskingForDrafts)
    return () if found is None else found.drafts


def fingerprints(algorithm: object) -> Mapping[str, str]:
    """Return the fingerprints of what an algorithm was fitted on, by name."""
    found = offered(algorithm, WithFingerprints)
    return {} if found is None else found.fingerprints


def warn_of_near_misses(algorithm: object, name: str) -> None:
    """Warn where a user's algorithm has an attribute that is almost one of these."""
    _warn_of_near_misses("algorithm", name, algorithm, (Algorithm, *CAPABILITIES))
