"""What a metric is, and what it looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..candidates.condition import Condition
from ..errors import ConfigError
from ..files.pictures import Picture
from ..names.capabilities import offered

Figures = Mapping[str, float | list[float]]  # by name: one of the set, or one for each image


class ImageSet(Protocol):
    """Images with what each was made for: a run's winners, or a folder of files.

    ``conditions`` are in the order of ``paths``, None where nothing is known; ``prompts`` are
    their texts, None where an image has none.
    """

    @property
    def paths(self) -> Sequence[Path]: ...
    @property
    def conditions(self) -> Sequence[Condition | None]: ...
    @property
    def prompts(self) -> Sequence[str | None]: ...

    def picture(self, index: int) -> Picture: ...


class Metric(Protocol):
    """Figures of a set of images.

    Contract: ``measure`` gives a number for the set, or a list of one for each image in their
    order (NaN: no figure for this one), under names that begin with the metric's own. Whether
    more is better is said in ``summary``, one line. It opens what it needs itself. It may be
    :class:`CheckingImages`.

    A name of a metric stands for the class of one: called with the settings in its brackets,
    ``compbench-spatial(fixed=true)``, it gives the metric. An object is taken as it is, and in the
    registry a function is called with the :class:`~noisesearch.evaluation.set_metrics.SetFeatures`
    of the evaluation.
    """

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...

    def measure(self, images: ImageSet) -> Figures: ...


@runtime_checkable
class CheckingImages(Protocol):
    """A metric that can say before anything is measured that it cannot measure some images."""

    def check(self, images: ImageSet) -> None:
        """Raise ConfigError where it cannot measure these images."""
        ...


def check(metrics: Sequence[Metric], images: ImageSet) -> None:
    """ConfigError where one of the metrics says that it cannot measure these images."""
    for metric in metrics:
        checking = offered(metric, CheckingImages)
        if checking is not None:
            checking.check(images)


def prompts_of(images: ImageSet, metric: str) -> list[str]:
    """The prompts of all images; ConfigError where one has none."""
    for path, prompt in zip(images.paths, images.prompts, strict=True):
        if prompt is None:
            raise ConfigError(
                f"metric {metric!r} compares images with their prompts, and {path} has none; give "
                "a file with them: --prompts FILE"
            )
    return [prompt for prompt in images.prompts if prompt is not None]
