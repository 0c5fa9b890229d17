"""Search over noise: better images from trained diffusion and flow models.

import noisesearch as ns
result = ns.search("a red circle", model="shapes", budget=640)
result.image.save("circle.png")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

_PUBLIC = {
    "search": "api",
    "resume": "api",
    "export": "runs.export_noises",
    "export_data": "runs.export_data",
    "remake": "runs.remake",
    "trust": "experiments.trust",
    "trust_remote_code": "files.remote_code",
    "Result": "runs.results",
    "Results": "runs.results",
    "Candidate": "runs.results",
    "Auto": "algorithms.auto",
    "DraftThenCommit": "algorithms.draft",
    "FirstOrder": "algorithms.first_order",
    "Cma": "algorithms.subspace",
    "Evolution": "algorithms.evolution",
    "Spectral": "algorithms.spectral",
    "Halving": "algorithms.halving",
    "RandomSearch": "algorithms.initial_noise",
    "ZeroOrder": "algorithms.initial_noise",
    "SearchOverPaths": "algorithms.paths",
    "Population": "algorithms.population",
    "Screening": "algorithms.screening",
    "Steering": "algorithms.steering",
    "Backtracking": "algorithms.step_search",
    "Beam": "algorithms.step_search",
    "EpsilonGreedy": "algorithms.step_search",
    "Rollover": "algorithms.step_search",
    "Cut": "algorithms.problem",
    "Problem": "algorithms.problem",
    "Budget": "candidates.budget",
    "Condition": "candidates.condition",
    "Reply": "candidates.ask",
    "score": "candidates.ask",
    "trace": "testing.tracing",
    "gaussian": "candidates.noise",
    "neighbour": "candidates.noise",
    "mix": "candidates.noise",
    "NoisesearchError": "errors",
    "ConfigError": "errors",
    "StoreError": "errors",
    "BackendError": "errors",
}

__all__ = ["Auto", "BackendError", "Backtracking", "Beam", "Budget", "Candidate", "Cma",
           "Condition", "ConfigError", "Cut", "DraftThenCommit", "EpsilonGreedy", "Evolution",
           "FirstOrder", "Halving", "NoisesearchError", "Population", "Problem", "RandomSearch",
           "Reply", "Result", "Results", "Rollover", "Screening", "SearchOverPaths", "Spectral",
           "Steering", "StoreError", "ZeroOrder", "export", "export_data", "gaussian", "mix",
           "neighbour", "remake", "resume", "score", "search", "testing", "trace",
           "trust", "trust_remote_code"]  # fmt: skip

if TYPE_CHECKING:
    from . import testing
    from .algorithms.auto import Auto
    from .algorithms.draft import DraftThenCommit
    from .algorithms.evolution import Evolution
    from .algorithms.first_order import FirstOrder
    from .algorithms.halving import Halving
    from .algorithms.initial_noise import RandomSearch, ZeroOrder
    from .algorithms.paths import SearchOverPaths
    from .algorithms.population import Population
    from .algorithms.problem import Cut, Problem
    from .algorithms.screening import Screening
    from .algorithms.spectral import Spectral
    from .algorithms.steering import Steering
    from .algorithms.step_search import Backtracking, Beam, EpsilonGreedy, Rollover
    from .algorithms.subspace import Cma
    from .api import resume, search
    from .candidates.ask import Reply, score
    from .candidates.budget import Budget
    from .candidates.condition import Condition
    from .candidates.noise import gaussian, mix, neighbour
    from .errors import BackendError, ConfigError, NoisesearchError, StoreError
    from .experiments.trust import trust
    from .files.remote_code import trust_remote_code
    from .runs.export_data import export_data
    from .runs.export_noises import export
    from .runs.remake import remake
    from .runs.results import Candidate, Result, Results
    from .testing.tracing import trace


def __getattr__(name: str) -> Any:
    """Public names are imported when they are used: `import noisesearch` stays light."""
    if name == "testing":
        return importlib.import_module(f"{__name__}.testing")
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
