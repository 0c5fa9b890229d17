"""Heavy verifiers on devices of their own, for all workers of a Ray cluster together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..candidates.condition import Condition
from ..errors import BackendError
from ..sampling.images import from_pictures, pictures
from ..verifiers import capabilities
from ..verifiers.capabilities import features_of, previews_of
from ..verifiers.protocol import Verifier, Views
from .shipped_run import named

if TYPE_CHECKING:
    from ..setup.loaded import Loaded

FEATURES = "features"


def heavy(loaded: Loaded) -> dict[str, Verifier]:
    """The verifiers of a run that are worth a device of their own, by their names in the spec;
    one with gradients stays with the network that they go back through."""
    return {name: v for name, v in named(loaded)
            if capabilities.heavy(v) and not v.differentiable}  # fmt: skip


@dataclass(frozen=True)
class About:
    """What a worker knows of a verifier that is elsewhere."""

    name: str
    parts: tuple[str, ...]
    scale: Mapping[str, float]
    rows: int | None
    fingerprint: str
    previews: tuple[float, ...]
    video: bool
    whole_only: bool

    @classmethod
    def of(cls, verifier: Verifier) -> About:
        return cls(
            verifier.name, tuple(verifier.parts), dict(verifier.scale), verifier.rows,
            verifier.fingerprint, previews_of(verifier), capabilities.video(verifier),
            capabilities.whole_only(verifier),
        )  # fmt: skip


class RemoteVerifierActor:
    """The actor: one verifier, which looks at pictures in batches of the size that they come in,
    as it would beside a network."""

    def __init__(self, spec: Mapping[str, Any], name: str, given: Verifier | None) -> None:
        from ..models.choice import at_size, model_of
        from ..setup.selection import verifier_of

        torch.set_num_threads(spec["threads"])
        self._device = torch.device(spec["device"])
        model = at_size(model_of(spec["model"]), spec["size"]) if given is None else None
        self._verifier = given or verifier_of(name, model)
        for network in capabilities.networks(self._verifier):
            network.to(self._device)

    def look(
        self,
        what: str,
        images: Any,
        conditions: Sequence[Mapping[str, Any]],
        previews: Mapping[float, Any],
        keys: Sequence[str],
    ) -> tuple[bool, Any]:
        """Numbers by part, or features, of pictures uint8 [B, …]; or False, and what it raised."""
        views = Views(
            self._images(images),
            [Condition(**c) for c in conditions],
            {time: self._images(of) for time, of in previews.items()},
            keys,
        )
        try:
            with torch.inference_mode():
                if what == FEATURES:
                    return True, _array(features_of(self._verifier)(views))
                return True, {part: _array(v) for part, v in self._verifier(views).items()}
        except Exception as error:  # a user's code: whoever asked makes a missing part of it
            return False, f"{type(error).__name__}: {error}"

    def _images(self, images: Any) -> Tensor:
        return from_pictures(images).to(self._device)


def _array(values: Any) -> Any:
    return values.detach().float().cpu().numpy() if isinstance(values, Tensor) else values


class RemoteVerifier:
    """The verifier as a worker has it: pictures go to its actor as 8-bit numbers through the
    object store, which are exactly what verifiers see anyhow."""

    differentiable = False

    def __init__(self, about: About, judge: Any) -> None:
        self._judge = judge
        self.about = about
        self.name, self.parts, self.scale = about.name, about.parts, about.scale
        self.rows, self.fingerprint = about.rows, about.fingerprint
        self.previews, self.video, self.whole_only = about.previews, about.video, about.whole_only

    def __call__(self, views: Views) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._asked("score", views)
        return found

    def features(self, views: Views) -> Tensor:
        return torch.from_numpy(np.array(self._asked(FEATURES, views)))

    def _asked(self, what: str, views: Views) -> Any:
        import ray

        shown = ray.put(_pictures(views.images))
        previews = {time: _pictures(images) for time, images in views.previews.items()}
        conditions = [condition.json() for condition in views.conditions]
        try:
            there, found = ray.get(
                self._judge.look.remote(what, shown, conditions, previews, list(views.keys))
            )
        except ray.exceptions.RayError as error:
            why = str(error).strip().partition("\n")[0]
            raise BackendError(
                f"verifier {self.name!r} cannot be reached on its device ({why})"
            ) from error
        if not there:
            raise RuntimeError(found)
        return found


def _pictures(images: Tensor) -> Any:
    return np.stack(pictures(images))
