"""What a verifier sees in sets of images: scores, features, and what a classifier says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..candidates.condition import Condition
from ..driver.winners import SIDE
from ..errors import ConfigError
from ..names.capabilities import offered
from ..objectives.sets import Moments
from ..sampling.denoiser import fill
from ..sampling.images import from_pictures
from ..verifiers import capabilities
from ..verifiers.capabilities import WithLogits, features_of
from ..verifiers.protocol import Verifier, Views
from ..worker.scoring import numbers
from .moments import Accumulator, Features
from .protocol import ImageSet

ROWS = 32  # of a batch, where a verifier has no number of its own


@dataclass(frozen=True)
class ViewedFeatures:
    """Features [n, d] in float32 and their moments; ``logits`` [n, classes] of a classifier."""

    rows: Features
    moments: Moments
    logits: Features | None = None


@dataclass(frozen=True)
class VerifierView:
    """A verifier that looks at images on a device, in batches of one size."""

    verifier: Verifier
    device: str = "cpu"

    def __post_init__(self) -> None:
        for network in capabilities.networks(self.verifier):
            network.to(self.device)

    @property
    def classifies(self) -> bool:
        return offered(self.verifier, WithLogits) is not None

    def of(self, images: ImageSet) -> ViewedFeatures:
        """What it sees in a set, in one pass over the files."""
        return self._seen(self._views(images))

    def of_tensor(self, images: Tensor, conditions: Sequence[Condition]) -> ViewedFeatures:
        """The same of images [n, 3, H, W] in [0, 1] of the conditions in turn."""
        size = self._size
        of = [conditions[i % len(conditions)] for i in range(len(images))]
        batches = range(0, len(images), size)
        return self._seen(
            (self._batch(images[i : i + size], of[i : i + size]), len(of[i : i + size]))
            for i in batches
        )

    def scores(self, images: ImageSet) -> dict[str, list[float]]:
        """A number for each image by part; NaN where there is none.

        ConfigError where the verifier fails.
        """
        found: dict[str, list[float]] = {part: [] for part in self.verifier.parts}
        for views, count in self._views(images):
            said = self._asked(lambda v: self.verifier(v), views)
            for part, column in found.items():
                size = len(views.images)
                column += numbers(said, part, size, self.verifier.name)[:count]
        return found

    def _seen(self, batches: Iterator[tuple[Views, int]]) -> ViewedFeatures:
        see = features_of(self.verifier)
        classifier = offered(self.verifier, WithLogits)
        moments, rows, logits = Accumulator(), [], []
        for views, count in batches:
            fresh = self._asked(see, views)[:count].float().cpu().numpy()
            if not np.isfinite(fresh).all():
                raise ConfigError(
                    f"the features of verifier {self.verifier.name!r} are not all finite; choose "
                    "another with --features"
                )
            moments.add(fresh)
            rows.append(fresh)
            if classifier is not None:
                logits.append(self._asked(classifier.logits, views)[:count].float().cpu().numpy())
        said = np.concatenate(logits) if logits else None
        return ViewedFeatures(np.concatenate(rows), moments.moments, said)

    def _asked(self, question: Callable[[Views], Any], views: Views) -> Any:
        try:
            with torch.inference_mode():
                return question(views)
        except ConfigError:
            raise
        except Exception as error:  # a user's code: anything may come out of it
            raise ConfigError(
                f"verifier {self.verifier.name!r} failed: {type(error).__name__}: {error}; try it "
                "with: noisesearch check-verifier"
            ) from error

    @property
    def _size(self) -> int:
        return self.verifier.rows or ROWS

    def _views(self, images: ImageSet) -> Iterator[tuple[Views, int]]:
        for start in range(0, len(images.paths), self._size):
            at = range(start, min(start + self._size, len(images.paths)))
            pictures = from_pictures([images.picture(i) for i in at])
            conditions = [images.conditions[i] or Condition() for i in at]
            yield self._batch(pictures, conditions), len(at)

    def _batch(self, images: Tensor, conditions: Sequence[Condition]) -> Views:
        filler = [conditions[0]] * (self._size - len(conditions))
        return Views(fill(list(images.to(self.device)), self._size), [*conditions, *filler])


@dataclass(frozen=True)
class Pixels:
    """Mean colours of a coarse grid: what images are compared by where no network was named."""

    name: str = "pixels"
    parts: tuple[str, ...] = ()
    differentiable: bool = True
    rows: int | None = None
    fingerprint: str = ""

    @property
    def scale(self) -> dict[str, float]:
        return {}

    def __call__(self, views: Views) -> dict[str, Tensor]:
        return {}

    def features(self, views: Views) -> Tensor:
        return F.adaptive_avg_pool2d(views.images, SIDE).flatten(1)
