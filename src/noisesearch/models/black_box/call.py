"""What a pipeline's call takes, read from its signature, and what it is given besides rows."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...candidates.keys import digest
from ...errors import ConfigError, unknown

# The numbers that a guidance is read as, the first that has one.
GUIDANCES = ("guidance_scale", "true_cfg_scale")
# What a run sets itself, and how it is asked for where it can be.
OURS = {
    "prompt": "as the condition", "negative_prompt": "as negative", "latents": "",
    "generator": "as seed", "num_inference_steps": "as steps", "height": "as size",
    "width": "as size", "image": "as image", "mask_image": "as mask", "output_type": "",
    "return_dict": "",
}  # fmt: skip


@dataclass(frozen=True)
class Signature:
    """The arguments of a pipeline class's call, with their defaults."""

    kind: str
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, kind: type) -> Signature:
        found = inspect.signature(kind.__call__).parameters
        names = [n for n in found if n != "self"]
        return cls(kind.__name__, {n: found[n].default for n in names})

    def __contains__(self, name: str) -> bool:
        return name in self.defaults

    def number(self, name: str) -> float | None:
        """The default of an argument, where it is a number."""
        found = self.defaults.get(name)
        return found if isinstance(found, int | float) and not isinstance(found, bool) else None

    @property
    def needed(self) -> tuple[str, ...]:
        """Arguments without a default."""
        return tuple(n for n, d in self.defaults.items() if d is inspect.Parameter.empty)

    @property
    def guidance(self) -> str | None:
        """The argument that guidance is, None where the pipeline has none."""
        return next((n for n in GUIDANCES if self.number(n) is not None), None)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) where the signature says them, else (0, 0): the pipeline's own."""
        width, height = (self.number(n) or 0 for n in ("width", "height"))
        return int(width), int(height)

    def check(self, call: Mapping[str, Any]) -> None:
        """ConfigError for an argument that the pipeline does not have, or that is ours."""
        for name in call:
            if name not in self.defaults:
                raise unknown(f"argument of {self.kind}", name, self.defaults)
            if name in OURS or name == self.guidance:
                how = OURS.get(name, "as guidance")
                raise ConfigError(
                    f"call has {name!r}, which a run sets itself; "
                    + (f"give it {how}" if how else "leave it out")
                )


@dataclass(frozen=True)
class Call:
    """All of a pipeline's arguments that are the same for every row.

    ``guidance``: the scale, None where the pipeline takes none. ``size``: (width, height), None
    for the pipeline's own. ``image`` and ``mask``: of PIL. ``extra``: whatever else it takes.
    """

    signature: Signature
    guidance: float | None = None
    size: tuple[int, int] | None = None
    image: Any = None
    mask: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def strength(self) -> float:
        """The share of the way down from noise; 1 where there is no image to begin from."""
        if self.image is None or "strength" not in self.signature:
            return 1.0
        given = self.extra.get("strength", self.signature.number("strength") or 1.0)
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 1:
            raise ConfigError(f"strength is {given!r}, but must be above 0 and at most 1")
        return float(given)

    @property
    def few_steps(self) -> int:
        """So many that two are taken, for trials: of few steps, a small strength takes none."""
        return math.ceil(2 / max(self.strength, 0.01))

    @property
    def lacking(self) -> str:
        """What to do where a call fails: what the pipeline takes and was not given comes first."""
        if "image" in self.signature and self.image is None:
            return "it takes an image, give one with --image FILE"
        if "mask_image" in self.signature and self.mask is None:
            return "it takes a mask, give one with --mask FILE"
        return "what it needs beside a prompt is given by --size and --call NAME=VALUE"

    def arguments(self) -> dict[str, Any]:
        """What is the same for every row and at any steps, beside the pictures."""
        given = dict(self.extra)
        if self.signature.guidance is not None:
            given[self.signature.guidance] = self.guidance
        if self.size is not None:
            given["width"], given["height"] = self.size
        return given


def described(value: Any) -> Any:
    """An argument as JSON, by its content where it has one: for fingerprints."""
    if isinstance(value, Mapping):
        return {str(name): described(of) for name, of in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [described(of) for of in value]
    if hasattr(value, "tobytes"):  # a picture of PIL, an array
        return hashlib.sha256(value.tobytes()).hexdigest()
    if hasattr(value, "numpy"):  # a tensor
        return hashlib.sha256(value.detach().float().cpu().numpy().tobytes()).hexdigest()
    return value if plain(value) else f"{type(value).__module__}.{type(value).__qualname__}"


def plain(value: Any) -> bool:
    """True of what JSON, and so a spec, can hold."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def fingerprint(weights: str, call: Mapping[str, Any]) -> str:
    """Of the weights, and of the arguments where there are some."""
    return digest(weights, described(call))[:16] if call else weights
