"""Things chosen by name, with settings, as text: ``clipscore(weights=/data/clip)``."""

from __future__ import annotations

from pathlib import Path

from .errors import ConfigError
from .registry import located as whole


def written(text: str) -> tuple[str, dict[str, str]]:
    """(name, settings) of ``name`` or ``name(setting=value, …)``; ConfigError otherwise."""
    name, bracket, rest = text.strip().partition("(")
    if not bracket:
        return text.strip(), {}
    if not rest.endswith(")"):
        raise ConfigError(f"verifier {text!r} has a bracket that is not closed")
    found: dict[str, str] = {}
    for part in separated(rest[:-1]):
        key, mark, value = part.partition("=")
        if not mark:
            raise ConfigError(
                f"verifier {text!r} has the setting {part!r}, which must be written NAME=VALUE"
            )
        found[key.strip()] = value.strip()
    return name.strip(), found


def separated(text: str) -> list[str]:
    """The pieces between commas; those inside brackets or double quotes do not part."""
    parts, depth, quoted = [""], 0, False
    for letter in text:
        quoted ^= letter == '"'
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts if p.strip()]


def located(text: str) -> str:
    """The same with whole paths, so that a run is resumed from any folder."""
    name, given = written(text)
    if not given:
        return whole(name)
    settings = {k: str(Path(v).expanduser().resolve()) if Path(v).expanduser().exists() else v
                for k, v in given.items()}  # fmt: skip
    return f"{whole(name)}({', '.join(f'{k}={v}' for k, v in settings.items())})"
