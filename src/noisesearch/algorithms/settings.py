"""What algorithms with typed parameters have in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of algorithms whose parameters are typed settings; unknown names are refused.

    ``finalists``: how many of the returned trajectories are finished at the final steps and
    compared there, where those differ from the search's. ``needs`` and ``price`` are for the
    documentation: what an algorithm asks of the model, and its NFE in terms of its parameters and
    C, the NFE of a candidate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    needs: ClassVar[str] = "samples"
    price: ClassVar[str]

    @property
    def extendable(self) -> bool:
        """True where the asks do not depend on the total budget."""
        return True

    @property
    def finalists(self) -> int:
        return 1
