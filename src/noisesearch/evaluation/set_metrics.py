"""Metrics of a set by features of its images: distances to real images, and diversity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..errors import ConfigError
from ..objectives.sets import frechet_distance
from ..verifiers import capabilities
from ..verifiers.features import inception
from .moments import Features
from .neighbours import NEAREST, NEAREST_OF_DENSITY, Neighbourhoods, Points, mean_distance
from .protocol import Figures, ImageSet
from .reference import Reference
from .scores import SPLITS, SUBSET, inception_score, kernel_distance, singular
from .verifier_view import Pixels, VerifierView, ViewedFeatures

POOL3 = 2048  # features of the published Inception network


@dataclass(frozen=True, eq=False)
class SetComparison:
    """A set of images beside real ones, as one sight sees them; everything is worked out once."""

    images: ImageSet
    eyes: SetFeatures

    @cached_property
    def seen(self) -> ViewedFeatures:
        return self.eyes.sight.of(self.images)

    @cached_property
    def logits(self) -> Features:
        by = self.eyes.classifier
        seen = self.seen if by is self.eyes.sight else by.of(self.images) if by else None
        assert seen is not None and seen.logits is not None  # checked before
        return seen.logits

    @property
    def reference(self) -> Reference:
        assert self.eyes.reference is not None  # checked before
        return self.eyes.reference

    def matched(self, width: int) -> None:
        """ConfigError where the reference is of other features."""
        got = self.seen.rows.shape[1]
        if got != width:
            raise ConfigError(
                f"{self.reference.name} is of {width} features, but "
                f"{self.eyes.sight.verifier.name!r} sees {got}; give a reference of the same "
                "network's"
            )

    @cached_property
    def points(self) -> Points:
        return Points.of(self.seen.rows, self.eyes.sight.device)

    @cached_property
    def neighbourhoods(self) -> Neighbourhoods:
        real = self.reference.rows
        self.matched(real.shape[1])
        for name, count in (("images", len(self.images.paths)), ("real ones", len(real))):
            if count <= NEAREST_OF_DENSITY:
                raise ConfigError(
                    f"there are {count} {name}, but precision, recall, density and coverage "
                    f"need more than {NEAREST_OF_DENSITY}, each of which has so many neighbours"
                )
        real_points = Points.of(real, self.eyes.sight.device)
        generated = Points.of(self.seen.rows, self.eyes.sight.device, like=real_points)
        return Neighbourhoods.of(generated, real_points, NEAREST, NEAREST_OF_DENSITY)


@dataclass(frozen=True)
class SetFeatures:
    """By what sets are seen, and what they are compared with.

    ``notes``: what a reader of the figures should know.
    """

    sight: VerifierView
    classifier: VerifierView | None = None
    reference: Reference | None = None
    notes: list[str] = field(default_factory=list)
    _known: dict[int, SetComparison] = field(default_factory=dict, repr=False)

    def on(self, images: ImageSet) -> SetComparison:
        if id(images) not in self._known:
            self._known[id(images)] = SetComparison(images, self)
        return self._known[id(images)]

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    @property
    def published(self) -> bool:
        """True where the features are those by which published FIDs are measured."""
        networks = capabilities.networks(self.sight.verifier)
        return any(isinstance(n, inception.Inception) and n.fc.in_features == POOL3
                   for n in networks)  # fmt: skip


@dataclass(frozen=True)
class SetMetric:
    """A figure of a whole set.

    ``of`` works it out, and gives its deviation over splits or subsets beside it where it has
    one. ``least``: images that it needs.
    """

    name: str
    summary: str
    of: Callable[[SetComparison], float | Sequence[float]]
    eyes: SetFeatures
    compares: bool = True  # with real images
    classifies: bool = False
    least: int = 1

    def check(self, images: ImageSet) -> None:
        """ConfigError where something that it needs is not there."""
        if len(images.paths) < self.least:
            raise ConfigError(
                f"metric {self.name!r} needs at least {self.least} images, got {len(images.paths)}"
            )
        if self.compares and isinstance(self.eyes.sight.verifier, Pixels):
            raise ConfigError(
                f"metric {self.name!r} compares what a network sees in images, and none is "
                "named; give a verifier that has features, such as --features clipscore"
            )
        if self.compares and self.eyes.reference is None:
            raise ConfigError(
                f"metric {self.name!r} compares images with real ones, and none are known; give "
                "--reference FOLDER of real images, or an .npz file with mu and sigma of their "
                f"{self.eyes.sight.verifier.name!r} features"
            )
        if self.classifies and self.eyes.classifier is None:
            raise ConfigError(
                f"metric {self.name!r} needs a classifier, and {self.eyes.sight.verifier.name!r} "
                "is none; name one: --features 'oracle-is(weights=FILE)'"
            )

    def measure(self, images: ImageSet) -> Figures:
        found = self.of(self.eyes.on(images))
        if isinstance(found, int | float):
            return {self.name: found}
        value, deviation = found
        return {self.name: value, f"{self.name} (deviation)": deviation}


def fid(eyes: SetFeatures) -> SetMetric:
    """Fréchet distance of features to those of real images; less is better.

    It is called FID where the features are those of the published Inception network.
    """

    def of(comparison: SetComparison) -> float:
        mean, covariance = comparison.reference.statistics
        comparison.matched(len(mean))
        if few := singular(len(comparison.images.paths), len(mean)):
            comparison.eyes.note(few)
        return frechet_distance(comparison.seen.moments, mean, covariance)

    return SetMetric(_named("fid", "frechet", eyes), _summary(fid), of, eyes, least=2)


def kid(eyes: SetFeatures) -> SetMetric:
    """Kernel distance of features to those of real images, over subsets; less is better."""

    def of(comparison: SetComparison) -> Sequence[float]:
        rows, real = comparison.seen.rows, comparison.reference.rows
        comparison.matched(real.shape[1])
        size = min(SUBSET, len(rows), len(real))
        if size < SUBSET:
            comparison.eyes.note(
                f"the kernel distance is of subsets of {size} images; published ones are of "
                f"{SUBSET}"
            )
        return kernel_distance(rows, real, size=size)

    return SetMetric(_named("kid", "kernel", eyes), _summary(kid), of, eyes, least=2)


def inception_score_(eyes: SetFeatures) -> SetMetric:
    """How sure a classifier is of each image and how many classes it finds; more is better."""

    def of(comparison: SetComparison) -> Sequence[float]:
        count = len(comparison.logits)
        splits = min(SPLITS, count)
        classes = comparison.logits.shape[1]
        if count < splits * classes:
            comparison.eyes.note(
                f"an Inception Score of {count} images in {splits} splits is low because no split "
                f"has as many as there are classes; from {SPLITS * classes} images on each does"
            )
        return inception_score(comparison.logits, splits)

    return SetMetric("is", _summary(inception_score_), of, eyes, compares=False, classifies=True)


def _share(name: str, meaning: str) -> Callable[[SetFeatures], SetMetric]:
    """A metric that is one of the figures of neighbourhoods."""

    def made(eyes: SetFeatures) -> SetMetric:
        def of(comparison: SetComparison) -> float:
            found: float = getattr(comparison.neighbourhoods, name)
            return found

        return SetMetric(name, meaning, of, eyes, least=NEAREST_OF_DENSITY + 1)

    made.__doc__ = meaning
    return made


precision = _share("precision", "Images that lie among real ones; more is better.")
recall = _share("recall", "Real images that lie among these; more is better.")
density = _share("density", "How densely real images lie around these; more is better.")
coverage = _share("coverage", "Real images that have one of these near; more is better.")


def diversity(eyes: SetFeatures) -> SetMetric:
    """Mean distance of the features of two images of the set; more is more diverse."""

    def of(comparison: SetComparison) -> float:
        return mean_distance(comparison.points)

    return SetMetric("diversity", _summary(diversity), of, eyes, compares=False, least=2)


def _named(published: str, general: str, eyes: SetFeatures) -> str:
    return published if eyes.published else f"{general}({eyes.sight.verifier.name})"


def _summary(metric: Callable[..., object]) -> str:
    return (metric.__doc__ or "").split("\n")[0].rstrip(".")
