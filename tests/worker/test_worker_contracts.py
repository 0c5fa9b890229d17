"""Our solvers and our worker against their contracts."""

from __future__ import annotations

from typing import Any

import pytest

from noisesearch.registry import load
from noisesearch.solvers import SOLVERS, solver
from noisesearch.testing import ExecutorContract, SolverContract, VerifierContract
from noisesearch.testing.mixture import brightness, evenness


class TestSolvers(SolverContract):
    @pytest.fixture(params=SOLVERS)
    def solver(self, request: Any) -> Any:
        return solver(request.param)


class TestWorker(ExecutorContract):
    @pytest.fixture
    def executor(self, parts: Any) -> Any:
        return parts.worker(None)


class TestPictureScores(VerifierContract):
    @pytest.fixture(params=[brightness, evenness])
    def verifier(self, request: Any) -> Any:
        return request.param()


class TestWorldVerifiers(VerifierContract):
    @pytest.fixture(params=["clipscore", "imagereward", "aesthetic", "checker"])
    def verifier(self, request: Any) -> Any:
        world = load("model", "shapes")()
        try:
            return load("verifier", request.param, world.verifiers)()
        except OSError as error:
            pytest.skip(f"{request.param}: its weights are not there yet ({error})")
