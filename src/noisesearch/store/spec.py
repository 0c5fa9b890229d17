"""The spec of a run: every setting resolved, so that the folder alone says what ran."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PlainSerializer,
    PlainValidator,
    PositiveInt,
    ValidationError,
)

from ..candidates.budget import EVEN, MAX_MISSING, Budget
from ..candidates.trajectory import FULL
from ..errors import ConfigError, StoreError
from ..names.forms import short_name
from ..names.options import sentence
from ..version import __version__
from .formats import FORMAT

# More than anybody has asked for, and little enough to be tried.
Steps = Annotated[int, Field(ge=1, le=100_000)]
Rows = Annotated[int, Field(ge=1, le=2**16)]
Scale = Annotated[float, Field(gt=0, le=1e100)]
SOME = Field(min_length=1)
VERIFIER = "verifier "  # how the fingerprint of a verifier is named, before its name


def usable(content: dict[str, Any]) -> dict[str, Any]:
    """As it is, where a condition can be made of it; ValueError otherwise."""
    try:
        _Condition.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"a condition cannot be used: {sentence(error)}") from error
    for text in content.values():
        try:
            str(text).encode()
        except UnicodeEncodeError as error:  # halves of letters, of which no file can be written
            raise ValueError(
                f"{text!r:.60} is no text in unicode; give the prompt in UTF-8"
            ) from error
    return content


def _budget(given: Any) -> Budget:
    """The budget of a text, or as it is; ValueError otherwise."""
    try:
        return Budget.parse(given)
    except ConfigError as error:
        raise ValueError(str(error)) from error


class _Condition(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    text: str | None = None
    label: int | None = None
    negative: str | None = None
    image: str | None = None
    mask: str | None = None


class StartSpec(BaseModel):
    """The user's own first noises: what they are ``of``, and their blob keys by condition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    noises: list[str]


class RunSpec(BaseModel):
    """Written to ``spec.json`` before anything runs; a resume reads nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    version: str = __version__
    model: str
    conditions: Annotated[list[Annotated[dict[str, Any], AfterValidator(usable)]], SOME]
    verifiers: list[str]
    watch: list[str] = Field(default_factory=list)  # held out
    guard: list[str] = Field(default_factory=list)  # of the verifiers: never below the baseline
    guarded: list[str] = Field(default_factory=list)  # the parts of those verifiers
    objective: str = ""
    scales: dict[str, Scale] = Field(default_factory=dict)
    algorithm: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    budget: Annotated[Budget, PlainValidator(_budget), PlainSerializer(str)]
    allocate: str = EVEN  # how a run's budget is shared by its searches
    target: str = ""  # what ends a search before its budget does
    patience: PositiveInt | None = None  # candidates' worth without a better one, likewise
    seed: NonNegativeInt
    start: StartSpec | None = None
    steps: Steps
    final_steps: Steps
    draft: str = FULL  # of the search's candidates
    drafts: list[str] = Field(default_factory=list)  # drafts that can be asked for beside full
    guidance: FiniteFloat
    solver: str
    size: str = ""  # WIDTHxHEIGHT where the model has several
    call: dict[str, Any] = Field(default_factory=dict)  # further arguments of a pipeline's call
    rows: Rows
    draft_rows: dict[str, Rows] = Field(default_factory=dict)  # of drafts looked at beside
    dtype: str
    device: str
    threads: Rows
    memory: str = "full"
    compile: bool = False
    tiling: bool = False
    top: PositiveInt = 1
    keep: str = "all"
    max_missing: float = MAX_MISSING
    objects: dict[str, list[str]] = Field(default_factory=dict)  # Python's, by kind
    fingerprints: dict[str, str] = Field(default_factory=dict)

    @property
    def drafted(self) -> bool:
        """Return whether winners are finished otherwise than the search sees them."""
        return self.final_steps != self.steps or self.draft != FULL

    @classmethod
    def of(cls, **settings: Any) -> RunSpec:
        """What a user asked for; ConfigError where nothing could run it."""
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise ConfigError(sentence(error)) from error

    @classmethod
    def read(cls, content: dict[str, Any], folder: object) -> RunSpec:
        """From ``spec.json``; StoreError for another version, before anything is touched."""
        version = content.get("version")
        if content.get("format") != FORMAT or version != __version__:
            raise StoreError(
                f"{folder} was made by noisesearch {version} (format {content.get('format')}), "
                f"this is {__version__} (format {FORMAT}), and their samples may differ; "
                f"go on with: pip install noisesearch=={version}"
            )
        try:
            spec = cls.model_validate(content)
        except ValidationError as error:
            raise StoreError(f"{folder}/spec.json is not complete: {sentence(error)}") from error
        if "guarded" in content or not spec.guard:
            return spec
        return spec.model_copy(update={"guarded": spec._guarded_by_name()})

    @property
    def verifier_names(self) -> dict[str, str]:
        """The names of the verifiers, searched and watched, by the texts that name them."""
        texts = [*self.verifiers, *self.watch]
        prints = [name for name in self.fingerprints if name.startswith(VERIFIER)]
        if len(prints) != len(texts):  # two verifiers have one name
            return {text: short_name(text) for text in texts}
        return {t: name.removeprefix(VERIFIER) for t, name in zip(texts, prints, strict=True)}

    def _guarded_by_name(self) -> list[str]:
        """Return the parts of the guards of a spec that does not list them: a verifier of one
        part gives it its own name."""
        names = self.verifier_names
        guards = {name for text in self.guard for name in (short_name(text), names.get(text))}
        return [part for part in self.scales if part in guards]


EXPERIMENT = "experiment.json"  # in the folder of an experiment, whose runs are below it
