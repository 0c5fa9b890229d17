"""Weights that come inside a Python package."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ...errors import ConfigError
from ..weights import Files, files


def packaged(
    verifier: str, weights: str, module: str, names: Sequence[str], install: str
) -> Files:
    """The files of these ``names``, all of which are needed: in the folder ``weights``, else
    inside the installed package ``module``, which is not imported. ConfigError says how to
    ``install`` it."""
    folder = Path(weights).expanduser() if weights else _inside(verifier, module, install)
    if folder.is_file():
        return files(verifier, str(folder), ())
    paths = tuple(folder / name for name in names)
    lost = [path.name for path in paths if not path.is_file()]
    if lost:
        raise ConfigError(
            f"{folder} does not hold {', '.join(lost)}, the weights of verifier {verifier!r}; "
            f"leave weights out and run: {install}"
        )
    return Files(verifier, str(folder), folder, paths)


def _inside(verifier: str, module: str, install: str) -> Path:
    top, _, below = module.partition("/")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"verifier {verifier!r} needs a package that is not installed here; run: {install}"
        )
    return Path(spec.submodule_search_locations[0]) / below
