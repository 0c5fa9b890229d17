"""The prompts of an experiment, in groups where it names some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import build
from ..errors import ConfigError
from .spec import Experiment, Prompts


@dataclass(frozen=True)
class Prompt:
    """One prompt and the group that it is reported in; "" is none."""

    text: str
    group: str = ""


def prompts(experiment: Experiment, model: str) -> list[Prompt]:
    """All prompts, ``limit`` of each group; ConfigError where there are none, or one twice."""
    given = experiment.prompts
    tables = given if isinstance(given, dict) else {"": given}
    found = [
        Prompt(text, group)
        for group, source in tables.items()
        for text in _of(source, model, experiment.limit)[: experiment.limit]
    ]
    texts = [prompt.text for prompt in found]
    double = next((text for text in texts if texts.count(text) > 1), None)
    if double is not None:
        raise ConfigError(
            f"prompt {double!r} is there twice; name each once, and ask for more images of each "
            "with seeds"
        )
    return found


def _of(source: Prompts, model: str, limit: int | None) -> list[str]:
    if isinstance(source, list):
        texts = source
    elif isinstance(source, str):
        texts = _lines(Path(source).expanduser())
    else:
        # Fewer are asked for and not cut off, so that each category keeps its share.
        count = min(source, limit or source)
        texts = build.model_of(model).examples(count) if count > 0 else []
    if not texts:
        raise ConfigError(
            f"prompts is {source!r}, and that gives no prompt for model {model!r}; write a list, "
            "a file with one a line, or how many of the model's own"
        )
    return texts


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ConfigError(
            f"prompts file {path} cannot be read ({reason.lower()}); give a text file in UTF-8 "
            "with one prompt a line"
        ) from error
    return [line for line in lines if line and not line.startswith("#")]
