"""Whether the weights of a component are those of its network, said in a sentence of ours."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import ConfigError, first_of


@contextmanager
def quiet(libraries: Sequence[str]) -> Iterator[None]:
    """Without the libraries' own reports on weights that do not fit, and advice on loading."""
    logs = [importlib.import_module(f"{library}.utils.logging") for library in libraries]
    levels = [log.get_verbosity() for log in logs]
    try:
        for log in logs:
            log.set_verbosity_error()
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.set_verbosity(level)


def check_whole(folder: Path, name: str, info: Mapping[str, Any], strict: bool) -> None:
    """ConfigError with the names where the files hold other weights than the network ``name``.

    ``info``: of ``from_pretrained(..., output_loading_info=True)``. ``strict``: of weights beyond
    it too, which the files of text encoders often hold.
    """
    missing, beyond = (sorted(info[f"{kind}_keys"]) for kind in ("missing", "unexpected"))
    other = [f"{key} is {list(found)} and must be {list(needed)}"
             for key, found, needed in sorted(info["mismatched_keys"])]  # fmt: skip
    said = [f"lacks {len(missing)} of its weights ({first_of(missing)})"] if missing else []
    said += [f"holds weights of another size ({first_of(other, 1)})"] if other else []
    said += [f"holds weights beyond it ({first_of(beyond)})"] if beyond and strict else []
    if said:
        raise ConfigError(
            f"{folder} is not the whole {name} of its config.json: it {' and '.join(said)}; get "
            "its files again"
        )
