"""Our solvers and our worker against their contracts."""

from __future__ import annotations

from typing import Any

import pytest

from noisesearch.candidates.ask import Ask, score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Array, Materialiser, Noise, gaussian
from noisesearch.candidates.trajectory import FULL, Trajectory
from noisesearch.names.registry import TABLES, load
from noisesearch.sampling.solvers import solver
from noisesearch.setup import workers
from noisesearch.testing import ExecutorContract, MixtureModel, SolverContract, VerifierContract
from noisesearch.testing.mixture_model import brightness, evenness
from noisesearch.worker.draft_workers import DraftWorkers
from noisesearch.worker.engine import AHEAD, Worker


class TestSolvers(SolverContract):
    @pytest.fixture(params=TABLES["solver"])
    def solver(self, request: Any) -> Any:
        return solver(request.param)


class TestWorker(ExecutorContract):
    @pytest.fixture
    def executor(self, loaded: Any) -> Any:
        return workers.of(loaded, None)


class TestQualities(ExecutorContract):
    """Every second ask is about another draft."""

    @pytest.fixture
    def executor(self, loaded: Any) -> Any:
        prices = {FULL: 1.0, "other": 0.5}
        return DraftWorkers({name: workers.of(loaded, None) for name in prices}, prices)

    def asks(self, count: int, text: str = "any") -> list[Ask]:
        of = Condition(text=text)
        return [
            score(Trajectory.begin(of, gaussian(i), 6, (FULL, "other")[i % 2]).denoise())
            for i in range(count)
        ]


class TestPictureScores(VerifierContract):
    @pytest.fixture(params=[brightness, evenness])
    def verifier(self, request: Any) -> Any:
        return request.param()


class TestWorldVerifiers(VerifierContract):
    @pytest.fixture(params=["clipscore", "imagereward", "aesthetic", "checker"])
    def verifier(self, request: Any) -> Any:
        world = load("model", "shapes")()
        return load("verifier", request.param, world.verifiers)()


def test_a_thousand_asks_are_planned_a_few_batches_ahead() -> None:
    """A job holds tensors, an ask does not: what waits in line must not take device memory."""
    model = MixtureModel()
    space = model.space()
    made: list[int] = []

    class Noises(Materialiser):
        def __call__(self, noise: Noise) -> Array:
            made.append(1)
            return super().__call__(noise)

    denoiser = model.build(1.0, "cpu", "float32")
    worker = Worker(denoiser, solver("euler"), [brightness()], Noises(space.shape), space.times,
                    rows=4)  # fmt: skip
    for i in range(1000):
        worker.submit(score(Trajectory.begin(Condition(text="x"), gaussian(i), 4).denoise()))
    answered = len(worker.wait())
    assert 0 < answered <= 4 and len(made) <= (AHEAD + 2) * 4
    while more := worker.wait():
        answered += len(more)
    assert answered == len(made) == 1000
