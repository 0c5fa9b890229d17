"""What algorithms with typed parameters have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of algorithms whose parameters are typed settings; unknown names are refused.

    ``finalists``: how many of the returned trajectories are finished at the final steps and
    compared there, where those differ from the search's. ``needs`` and ``price`` are for the
    documentation: what an algorithm asks of the model, and its NFE in terms of its parameters and
    C, the NFE of a candidate. ``drafts``: the drafts that it asks for beside the search's own,
    which its run then loads. ``stochastic``: a run of it whose user named no solver takes one that
    injects some noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    needs: ClassVar[str] = "samples"
    price: ClassVar[str]

    @property
    def stochastic(self) -> bool:
        """True where it looks for the noise that a solver injects on the way."""
        return False

    @property
    def extendable(self) -> bool:
        """True where the asks do not depend on the total budget."""
        return True

    @property
    def adaptive(self) -> bool:
        """True where what it costs follows from the scores in ways that a plan cannot go through,
        so that a plan is an example."""
        return False

    @property
    def finalists(self) -> int:
        return 1

    @property
    def drafts(self) -> tuple[str, ...]:
        return ()

    def unbound(self) -> Self:
        """For runs that may be sampled by any solver, since their user asked for none."""
        return self

    def with_names(self, named: Mapping[str, str], steps: int) -> Self:
        """For runs of so many steps of a model with these names for drafts: their texts in place
        of the names."""
        return self


def check_elites(elites: int | None, population: int | None) -> None:
    """ValueError where all of a population would lead it."""
    if elites and population and elites >= population:
        raise ValueError(
            f"elites is {elites} and population {population}, so nobody would be left out; make "
            "elites the smaller"
        )
