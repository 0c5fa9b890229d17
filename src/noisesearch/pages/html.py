"""What every page is made with: a template, the style, some scripts, and data that ends no tag."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ..names.forms import short_name
from ..version import __version__


@dataclass(frozen=True)
class Page:
    """A page, whether it needs its folder beside it, and what is to be said of it."""

    text: str
    linked: bool
    remarks: tuple[str, ...] = ()


def filled(template: str, scripts: Sequence[str], blocks: Iterable[Any], **content: Any) -> str:
    """A page of a template; ``blocks`` and ``content["overview"]`` are put into it as JSON."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("noisesearch.pages", "."), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters.update(number=number, short=short_name)
    own = files(__package__)
    return environment.get_template(template).render(
        **{**content, "overview": Markup(_data(content["overview"]))},
        blocks=[Markup(_data(block)) for block in blocks],
        version=__version__,
        style=Markup(own.joinpath("style.css").read_text()),
        script=Markup("\n".join(own.joinpath(name).read_text() for name in scripts)),
    )


def number(value: float | None) -> str:
    """Four digits; a whole number with all of them; a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}" if abs(value) < 1e15 else f"{value:.3g}"
    return f"{value:.4g}"


def short(value: float | None) -> float | None:
    """Six digits, which is more than is shown."""
    return None if value is None else float(f"{value:.6g}")


def _data(content: Mapping[str, Any]) -> str:
    """JSON that no tag can end."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
