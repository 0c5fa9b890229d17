"""Metrics by name; any name that is no metric's is a verifier's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..candidates.condition import Condition
from ..errors import ConfigError, unknown
from ..names import forms, protocols, registry
from ..names.options import settings
from ..verifiers.capabilities import check as check_verifiers
from .protocol import Figures, ImageSet, Metric
from .set_metrics import SetFeatures
from .verifier_view import VerifierView

GROUPS = {"pr": ("precision", "recall"), "dc": ("density", "coverage")}


def named(text: str) -> list[str]:
    """Return the metrics of a text with commas, groups in full, none twice."""
    found = [name for given in forms.separated(text) for name in GROUPS.get(given, (given,))]
    if not found:
        raise ConfigError(
            "no metric is named; give some of "
            f"{', '.join([*registry.names('metric'), *GROUPS])}, or verifiers: "
            "--metrics fid,clipscore"
        )
    return list(dict.fromkeys(found))


def listed() -> list[dict[str, str]]:
    """Return every metric that is no verifier, with what it is in a line."""
    rows = [{"name": name, "summary": _line(registry.load("metric", name))}
            for name in registry.names("metric")]  # fmt: skip
    groups = [{"name": name, "summary": " and ".join(of)} for name, of in GROUPS.items()]
    return [*rows, *groups]


def _line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]


def verifiers_of(names: Sequence[str]) -> list[str]:
    """Return those of the names that are verifiers'."""
    return [name for name in names if _target(forms.written(name)[0]) is None]


def metric_of(
    name: str,
    eyes: Callable[[], SetFeatures],
    sight: Callable[[str], VerifierView],
    roles: Iterable[str] = (),
) -> Metric:
    """Return the metric of a name; ConfigError where it is none.

    ``sight`` opens a verifier's; ``roles`` are the verifiers that a world has beside those of all.
    """
    kind, given = forms.written(name)
    target = _target(kind)
    if target is None:
        verifiers = {*registry.names("verifier"), *roles}
        if ":" not in kind and kind not in verifiers:
            raise unknown("metric", kind, [*registry.names("metric"), *GROUPS, *verifiers])
        return OfVerifier(name, sight(name))
    if protocols.makes(target) and not isinstance(target, type):  # a function of features
        if given:
            raise ConfigError(f"metric {kind!r} takes no settings, got {name!r}; see --features")
        of_sets: Metric = protocols.made("metric", kind, target, eyes())
        return of_sets
    found: Any = settings("metric", kind, target, dict(given))
    if isinstance(found, type):
        found = protocols.made("metric", kind, found)
    protocols.check("metric", kind, found)
    metric: Metric = found
    return metric


def _target(kind: str) -> Any | None:
    """Return what a metric's name stands for; None where the name is a verifier's.

    What is named in a file or a module is a metric where it measures.
    """
    if kind in registry.names("metric"):
        return registry.load("metric", kind)
    if ":" not in kind:
        return None
    found = registry.load_once("metric", kind)
    return found if protocols.has(found, "measure") else None


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
