"""Typed settings from text."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError, unknown


def sentence(error: ValidationError) -> str:
    """What pydantic found, in one line."""

    def said(e: Any) -> str:
        if e["type"] == "value_error":  # a sentence of ours
            return str(e["ctx"]["error"])
        return f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}, got {e['input']!r}"

    return "; ".join(said(e) for e in error.errors())


def settings(kind: str, name: str, target: Any, parameters: dict[str, Any]) -> Any:
    """An object of a pydantic class from parameters; ConfigError with near matches otherwise."""
    fields = getattr(target, "model_fields", None)
    if fields is None:
        if parameters:
            raise ConfigError(f"{kind} {name!r} takes no parameters, got {', '.join(parameters)}")
        return target
    for given in parameters:
        if given not in fields:
            if not fields:
                raise ConfigError(f"{kind} {name!r} takes no parameters, got {given!r}")
            raise unknown(f"{name} parameter", given, fields)
    try:
        return target(**parameters)
    except ValidationError as error:
        raise ConfigError(f"{kind} {name!r}: {sentence(error)}") from error
