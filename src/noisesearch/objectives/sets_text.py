"""Set objectives as text: ``frechet(verifier)``, ``file.py:function(verifier)``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, unknown
from ..files import arrays as array_files
from ..names import registry
from .sets import Frechet, Moments, Rows, SetObjective, Spread

if TYPE_CHECKING:
    from ..parts import Parts
    from ..verifiers.protocol import Verifier

REFERENCE = 2048  # real images that a world's reference is made of
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
    return SetForm(registry.located(match["kind"].strip()), names[0], reference)


def kind_of(text: str) -> str:
    """How a set objective compares: ``frechet``, or the name of code; empty where it is none."""
    match = _FORM.fullmatch(text)
    return "" if match is None else match["kind"].strip()


def build(form: SetForm, parts: Parts) -> SetObjective:
    """The set objective of a form; ConfigError where verifier or reference cannot serve."""
    from ..verifiers.protocol import features_of

    named = {v.name: v for v in parts.verifiers}
    if form.verifier not in named:
        raise unknown("verifier of the objective", form.verifier, named)
    verifier = named[form.verifier]
    features_of(verifier)
    if form.kind != "frechet":
        function = registry.load("set objective", form.kind, {})
        return Spread(form.verifier, function)
    mean, covariance = _statistics(form, verifier, parts)
    return Frechet(form.verifier, mean, covariance)


def _statistics(form: SetForm, verifier: Verifier, parts: Parts) -> tuple[Rows, Rows]:
    if form.reference is not None:
        return stored(form.reference)
    own: tuple[Rows, Rows] | None = getattr(verifier, "reference", None)
    if own is not None:
        return own
    real = getattr(parts.model, "real", None)
    if real is None:
        raise ConfigError(
            f"model {parts.model.name!r} has no real images to compare with; give their "
            f"statistics: frechet({form.verifier}, reference=FILE.npz), with arrays mu [d] and "
            "sigma [d, d]"
        )
    moments = Moments.of(_features(verifier, real(parts.conditions, REFERENCE), parts))
    return moments.mean, moments.covariance


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


def _features(verifier: Verifier, images: object, parts: Parts) -> Rows:
    """Features [n, d] of images, in the batches that the run has."""
    import torch

    from ..sampling.denoiser import fill
    from ..sampling.images import quantise
    from ..verifiers.protocol import Views, features_of

    assert isinstance(images, torch.Tensor)
    size = verifier.batch or parts.spec.rows
    seen = []
    with torch.inference_mode():
        for start in range(0, len(images), size):
            some = quantise(images[start : start + size].to(parts.spec.device))
            views = Views(fill(list(some), size), [parts.conditions[0]] * size)
            seen.append(features_of(verifier)(views)[: len(some)].double().cpu())
    rows: Rows = torch.cat(seen).numpy()
    return rows
