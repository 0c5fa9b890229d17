"""Names of metrics, imported on first use; any other name is a verifier's."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..candidates.condition import Condition
from ..errors import ConfigError
from ..names import forms
from ..names.options import settings
from ..verifiers.protocol import check as check_verifiers
from .protocol import Figures, ImageSet, Metric
from .set_metrics import SetFeatures
from .verifier_view import VerifierView

# Of features of a whole set: functions of its Eyes.
OF_SETS = {
    "fid": "noisesearch.evaluation.set_metrics:fid",
    "is": "noisesearch.evaluation.set_metrics:inception_score_",
    "kid": "noisesearch.evaluation.set_metrics:kid",
    "precision": "noisesearch.evaluation.set_metrics:precision",
    "recall": "noisesearch.evaluation.set_metrics:recall",
    "density": "noisesearch.evaluation.set_metrics:density",
    "coverage": "noisesearch.evaluation.set_metrics:coverage",
    "diversity": "noisesearch.evaluation.set_metrics:diversity",
}
# Of benchmarks: pydantic classes, called with the settings in a name's brackets.
OF_BENCHMARKS: dict[str, str] = {
    "compbench-attribute": "noisesearch.evaluation.compbench.metrics:Attributes",
    "compbench-spatial": "noisesearch.evaluation.compbench.metrics:Spatial",
    "compbench-numeracy": "noisesearch.evaluation.compbench.metrics:Numeracy",
    "compbench-complex": "noisesearch.evaluation.compbench.metrics:Complex",
    "grader": "noisesearch.evaluation.grader:GraderTable",
}
GROUPS = {"pr": ("precision", "recall"), "dc": ("density", "coverage")}


def named(text: str) -> list[str]:
    """The metrics of a text with commas, groups in full, none twice."""
    found = [name for given in forms.separated(text) for name in GROUPS.get(given, (given,))]
    if not found:
        raise ConfigError(
            "no metric is named; give some of "
            f"{', '.join([*OF_SETS, *GROUPS, *OF_BENCHMARKS])}, or verifiers: "
            "--metrics fid,clipscore"
        )
    return list(dict.fromkeys(found))


def listed() -> list[dict[str, str]]:
    """Every metric that is no verifier, with what it is in a line."""
    rows = [{"name": name, "summary": (_imported(target).__doc__ or "").split("\n")[0]}
            for name, target in {**OF_SETS, **OF_BENCHMARKS}.items()]  # fmt: skip
    groups = [{"name": name, "summary": " and ".join(of)} for name, of in GROUPS.items()]
    return [*rows, *groups]


def verifiers_of(names: Sequence[str]) -> list[str]:
    """Those of the names that are not in the tables."""
    return [n for n in names if forms.written(n)[0] not in {**OF_SETS, **OF_BENCHMARKS}]


def metric_of(
    name: str, eyes: Callable[[], SetFeatures], sight: Callable[[str], VerifierView]
) -> Metric:
    """The metric of a name; ConfigError where it is none. ``sight`` opens a verifier's."""
    kind, given = forms.written(name)
    if kind in OF_SETS:
        if given:
            raise ConfigError(f"metric {kind!r} takes no settings, got {name!r}; see --features")
        made: Metric = _imported(OF_SETS[kind])(eyes())
        return made
    if kind in OF_BENCHMARKS:
        benchmark: Metric = settings("metric", kind, _imported(OF_BENCHMARKS[kind]), dict(given))
        return benchmark
    return OfVerifier(name, sight(name))


def _imported(target: str) -> Any:
    module, _, attribute = target.rpartition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class OfVerifier:
    """A verifier's score of each image; more is better."""

    name: str
    sight: VerifierView
    summary: str = "a verifier's score of each image; more is better"

    def check(self, images: ImageSet) -> None:
        """ConfigError where the verifier cannot score images of these prompts."""
        lacking = sum(condition is None for condition in images.conditions)
        try:
            check_verifiers([self.sight.verifier], [c or Condition() for c in images.conditions])
        except ConfigError as error:
            if lacking:
                raise self._without(lacking, images) from error
            raise

    def measure(self, images: ImageSet) -> Figures:
        found = self.sight.scores(images)
        lacking = sum(condition is None for condition in images.conditions)
        if lacking and found and all(x != x for column in found.values() for x in column):
            raise self._without(lacking, images)
        return dict(found)

    def _without(self, lacking: int, images: ImageSet) -> ConfigError:
        return ConfigError(
            f"verifier {self.name!r} scores how well images show their prompts, and {lacking} of "
            f"{len(images.paths)} images have none; give a file with them, --prompts FILE, or a "
            "metadata.jsonl in the folder"
        )
