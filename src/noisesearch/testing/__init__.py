"""For authors of algorithms, solvers, verifiers, executors and stores: suites to inherit.

A suite is a class of pytest tests that asks for one fixture:

    from noisesearch.testing import AlgorithmContract

    class TestMine(AlgorithmContract):
        @pytest.fixture
        def algorithm(self):
            return Mine()

They run on a Gaussian mixture whose denoiser is known in closed form, so they need no weights.
To look at an algorithm while it is written, there is :func:`mixture`, a problem in the plane.
For adapters there are :func:`tiny_pipeline`, pipelines of diffusers, real but tiny, and
:func:`tiny_verifier`, checkpoints of the published verifiers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "AlgorithmContract": "algorithm",
    "Bench": "bench",
    "ExecutorContract": "executor",
    "Mixture": "mixture_model",
    "MixtureDenoiser": "mixture_model",
    "MixtureModel": "mixture_model",
    "BenchOutcome": "bench",
    "Plane": "plane",
    "SolverContract": "solver",
    "StoreContract": "store",
    "VerifierContract": "verifier",
    "mixture": "plane",
    "tiny_pipeline": "pipelines",
    "tiny_verifier": "tiny_verifiers",
}

__all__ = [
    "AlgorithmContract",
    "Bench",
    "BenchOutcome",
    "ExecutorContract",
    "Mixture",
    "MixtureDenoiser",
    "MixtureModel",
    "Plane",
    "SolverContract",
    "StoreContract",
    "VerifierContract",
    "mixture",
    "tiny_pipeline",
    "tiny_verifier",
]  # fmt: skip

if TYPE_CHECKING:
    from .algorithm import AlgorithmContract
    from .bench import Bench, BenchOutcome
    from .executor import ExecutorContract
    from .mixture_model import Mixture, MixtureDenoiser, MixtureModel
    from .pipelines import tiny_pipeline
    from .plane import Plane, mixture
    from .solver import SolverContract
    from .store import StoreContract
    from .tiny_verifiers import tiny_verifier
    from .verifier import VerifierContract


def __getattr__(name: str) -> Any:
    """Imported when used: the suites need pytest, the plane does not."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
