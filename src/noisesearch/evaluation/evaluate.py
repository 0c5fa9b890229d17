"""How good the images of a folder or of a run are, by any metrics, with their diversity beside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..candidates.condition import Condition
from ..errors import ConfigError
from ..models import choice
from ..models.protocol import Model
from ..names.capabilities import offered
from ..objectives import statistics
from ..setup import selection
from ..setup.consent import NamedCode
from ..store.run_store import read_spec
from ..store.spec import EXPERIMENT, RunSpec
from ..store.winners import stored_results
from ..verifiers.capabilities import WithFeatures, previews_of
from ..verifiers.slow_verifier import SlowVerifier
from . import metrics, protocol
from .images import ImageFiles, of_folder, of_run
from .protocol import Figures, Metric
from .reference import reference_of
from .set_metrics import SetFeatures
from .verifier_view import Pixels, VerifierView


@dataclass(frozen=True)
class EvaluationReport:
    """Figures by set, in the order of the sets: a number, or one for each image.

    ``gains``: of a run, the mean difference that search made by image, with its 95 % interval.
    """

    folder: Path
    features: str
    reference: str | None
    sets: Sequence[ImageFiles]
    figures: Sequence[Figures]
    gains: Mapping[str, statistics.Interval]
    notes: Sequence[str]

    def json(self) -> dict[str, Any]:
        sets = [
            {"name": images.name, "images": len(images),
             "figures": {name: _summed(value) for name, value in found.items()},
             "each": [
                {"image": str(path), "prompt": None if c is None else str(c),
                 **{name: _finite(value[i]) for name, value in found.items()
                    if not isinstance(value, int | float)}}
                for i, (path, c) in enumerate(zip(images.paths, images.conditions, strict=True))
             ]}
            for images, found in zip(self.sets, self.figures, strict=True)
        ]  # fmt: skip
        gains = {name: {"mean": g.delta, "interval": [g.low, g.high]}
                 for name, g in self.gains.items()}  # fmt: skip
        return {"folder": str(self.folder), "features": self.features,
                "reference": self.reference, "sets": sets, "gains": gains,
                "notes": list(self.notes)}  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _summed(value: float | Sequence[float]) -> Any:
    """A number as it is; of one for each image the mean, its interval, and how many have none."""
    if isinstance(value, int | float):
        return _finite(value)
    known = [x for x in value if math.isfinite(x)]
    if not known:
        return {"mean": None, "interval": None, "missing": len(value)}
    found = statistics.mean(known)
    return {"mean": found.delta, "interval": [found.low, found.high],
            "missing": len(value) - len(known)}  # fmt: skip


@dataclass
class Evaluation:
    """What to measure, and by what; names are as on the command line.

    ``features``: the verifier by whose features sets are compared. ``reference``: a folder of real
    images or an .npz file. ``prompts``: of a folder, given to its files in turn. ``model``: whose
    roles the verifiers' names may mean; of a run, its own.
    """

    folder: Path
    metrics: str
    features: str = ""
    reference: str | None = None
    prompts: Sequence[str | None] | None = None
    model: str = ""
    device: str = "cpu"
    notes: list[str] = field(default_factory=list, init=False)
    _sights: dict[str, VerifierView] = field(default_factory=dict, init=False, repr=False)

    def report(self) -> EvaluationReport:
        """Measure; ConfigError for what cannot be, before the first metric measures."""
        names = metrics.named(self.metrics)
        sets = self.sets
        made = [self._metric(name) for name in names]
        for images in sets:
            protocol.check(made, images)
        made += self._beside(names)
        figures = [self._measured(made, images) for images in sets]
        eyes = self.eyes
        reference = eyes.reference.name if eyes.reference else None
        return EvaluationReport(self.folder, eyes.sight.verifier.name, reference, sets, figures,
                      _gains(figures), self.notes)  # fmt: skip

    def _measured(self, made: Sequence[Metric], images: ImageFiles) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for metric in made:
            found.update(metric.measure(images))
        return found

    def _metric(self, name: str) -> Metric:
        roles = self.world.verifiers if self.world else ()
        return metrics.metric_of(name, lambda: self.eyes, self.sight, roles)

    def _beside(self, names: Sequence[str]) -> list[Metric]:
        """Diversity stands beside every metric of quality: how unlike each other the images are,
        and how much of what is real is among them."""
        added: list[Metric] = []
        for name in ("diversity", "recall"):
            if name in names:
                continue
            metric = self._metric(name)
            try:
                protocol.check([metric], self.sets[0])
                if name == "recall":
                    assert self.eyes.reference is not None  # checked
                    _ = self.eyes.reference.rows
            except ConfigError as error:
                self.eyes.note(f"{name} is not measured: {error}")
            else:
                added.append(metric)
        return added

    @cached_property
    def sets(self) -> list[ImageFiles]:
        if (self.folder / EXPERIMENT).is_file():
            raise ConfigError(
                f"{self.folder} holds an experiment, whose figures are in its table.csv; measure "
                f"one of its runs: {self.folder / 'runs'}/NAME"
            )
        if not self.is_run:
            found = of_folder(self.folder, self.prompts)
            return [replace(found, conditions=[*map(self._meant, found.conditions)])]
        if self.prompts is not None:
            raise ConfigError(
                f"{self.folder} is a run, whose prompts are known; leave out --prompts"
            )
        if not stored_results(self.folder)["complete"]:
            self.notes.append(
                f"{self.folder} is unfinished, and measured as far as it has come; go on with: "
                f"noisesearch resume {self.folder}"
            )
        return of_run(self.folder)

    def _meant(self, condition: Condition | None) -> Condition | None:
        """What the model makes of a text, such as the name of a class; the text where it has
        no such words."""
        if self.world is None or condition is None or condition.text is None:
            return condition
        try:
            return self.world.condition(condition.text)
        except ConfigError:
            return condition

    @property
    def is_run(self) -> bool:
        return (self.folder / "spec.json").is_file()

    @cached_property
    def world(self) -> Model | None:
        """The model whose roles and real images serve; of a run that was made with a Python object
        there is none."""
        if self.model:
            return choice.model_of(self.model)
        if not self.is_run:
            return None
        try:
            spec = RunSpec.read(read_spec(self.folder), self.folder)
            NamedCode.of_run(self.folder, spec).check("model")
            return choice.model_of(spec.model)
        except ConfigError:
            return None

    def sight(self, name: str) -> VerifierView:
        """A verifier's, opened once."""
        if name not in self._sights:
            verifier = selection.verifier_of(name, self.world)
            if isinstance(verifier, SlowVerifier) or previews_of(verifier):
                what = ("takes its time to answer" if isinstance(verifier, SlowVerifier)
                        else "looks back on how a sample came about")  # fmt: skip
                raise ConfigError(
                    f"verifier {name!r} {what}, which stored images do not serve; score a run "
                    f"with it: noisesearch rerank RUN --verifier {name}"
                )
            self._sights[name] = VerifierView(verifier, self.device)
        return self._sights[name]

    @cached_property
    def eyes(self) -> SetFeatures:
        """By whose features sets are compared, who classifies, and what is real."""
        sight = self._seer()
        roles = self.world.verifiers if self.world else {}
        classifier = sight if sight.classifies else None
        if classifier is None and "oracle-is" in roles and not self.features:
            classifier = self.sight("oracle-is")
        conditions = [c for c in self.sets[0].conditions if c is not None]
        return SetFeatures(
            sight,
            classifier,
            reference_of(self.reference, sight, self.world, conditions),
            self.notes,
        )

    def _seer(self) -> VerifierView:
        """As given; else the world's own in Inception's role, else the first verifier of the
        metrics or of the world that has features, else plain colours."""
        if self.features:
            if _sees(sight := self.sight(self.features)):
                return sight
            raise ConfigError(
                f"verifier {self.features!r} gives no features to compare sets by; name another "
                "with --features"
            )
        names = metrics.verifiers_of(metrics.named(self.metrics))
        roles = [*self.world.verifiers] if self.world and self.world.verifiers else []
        for name in (*(["oracle-fid"] if "oracle-fid" in roles else []), *names, *roles):
            if _sees(sight := self.sight(name)):
                return sight
        return VerifierView(Pixels(), self.device)


def _sees(sight: VerifierView) -> bool:
    return offered(sight.verifier, WithFeatures) is not None


def _gains(figures: Sequence[Figures]) -> dict[str, statistics.Interval]:
    """The mean difference, by image, between the two sets of a run."""
    if len(figures) < 2:
        return {}
    found = {}
    for name, after in figures[1].items():
        before = figures[0].get(name)
        if before is None or isinstance(before, int | float) or isinstance(after, int | float):
            continue
        pairs = np.array([before, after])
        known = pairs[:, np.isfinite(pairs).all(0)]
        if known.size:
            found[name] = statistics.paired(known[0], known[1])
    return found
