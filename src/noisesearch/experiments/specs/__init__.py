"""The files of the paper's experiments, each under its id."""

from __future__ import annotations

from pathlib import Path


def __getattr__(name: str) -> Path:
    """Return the path of an experiment's TOML file."""
    path = Path(__file__).with_name(f"{name}.toml")
    if not path.is_file():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return path
