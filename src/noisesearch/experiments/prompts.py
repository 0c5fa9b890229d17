"""The prompts of an experiment, in groups where it names some."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..evaluation import prompt_parser as reading
from ..models import choice
from .spec import Experiment, Prompts


@dataclass(frozen=True)
class GroupedPrompt:
    """One prompt and the group that it is reported in; "" is none."""

    text: str
    group: str = ""


def prompts(experiment: Experiment, model: str) -> list[GroupedPrompt]:
    """All prompts, ``limit`` of each group; ConfigError where there are none, or one twice."""
    given = experiment.prompts
    tables = given if isinstance(given, dict) else {"": given}
    found = [
        GroupedPrompt(text, group)
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
        texts = reading.read(source).texts
    else:
        # Fewer are asked for and not cut off, so that each category keeps its share.
        count = min(source, limit or source)
        texts = choice.model_of(model).examples(count) if count > 0 else []
    if not texts:
        raise ConfigError(
            f"prompts is {source!r}, and that gives no prompt for model {model!r}; write a list, "
            "a file with one a line, or how many of the model's own"
        )
    return texts
