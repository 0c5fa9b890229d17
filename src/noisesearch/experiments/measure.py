"""What is seen in an arm's winners: scores of verifiers, features and class probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import build
from ..denoiser import fill
from ..errors import ConfigError
from ..models.protocol import Model
from ..pictures import read
from ..set_objectives import Moments, Rows
from ..trajectory import Condition
from ..verifiers.protocol import Views, check, features_of, previews_of
from ..worker.scoring import from_pictures
from .spec import Measure

if TYPE_CHECKING:
    import torch

    from ..verifiers.protocol import Verifier

BATCH = 32  # pictures at once, where a verifier has no batch of its own


class Eyes:
    """The verifiers that measure, opened once; ConfigError for what one of them cannot do."""

    def __init__(self, measure: Measure, model: Model, conditions: Sequence[Condition]) -> None:
        names = build.expand([name for name in measure.columns if name], model)
        self._columns = [build.verifier_of(name, model) for name in names]
        check(self._columns, conditions)
        for verifier in self._columns:
            if previews_of(verifier):
                raise ConfigError(
                    f"verifier {verifier.name!r} looks back on how a sample came about, so it "
                    "cannot measure pictures; search with it, or leave it out of columns"
                )
        self._features = self._classes = None
        if measure.eye:
            self.eye = build.verifier_of(measure.eye, model)
            self._features = features_of(self.eye)
        if measure.classes:
            of = build.verifier_of(measure.classes, model)
            self._classes = getattr(of, "classes", None)
            if self._classes is None:
                raise ConfigError(
                    f"verifier {measure.classes!r} gives no probabilities of all classes, which "
                    "the Inception Score is made of; oracle-is does"
                )

    @property
    def parts(self) -> list[str]:
        return [part for verifier in self._columns for part in verifier.parts]

    @property
    def prints(self) -> dict[str, str]:
        """Fingerprints by name."""
        return {f"verifier {v.name}": v.fingerprint for v in self._columns}

    def columns(self, paths: Sequence[Path], conditions: Sequence[Condition]) -> dict[str, Rows]:
        """Scores [n] by part; NaN where a verifier has none."""
        found: dict[str, Rows] = {}
        for verifier in self._columns:

            def look(views: Views, of: Verifier = verifier) -> torch.Tensor:
                import torch

                said = of(views)
                return torch.stack([torch.as_tensor(said[p]).double().cpu() for p in of.parts], 1)

            scores = _looked(look, paths, conditions, verifier.batch)
            found |= {part: scores[:, i] for i, part in enumerate(verifier.parts)}
        return found

    def arrays(self, paths: Sequence[Path], conditions: Sequence[Condition]) -> dict[str, Rows]:
        """``features`` [n, d] and ``classes`` [n, k], as far as they are wanted."""
        wanted = {"features": self._features, "classes": self._classes}
        return {name: _looked(look, paths, conditions) for name, look in wanted.items() if look}


def _looked(
    look: Callable[[Views], torch.Tensor],
    paths: Sequence[Path],
    conditions: Sequence[Condition],
    batch: int | None = None,
) -> Rows:
    """What a look gives for pictures in batches of one size, as a run has them."""
    import torch

    size, seen = batch or BATCH, []
    with torch.inference_mode():
        for start in range(0, len(paths), size):
            some = from_pictures([read(path) for path in paths[start : start + size]])
            of = list(conditions[start : start + size])
            views = Views(fill(list(some), size), [*of, *of[:1] * (size - len(of))])
            seen.append(look(views)[: len(some)].double().cpu())
    rows: Rows = torch.cat(seen).numpy()
    return rows


def reference(
    measure: Measure, model: Model, conditions: Sequence[Condition], real: bool
) -> dict[str, Rows]:
    """What sets are compared with: ``mean`` and ``covariance`` of real images by the eye, the
    eye's own where it has some, and ``features`` of real images where ``real`` asks for them."""
    eye = build.verifier_of(measure.eye, model)
    own: tuple[Rows, Rows] | None = getattr(eye, "reference", None)
    if own is not None and not real:
        return {"mean": own[0], "covariance": own[1]}
    features = _real(measure, eye, model, conditions)
    moments = Moments.of(features)
    mean, covariance = own or (moments.mean, moments.covariance)
    return {"mean": mean, "covariance": covariance, "features": features}


def _real(measure: Measure, eye: Verifier, model: Model, conditions: Sequence[Condition]) -> Rows:
    """Features [n, d] of real images, of a file or the model's own."""
    import torch

    if isinstance(measure.real, str):
        try:
            with np.load(measure.real, allow_pickle=False) as arrays:
                return np.asarray(arrays["features"], np.float64)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(
                f"real {measure.real!r} cannot be read ({error}); give an .npz file with features "
                "[n, d] of real images, or how many of the model's own to take"
            ) from error
    own = getattr(model, "real", None)
    if own is None:
        raise ConfigError(
            f"model {model.name!r} has no real images, which its samples could be compared with; "
            "give an .npz file with their features as measure.real"
        )
    images, seen = own(conditions, measure.real), []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            some = images[start : start + BATCH]
            seen.append(features_of(eye)(Views(some, [conditions[0]] * len(some))).double())
    rows: Rows = torch.cat(seen).numpy()
    return rows
