"""Python objects in place of names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..algorithms.problem import Algorithm, Problem
from ..errors import ConfigError
from ..models.protocol import Model
from ..store.given_images import InputImages
from ..store.spec import RunSpec

if TYPE_CHECKING:
    from ..verifiers.protocol import Verifier


@dataclass(frozen=True)
class PythonObjects:
    """Python objects in place of names; a run made with them is resumed with them."""

    model: Model | None = None
    algorithm: Algorithm | None = None
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
    images: InputImages = field(default_factory=InputImages)


def check_objects(spec: RunSpec, given: PythonObjects, folder: object) -> None:
    """A run made with Python objects cannot go on without them; say how it can."""
    have = {"model": [spec.model] if given.model else [],
            "algorithm": [spec.algorithm] if given.algorithm else [],
            "verifier": list(given.verifiers)}  # fmt: skip
    lost = {kind: [n for n in names if n not in have.get(kind, ())]
            for kind, names in spec.objects.items()}  # fmt: skip
    lost = {kind: names for kind, names in lost.items() if names}
    if lost:
        what = "; ".join(f"{kind} {', '.join(map(repr, names))}" for kind, names in lost.items())
        how = ", ".join(f"{kind}={'[…]' if len(lost[kind]) > 1 else '…'}" for kind in lost)
        raise ConfigError(
            f"{folder} was made with Python objects that are needed again ({what}); "
            f"go on from Python: noisesearch.resume({str(folder)!r}, {how})"
        )


@dataclass(frozen=True)
class FunctionAlgorithm:
    """A generator function as an algorithm; nothing is known of its asks, so not extendable."""

    name: str
    function: Callable[[Problem], Any]
    extendable: bool = False

    def __call__(self, problem: Problem) -> Any:
        return self.function(problem)


def as_list(verifier: Any) -> Sequence[Any]:
    """One or several, as several."""
    return verifier if isinstance(verifier, list | tuple) else [verifier]


def name_of(thing: Any) -> str:
    """What a Python object is called in a run: its own name, else its function's or class's."""
    name = getattr(thing, "name", None) or getattr(thing, "__name__", type(thing).__name__)
    return "verifier" if name == "<lambda>" else str(name)
