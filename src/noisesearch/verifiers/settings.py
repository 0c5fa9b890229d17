"""Verifiers that are chosen by name, with settings: ``clipscore(weights=/data/clip)``."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from ..names.forms import form

if TYPE_CHECKING:
    from ..models.protocol import Model
    from .protocol import Verifier

Precision = Literal["float32", "bfloat16", "float16"]


class VerifierSettings(BaseModel):
    """Base of verifiers whose settings are typed; unknown names are refused.

    The docstring's first line is the summary of ``noisesearch list verifiers``. Written as text it
    is ``name(setting=value, …)``, and so it stands in a run's spec.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]

    @abstractmethod
    def open(self) -> Verifier:
        """The verifier, its weights loaded."""

    def open_for(self, model: Model) -> Verifier:
        """The same for runs of this model, for a verifier that has to know more of it."""
        return self.open()

    def __str__(self) -> str:
        given = self.model_dump(exclude_defaults=True, mode="json")
        return form(self.name, {key: str(value) for key, value in given.items()})
