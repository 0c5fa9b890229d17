"""What an experiment is, as TOML says it: prompts, seeds, arms, what is measured and claimed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ConfigError, unknown
from ..files.json_text import parsed
from ..names.options import sentence
from ..store.formats import current_arms

# The model's own; a file's or a benchmark's, as --prompts takes them; or as they are.
STORED = ".json"  # how the file of an experiment's folder ends
Prompts = int | str | list[str]
Model = TypeVar("Model", bound=BaseModel)


class Closed(BaseModel):
    """Settings whose unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(Closed):
    """What is measured of an arm's winners.

    ``columns``: verifiers that look at them, whether they were searched or not. ``sets``: figures
    of all winners together, by the features of verifier ``eye`` (and the class probabilities of
    verifier ``classes``, for the Inception Score). ``real``: how many real images precision and
    recall compare with, or an .npz file with their ``features`` [n, d]. ``by_group``: columns by
    name, each with the metric of every group of prompts, as benchmarks judge categories apart.
    """

    columns: tuple[str, ...] = ()
    by_group: dict[str, dict[str, str]] = Field(default_factory=dict)
    sets: tuple[str, ...] = ()
    eye: str = ""
    classes: str = ""
    real: int | str = 1000


class Claim(Closed):
    """Something that can be found to hold or not to hold, by a 95 % interval.

    ``contrast``: weights of arms, whose weighted sum of ``column`` is estimated; or ``correlate``:
    two parts, whose rank correlation over all candidates of arm ``of`` is. The claim is that the
    figure is above ``more_than`` or below ``less_than``; ``untestable`` says instead why nothing
    here can tell.
    """

    says: str
    column: str = ""
    contrast: dict[str, float] = Field(default_factory=dict)
    correlate: tuple[str, str] | None = None
    of: str = ""
    more_than: float | None = None
    less_than: float | None = None
    untestable: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ways = [bool(self.contrast), self.correlate is not None, bool(self.untestable)]
        if sum(ways) != 1:
            raise ValueError(
                f"claim {self.says!r} needs exactly one of contrast, correlate and untestable"
            )
        if not self.untestable and (self.more_than is None) == (self.less_than is None):
            raise ValueError(f"claim {self.says!r} needs more_than or less_than, and not both")
        if self.contrast and not self.column:
            raise ValueError(f"claim {self.says!r} has a contrast of no column; name it")
        if self.correlate and not self.of:
            raise ValueError(f"claim {self.says!r} has a correlation of no arm; name it in of")
        return self


class Plot(Closed):
    """What is drawn: columns over ``x``; arms of one ``line`` are joined. ``images``: so many
    conditions as rows of pictures, an arm a column."""

    x: Literal["nfe", "forwards", "gflops"] = "nfe"
    y: tuple[str, ...] = ()
    images: int = Field(default=0, ge=0)


class Experiment(Closed):
    """One experiment; ``arms`` are tables of settings, of which a list is swept.

    ``prompts`` may be a table: prompts by group, whose columns are reported by group too.
    ``assets``: what the user may have to give (files, hub ids), by the name that ``$NAME`` in
    other settings stands for; those that are "" have to be given. ``id`` and ``scale``: which of
    the paper's experiments it is.
    """

    id: str = ""
    scale: str = ""
    summary: str
    question: str = ""
    finding: str = ""
    remark: str = ""
    why: str = ""  # what may make it differ from the finding, where it does
    minutes: float | None = Field(default=None, gt=0)
    most_nfe: int | None = Field(default=None, ge=1)  # that the whole may need
    prompts: Prompts | dict[str, Prompts] = 16
    limit: int | None = Field(default=None, ge=1)  # of prompts, of a file's the first
    seeds: int = Field(default=1, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0)
    assets: dict[str, str] = Field(default_factory=dict)
    about: dict[str, str] = Field(default_factory=dict)  # what an asset is, for who has to give it
    defaults: dict[str, Any] = Field(default_factory=dict)
    arms: list[dict[str, Any]]
    measure: Measure = Measure()
    plot: Plot = Plot()
    claims: list[Claim] = Field(default_factory=list)


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, or of the experiment.json of an experiment's folder; ConfigError
    with its line where it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        return _stored(path, text) if path.suffix == STORED else tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(
            f"experiment {path} cannot be read ({reason.lower()}); give a TOML file"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"experiment {path} is not TOML: {error}") from error


def _stored(path: Path, text: str) -> dict[str, Any]:
    """What a folder's own file says of the experiment that was run there."""
    try:
        return current_arms(parsed(text)["experiment"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} holds no experiment; give a TOML file, or the experiment.json of a folder "
            "that `noisesearch run` or `reproduce` made"
        ) from error


def experiment(content: Mapping[str, Any], assets: Mapping[str, str] | None = None) -> Experiment:
    """A checked experiment with its assets put in; ConfigError in one sentence otherwise."""
    if not content.get("arms"):
        raise ConfigError(
            "the experiment has no arm, so nothing would run; add a table [[arms]] with a name"
        )
    found = checked(Experiment, content, "experiment key")
    wanted = {**found.assets, **(assets or {})}
    for name in wanted.keys() - found.assets.keys():
        raise unknown("asset", name, found.assets)
    lacking = [f"{name}: {found.about.get(name, 'a file, folder or hub id')}"
               for name in found.assets if name in _used(content) and not wanted[name]
               and name not in (assets or {})]  # fmt: skip
    if lacking:
        raise ConfigError(
            f"the experiment needs what only you can give: {'; '.join(lacking)}; add --asset "
            "NAME=PATH-OR-ID for each"
        )
    return checked(Experiment, _filled(content, wanted), "experiment key")


def checked(kind: type[Model], content: Mapping[str, Any], what: str) -> Model:
    """A pydantic object of a table; ConfigError with near matches for a key that it has not."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        for each in error.errors():
            if each["type"] == "extra_forbidden":
                *within, key = each["loc"]
                raise unknown(what, str(key), _keys(kind, within)) from error
        raise ConfigError(f"{what.split()[0]}: {sentence(error)}") from error


def _keys(kind: type[BaseModel], within: Iterable[int | str]) -> Iterable[str]:
    """The keys that are known where an unknown one was found."""
    inner: dict[int | str, type[BaseModel]]
    inner = {"measure": Measure, "plot": Plot, "claims": Claim}
    return next((inner[step] for step in within if step in inner), kind).model_fields


def _filled(thing: Any, assets: Mapping[str, str]) -> Any:
    """The same with ``$NAME`` replaced in every text."""
    if isinstance(thing, str):
        try:
            return Template(thing).substitute(assets)
        except (KeyError, ValueError) as error:
            raise unknown("asset", str(error).strip("'"), assets) from error
    if isinstance(thing, Mapping):
        return {key: _filled(value, assets) for key, value in thing.items()}
    return [_filled(value, assets) for value in thing] if isinstance(thing, list) else thing


def _used(thing: Any) -> set[str]:
    """The names of all assets that texts stand for."""
    if isinstance(thing, str):
        return set(Template(thing).get_identifiers())
    inside = thing.values() if isinstance(thing, Mapping) else thing
    return set().union(*map(_used, inside)) if isinstance(thing, Mapping | list) else set()
