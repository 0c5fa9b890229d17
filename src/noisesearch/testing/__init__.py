"""For authors of algorithms, solvers, verifiers, executors and stores: suites to inherit.

A suite is a class of pytest tests that asks for one fixture:

    from noisesearch.testing import AlgorithmContract

    class TestMine(AlgorithmContract):
        @pytest.fixture
        def algorithm(self):
            return Mine()

They run on a Gaussian mixture whose denoiser is known in closed form, so they need no weights.
"""

from __future__ import annotations

from .algorithm import AlgorithmContract
from .bench import Bench, Outcome
from .executor import ExecutorContract
from .mixture import Mixture, MixtureDenoiser, MixtureModel
from .solver import SolverContract
from .store import StoreContract
from .verifier import VerifierContract

__all__ = ["AlgorithmContract", "Bench", "ExecutorContract", "Mixture", "MixtureDenoiser",
           "MixtureModel", "Outcome", "SolverContract", "StoreContract",
           "VerifierContract"]  # fmt: skip
