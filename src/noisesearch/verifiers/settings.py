"""Verifiers that are chosen by name, with settings: ``clipscore(weights=/data/clip)``."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from ..names.forms import form

if TYPE_CHECKING:
    from .protocol import Verifier

Precision = Literal["float32", "bfloat16", "float16"]


class Vocabulary(Protocol):
    """What a verifier may know of the model whose samples it scores."""

    def words(self) -> tuple[str, ...]:
        """Return the names of the model's classes, in order; empty where it reads free text."""
        ...


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

    def open_for(self, model: Vocabulary) -> Verifier:
        """Return the verifier for runs of this model; its class names may matter."""
        return self.open()

    def __str__(self) -> str:
        given = self.model_dump(exclude_defaults=True, mode="json")
        return form(self.name, {key: str(value) for key, value in given.items()})
