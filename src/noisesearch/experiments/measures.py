"""What is seen in an arm's winners: scores of verifiers, features and class probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from ..candidates.condition import Condition
from ..errors import BackendError, ConfigError, unknown
from ..evaluation.images import ImageFiles
from ..evaluation.metrics import metric_of
from ..evaluation.protocol import Metric
from ..evaluation.protocol import check as check_metrics
from ..evaluation.verifier_view import VerifierView
from ..files import arrays as array_files
from ..files.pictures import read
from ..models.capabilities import WithRealImages
from ..models.protocol import Model
from ..names.capabilities import offered
from ..objectives.sets import Moments, Rows
from ..sampling.denoiser import fill
from ..sampling.images import from_pictures
from ..setup import selection
from ..verifiers import capabilities
from ..verifiers.capabilities import WithClasses, check, features_of, previews_of
from ..verifiers.protocol import Views
from ..verifiers.slow_verifier import SlowVerifier
from .spec import Measure

if TYPE_CHECKING:
    import torch

    from ..verifiers.protocol import Verifier

BATCH = 32  # pictures at once, where a verifier has no batch of its own


class WinnerMeasures:
    """The verifiers that measure, opened once; ConfigError for what one of them cannot do."""

    def __init__(
        self,
        measure: Measure,
        model: Model,
        conditions: Sequence[Condition],
        groups: Sequence[str],
    ) -> None:
        names = selection.expand([name for name in measure.columns if name], model)
        self._columns = [selection.verifier_of(name, model) for name in names]
        check(self._columns, conditions)
        for verifier in self._columns:
            if previews_of(verifier):
                raise ConfigError(
                    f"verifier {verifier.name!r} looks back on how a sample came about, so it "
                    "cannot measure pictures; search with it, or leave it out of columns"
                )
        self._features = self._classes = None
        if measure.eye:
            self.eye = selection.verifier_of(measure.eye, model)
            self._features = features_of(self.eye)
        if measure.classes:
            of = selection.verifier_of(measure.classes, model)
            classifier = offered(of, WithClasses)
            if classifier is None:
                raise ConfigError(
                    f"verifier {measure.classes!r} gives no probabilities of all classes, which "
                    "the Inception Score is made of; oracle-is does"
                )
            self._classes = classifier.classes

        self._group = {c.key: group for c, group in zip(conditions, groups, strict=True)}
        self._by_group = {column: self._metrics(of, model, conditions)
                          for column, of in measure.by_group.items()}  # fmt: skip

    def _metrics(
        self, named: Mapping[str, str], model: Model, conditions: Sequence[Condition]
    ) -> dict[str, Metric]:
        """A column's metrics by group, each checked to be able to measure that group's."""

        def sight(name: str) -> VerifierView:
            return VerifierView(selection.verifier_of(name, model))

        found = {}
        for group, name in named.items():
            own = [c for c in conditions if self._group[c.key] == group]
            if not own:
                raise unknown("group of prompts", group, filter(None, self._group.values()))
            found[group] = metric_of(
                name,
                lambda name=name: _of_sets(name),  # type: ignore[misc]
                sight,
                model.verifiers,
            )
            check_metrics([found[group]], ImageFiles(group, [Path(str(c.text)) for c in own], own))
        return found

    @property
    def parts(self) -> list[str]:
        return [*(part for verifier in self._columns for part in verifier.parts), *self._by_group]

    def close(self) -> None:
        """Lets go of services that were asked."""
        for verifier in self._columns:
            if isinstance(verifier, SlowVerifier):
                verifier.close()

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

            away = isinstance(verifier, SlowVerifier)
            scores = _looked(look, paths, conditions, verifier.rows, filled=not away)
            if away and len(scores) and np.isnan(scores).all():
                raise BackendError(
                    f"verifier {verifier.name!r} gave no number for any of {len(paths)} images; "
                    "see that it answers, and go on with the same command"
                )
            found |= {part: scores[:, i] for i, part in enumerate(verifier.parts)}
        for column, metrics in self._by_group.items():
            found[column] = np.full(len(paths), np.nan)
            for group, metric in metrics.items():
                rows = [i for i, c in enumerate(conditions) if self._group[c.key] == group]
                if rows:
                    own = ImageFiles(
                        group, [paths[i] for i in rows], [conditions[i] for i in rows]
                    )
                    found[column][rows] = _of_each(metric, own)
        return found

    def arrays(self, paths: Sequence[Path], conditions: Sequence[Condition]) -> dict[str, Rows]:
        """``features`` [n, d] and ``classes`` [n, k], as far as they are wanted."""
        wanted = {"features": self._features, "classes": self._classes}
        return {name: _looked(look, paths, conditions) for name, look in wanted.items() if look}


def _of_sets(name: str) -> NoReturn:
    raise ConfigError(
        f"metric {name!r} is of whole sets, but by_group measures each image; name it in sets, or "
        "give a metric of images, such as compbench-attribute, or a verifier"
    )


def _of_each(metric: Metric, images: ImageFiles) -> Sequence[float]:
    """The first of a metric's figures that is a number for each image."""
    return next(of for of in metric.measure(images).values() if isinstance(of, list))


def _looked(
    look: Callable[[Views], torch.Tensor],
    paths: Sequence[Path],
    conditions: Sequence[Condition],
    rows: int | None = None,
    filled: bool = True,
) -> Rows:
    """What a look gives for pictures in batches of one size, as a run has them; where they are
    not ``filled``, as where each look costs money, the last batch is a smaller one."""
    import torch

    size, seen = rows or BATCH, []
    with torch.inference_mode():
        for start in range(0, len(paths), size):
            some = from_pictures([read(path) for path in paths[start : start + size]])
            of = list(conditions[start : start + size])
            rows = size if filled else len(of)
            views = Views(fill(list(some), rows), [*of, *of[:1] * (rows - len(of))])
            seen.append(look(views)[: len(some)].double().cpu())
    found: Rows = torch.cat(seen).numpy()
    return found


def reference(
    measure: Measure, model: Model, conditions: Sequence[Condition], real: bool
) -> dict[str, Rows]:
    """What sets are compared with: ``mean`` and ``covariance`` of real images by the eye, the
    eye's own where it has some, and ``features`` of real images where ``real`` asks for them."""
    eye = selection.verifier_of(measure.eye, model)
    own = capabilities.reference(eye)
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
            with array_files.opened(Path(measure.real)) as arrays:
                rows: Rows = np.asarray(arrays["features"], np.float64)
            if not array_files.rows_of_numbers(rows):
                raise ValueError(f"features {list(rows.shape)} are no rows of finite numbers")
            return rows
        except array_files.BROKEN as error:
            why = array_files.reason(error)
            raise ConfigError(
                f"real {measure.real!r} cannot be read ({why}); give an .npz file with features "
                "[n, d] of real images, or how many of the model's own to take"
            ) from error
    world = offered(model, WithRealImages)
    if world is None:
        raise ConfigError(
            f"model {model.name!r} has no real images, which its samples could be compared with; "
            "give an .npz file with their features as measure.real"
        )
    images, see, seen = world.real(conditions, measure.real), features_of(eye), []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            some = images[start : start + BATCH]
            seen.append(see(Views(some, [conditions[0]] * len(some))).double())
    rows = torch.cat(seen).numpy()
    return rows
