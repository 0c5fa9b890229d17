"""Real images, or what is known of them, that a set of images is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..candidates.condition import Condition
from ..errors import ConfigError
from ..files import arrays as array_files
from ..models.capabilities import WithRealImages
from ..models.protocol import Model
from ..names.capabilities import offered
from ..objectives.sets import Rows
from ..objectives.sets_text import REFERENCE, stored
from ..verifiers import capabilities
from .images import of_folder
from .moments import Accumulator, Features
from .verifier_view import VerifierView, ViewedFeatures


@dataclass(frozen=True, eq=False)
class Reference:
    """``name`` says what it is; ``known``: mean [d] and covariance [d, d] where they are given;
    ``see``: looks at the images themselves, where there are some."""

    name: str
    known: tuple[Rows, Rows] | None = None
    see: Callable[[], ViewedFeatures] | None = None

    @cached_property
    def seen(self) -> ViewedFeatures:
        """Of the real images; ConfigError where only statistics are there."""
        if self.see is None:
            raise ConfigError(
                f"{self.name} is the statistics of real images, but the images themselves are "
                "compared; give a folder of them: --reference FOLDER"
            )
        return self.see()

    @property
    def rows(self) -> Features:
        return self.seen.rows

    @cached_property
    def statistics(self) -> tuple[Rows, Rows]:
        """Mean [d] and covariance [d, d]."""
        if self.known is not None:
            return self.known
        moments = self.seen.moments
        return moments.mean, moments.covariance


def reference_of(
    given: str | None, sight: VerifierView, model: Model | None, conditions: Sequence[Condition]
) -> Reference | None:
    """What was given: a folder, or an .npz file with ``mu`` and ``sigma``, or with ``features``
    [n, d]; else what the verifier or the model's world has. None where there is nothing."""
    if given is not None:
        return _given(Path(given).expanduser(), sight)
    own = capabilities.reference(sight.verifier)
    world = offered(model, WithRealImages)
    if own is None and world is None:
        return None
    name = f"real images of {model.name}" if model and world else f"{sight.verifier.name}'s own"
    of = list(dict.fromkeys(conditions)) or [Condition()]
    see = None if world is None else lambda: sight.of_tensor(world.real(of, REFERENCE), of)
    return Reference(name, own, see)


def _given(path: Path, sight: VerifierView) -> Reference:
    if path.is_dir():
        return Reference(str(path), None, lambda: sight.of(of_folder(path, [None])))
    if not path.is_file():
        raise ConfigError(
            f"reference {path} does not exist; give a folder of real images, or an .npz file with "
            "the arrays mu [d] and sigma [d, d], or features [n, d], of theirs"
        )
    rows = _features(path)
    if rows is None:
        return Reference(str(path), stored(path))
    moments = Accumulator()
    moments.add(rows)
    return Reference(str(path), None, lambda: ViewedFeatures(rows, moments.moments))


def _features(path: Path) -> Features | None:
    """The array ``features`` of an .npz file; None where it has none."""
    try:
        with array_files.opened(path) as arrays:
            if "features" not in arrays:
                return None
            rows = np.asarray(arrays["features"], np.float32)
    except array_files.BROKEN:
        return None  # said by whoever looks for statistics in it
    if not array_files.rows_of_numbers(rows):
        raise ConfigError(
            f"reference {path} has features {list(rows.shape)}, but finite numbers [n, d] of at "
            "least two real images are needed"
        )
    return rows
