"""Build the objective of a set from its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError, unknown
from ..models.capabilities import WithRealImages
from ..names import protocols, registry
from ..names.capabilities import offered
from ..objectives.sets import Frechet, Moments, Rows, SetObjective, Spread
from ..objectives.sets_text import REFERENCE, SetForm, stored

if TYPE_CHECKING:
    from ..verifiers.protocol import Verifier
    from .loaded import Loaded


def build(form: SetForm, loaded: Loaded) -> SetObjective:
    """The set objective of a form; ConfigError where verifier or reference cannot serve."""
    from ..verifiers.capabilities import features_of

    named = {v.name: v for v in loaded.verifiers}
    if form.verifier not in named:
        raise unknown("verifier of the objective", form.verifier, named)
    verifier = named[form.verifier]
    features_of(verifier)
    if form.kind != "frechet":
        function = registry.load("objective", form.kind)
        protocols.check("objective of sets", form.kind, function)
        return Spread(form.verifier, function)
    mean, covariance = _statistics(form, verifier, loaded)
    return Frechet(form.verifier, mean, covariance)


def _statistics(form: SetForm, verifier: Verifier, loaded: Loaded) -> tuple[Rows, Rows]:
    from ..verifiers import capabilities

    if form.reference is not None:
        return stored(form.reference)
    own = capabilities.reference(verifier)
    if own is not None:
        return own
    world = offered(loaded.model, WithRealImages)
    if world is None:
        raise ConfigError(
            f"model {loaded.model.name!r} has no real images to compare with; give their "
            f"statistics: frechet({form.verifier}, reference=FILE.npz), with arrays mu [d] and "
            "sigma [d, d]"
        )
    moments = Moments.of(_features(verifier, world.real(loaded.conditions, REFERENCE), loaded))
    return moments.mean, moments.covariance


def _features(verifier: Verifier, images: object, loaded: Loaded) -> Rows:
    """Features [n, d] of images, in the batches that the run has."""
    import torch

    from ..sampling.denoiser import fill
    from ..sampling.images import quantise
    from ..verifiers.capabilities import features_of
    from ..verifiers.protocol import Views

    assert isinstance(images, torch.Tensor)
    see, size = features_of(verifier), verifier.rows or loaded.spec.rows
    seen = []
    with torch.inference_mode():
        for start in range(0, len(images), size):
            some = quantise(images[start : start + size].to(loaded.spec.device))
            views = Views(fill(list(some), size), [loaded.conditions[0]] * size)
            seen.append(see(views)[: len(some)].double().cpu())
    rows: Rows = torch.cat(seen).numpy()
    return rows
