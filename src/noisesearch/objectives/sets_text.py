"""Set objectives as text: ``frechet(verifier)``, ``file.py:function(verifier)``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..files import arrays as array_files
from ..names import registry
from .sets import Rows

REFERENCE = 2048  # real images that a world's reference is made of
KINDS = ("frechet",)  # ways of the package to compare sets
_FORM = re.compile(r"\s*(?P<kind>frechet|[^()]+:[^()]+)\((?P<inside>[^()]*)\)\s*")


@dataclass(frozen=True)
class SetForm:
    """What a text says: how sets are compared, by whose features, to which reference file."""

    kind: str
    verifier: str
    reference: Path | None = None

    def __str__(self) -> str:
        more = "" if self.reference is None else f", reference={self.reference}"
        return f"{self.kind}({self.verifier}{more})"


def parse(text: str) -> SetForm | None:
    """The form of a text, with whole paths; None where it is no set objective."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    names, reference = [], None
    for part in filter(None, (p.strip() for p in match["inside"].split(","))):
        key, mark, value = part.partition("=")
        if mark and key.strip() == "reference":
            reference = Path(value.strip()).resolve()
            if not reference.is_file():
                raise ConfigError(
                    f"reference {reference} is no file; give an .npz file with the arrays mu [d] "
                    "and sigma [d, d] of real images' features"
                )
        else:
            names.append(part)
    if len(names) != 1:
        raise ConfigError(
            f"objective {text!r} cannot be read: it takes the name of one verifier, such as "
            "frechet(clipscore), and reference=FILE where the model has no real images"
        )
    return SetForm(registry.with_absolute_path(match["kind"].strip()), names[0], reference)


def kind_of(text: str) -> str:
    """How a set objective compares: ``frechet``, or the name of code; empty where it is none."""
    match = _FORM.fullmatch(text)
    return "" if match is None else match["kind"].strip()


def stored(path: Path) -> tuple[Rows, Rows]:
    """``mu`` [d] and ``sigma`` [d, d] of an .npz file, as published statistics have them."""
    try:
        with array_files.opened(path) as arrays:
            mean, covariance = (np.asarray(arrays[name], np.float64) for name in ("mu", "sigma"))
    except array_files.BROKEN as error:
        why = array_files.reason(error)
        raise ConfigError(
            f"reference {path} cannot be read ({why}); give an .npz file with arrays mu [d] and "
            "sigma [d, d]"
        ) from error
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ConfigError(
            f"reference {path} has mu {list(mean.shape)} and sigma {list(covariance.shape)}, but "
            "[d] and [d, d] are needed"
        )
    return mean, covariance
