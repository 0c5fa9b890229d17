"""Whether a verifier keeps what the search relies on, tried on a few pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..candidates.condition import Condition
from ..errors import ConfigError, first_of
from ..files.pictures import Picture
from ..names.capabilities import offered
from ..names.forms import numeral
from ..sampling.denoiser import fill
from ..sampling.images import from_pictures
from ..store.given_images import picture
from ..verifiers import capabilities
from ..verifiers.capabilities import WithFeatures
from ..verifiers.protocol import Verifier, Views
from ..verifiers.slow_verifier import CandidatePicture, SlowVerifier
from ..verifiers.video import OnVideos
from ..worker.scoring import numbers

Scores = Mapping[str, npt.NDArray[np.float64]]
TOLERANCE = 0.01  # of a part's scale: what no order between candidates hangs on
COUNT = 8  # pictures of our own
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Check:
    """One thing that was tried, whether it holds, and what was found."""

    name: str
    passed: bool
    said: str


@dataclass(frozen=True)
class VerifierReport:
    """All that was tried on one verifier; ``speed`` in pictures a second is not judged."""

    verifier: str
    scale: Mapping[str, float]
    fingerprint: str
    checks: Sequence[Check]
    pictures: int
    speed: float | None = None

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def json(self) -> dict[str, Any]:
        checks = [vars(check) for check in self.checks]
        return {**vars(self), "scale": dict(self.scale), "checks": checks, "passed": self.passed}


@dataclass(frozen=True)
class Samples:
    """Pictures uint8 [H, W, 3] of one size, and what each should show."""

    pictures: Sequence[Picture]
    conditions: Sequence[Condition]

    @classmethod
    def own(cls, size: int, condition: Condition | None) -> Samples:
        """Painted ones, each with its own prompt unless ``condition`` is given."""
        from ..worlds.shapes.prompts import canonical
        from ..worlds.shapes.render import render
        from ..worlds.shapes.scene import sample_scene, sample_spec

        draw = np.random.default_rng(0)
        specs = [sample_spec(draw) for _ in range(COUNT)]
        painted = [render(sample_scene(draw, spec), size) for spec in specs]
        return cls(painted, [condition or Condition(text=canonical(spec)) for spec in specs])

    @classmethod
    def of(cls, folder: Path, size: int, condition: Condition) -> Samples:
        """The pictures of a folder, cut and resized to squares; ConfigError where it has none."""
        paths = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in ENDINGS]
        if not paths:
            raise ConfigError(f"{folder} holds no pictures; give a folder with PNG or JPEG files")
        fitted = [ImageOps.fit(Image.fromarray(picture("image", p)), (size, size)) for p in paths]
        return cls([np.asarray(image) for image in fitted], [condition] * len(fitted))

    @property
    def looks(self) -> list[CandidatePicture]:
        """The same for verifiers that answer later."""
        return [
            CandidatePicture(*of, "") for of in zip(self.pictures, self.conditions, strict=True)
        ]


@dataclass(frozen=True)
class Pair:
    """Two pictures of one condition, of which the first is better."""

    better: Picture
    worse: Picture
    condition: Condition


@dataclass
class Trial:
    """A verifier that is tried on samples."""

    verifier: Verifier
    samples: Samples
    device: str = "cpu"
    pair: Pair | None = None
    speed: float | None = field(default=None, init=False)
    touched: bool = field(default=False, init=False)

    def report(self) -> VerifierReport:
        """Everything tried. What the verifier raises is a check that failed."""
        for network in capabilities.networks(self.verifier):
            network.to(self.device)
        checks = [self._parts()]
        if checks[0].passed:
            try:
                for check in self._tried():
                    checks.append(check)
            except Exception as error:  # an author's code: anything may come out of it
                checks.append(Check("runs", False, f"{type(error).__name__}: {error}"))
        found, scale = self.verifier, dict(self.verifier.scale)
        size = len(self.samples.pictures)
        return VerifierReport(found.name, scale, found.fingerprint, checks, size, self.speed)

    def _tried(self) -> Iterator[Check]:
        images = from_pictures(self.samples.pictures).to(self.device)
        conditions = self.samples.conditions
        first = self._scored(images, conditions)
        yield self._numbers(first)
        started = time.perf_counter()
        again = self._scored(images, conditions)
        self.speed = len(images) / (time.perf_counter() - started)
        yield self._equal("deterministic", "scored twice", first, again)
        alone = [self._scored(images[i : i + 1], conditions[i : i + 1])
                 for i in range(len(images))]  # fmt: skip
        together = {p: np.concatenate([one[p] for one in alone]) for p in first}
        yield self._equal("one is many", "alone and together", first, together)
        turned = self._scored(images.flip(0), conditions[::-1])
        back = {part: column[::-1] for part, column in turned.items()}
        yield self._equal("order", "in the opposite order", first, back)
        said = "it changes the images it is given" if self.touched else "left alone"
        yield Check("images", not self.touched, said)
        if offered(self.verifier, WithFeatures) is not None:
            yield self._features(images)
        if self.verifier.differentiable:
            yield self._gradient(images)
        if self.pair is not None:
            yield from self._better(self.pair)

    def _rows(
        self, images: Tensor, conditions: Sequence[Condition]
    ) -> Iterator[tuple[Views, int]]:
        """In the batches that a run would make, and how many rows of each are no fillers."""
        size = self.verifier.rows or len(images)
        for i in range(0, len(images), size):
            some, of = images[i : i + size], list(conditions[i : i + size])
            filled = [*of, *of[:1] * (size - len(of))]
            yield Views(fill(list(some), size), filled), len(some)

    def _scored(self, images: Tensor, conditions: Sequence[Condition]) -> Scores:
        columns: dict[str, list[float]] = {part: [] for part in self.verifier.parts}
        shown = OnVideos(self.verifier)
        for views, count in self._rows(images, conditions):
            before = views.images.clone()
            with torch.inference_mode():
                found = shown.scores(views)
            self.touched |= not torch.equal(views.images, before)
            for part, column in columns.items():
                size = len(views.images)
                column += numbers(found, part, size, self.verifier.name)[:count]
        return {part: np.array(column) for part, column in columns.items()}

    def _parts(self) -> Check:
        parts, scale = self.verifier.parts, self.verifier.scale
        wrong = [p for p in parts if not (p in scale and 0 < scale[p] < math.inf)]
        if not parts or len({*parts}) < len(parts):
            return Check("parts", False, f"it needs parts with different names, got {parts}")
        if wrong:
            return Check("parts", False, f"the scale of {wrong[0]!r} is no number above 0")
        return Check("parts", True, ", ".join(f"{p} (scale {scale[p]:g})" for p in parts))

    def _numbers(self, found: Scores) -> Check:
        missing = {p: int((~np.isfinite(column)).sum()) for p, column in found.items()}
        count, some = len(self.samples.pictures), [p for p, n in missing.items() if n]
        if not some:
            ranges = [f"{p} {c.min():.4g} to {c.max():.4g}" for p, c in found.items()]
            return Check("numbers", True, ", ".join(ranges))
        told = first_of([f"{missing[p]} of {count} have no {p}" for p in some])
        which = int(np.flatnonzero(~np.isfinite(found[some[0]]))[0])
        none = any(n == count for n in missing.values())
        return Check("numbers", not none, told + self._why(which, some[0]))

    def _why(self, which: int, part: str) -> str:
        """The reason that a verifier which has words for it gives."""
        if not isinstance(self.verifier, SlowVerifier):
            return ""
        (verdict,) = self.verifier.look([self.samples.looks[which]])
        return f" ({verdict.parts.get(part)})"

    def _equal(self, name: str, how: str, first: Scores, second: Scores) -> Check:
        """Whether two passes give the same numbers, and are missing in the same places."""
        worst = 0.0
        for part, column in first.items():
            known = np.isfinite(column)
            if not np.array_equal(known, np.isfinite(second[part])):
                return Check(name, False, f"{how}, {part} is missing in other places")
            apart = np.abs(column - second[part])[known] / self.verifier.scale[part]
            worst = max(worst, float(apart.max(initial=0.0)))
        said = f"differs by {worst:.2g} of the scale" if worst else "equal to the last bit"
        return Check(name, worst <= TOLERANCE, f"{how}: {said}")

    def _features(self, images: Tensor) -> Check:
        views, _ = next(self._rows(images, self.samples.conditions))
        with torch.inference_mode():
            seen: Tensor = self.verifier.features(views)  # type: ignore[attr-defined]
        good = seen.dim() == 2 and len(seen) == len(views.images) and bool(seen.isfinite().all())
        return Check("features", good, f"{list(seen.shape)}{'' if good else ', must be [B, d]'}")

    def _gradient(self, images: Tensor) -> Check:
        views, _ = next(self._rows(images, self.samples.conditions))
        leaf = views.images.clone().requires_grad_()
        found = self.verifier(Views(leaf, views.conditions))
        values = torch.stack([found[part].float() for part in self.verifier.parts])
        (gradient,) = torch.autograd.grad(values[values.isfinite()].sum(), leaf)
        norm = float(gradient.float().norm())
        good = math.isfinite(norm) and norm > 0
        return Check("gradient", good, f"norm {norm:.3g}{'' if good else ', must be above 0'}")

    def _better(self, pair: Pair) -> Iterator[Check]:
        better, worse = (self._scored(from_pictures([p]).to(self.device), [pair.condition])
                         for p in (pair.better, pair.worse))  # fmt: skip
        for part in self.verifier.parts:
            high, low = better[part][0], worse[part][0]
            said = f"{part} {high:.4g} for the better, {low:.4g} for the worse"
            yield Check("larger is better", bool(high > low), said)


def condition_of(text: str | None) -> Condition | None:
    """A prompt, or ``class:207``; None where nothing is given."""
    kind, _, label = (text or "").partition(":")
    if kind == "class" and (number := numeral(label)) is not None:
        return Condition(label=number)
    return None if text is None else Condition(text=text)
