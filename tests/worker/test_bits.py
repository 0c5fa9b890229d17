"""A candidate is the same, bit for bit, alone, among others, in any slot, resumed or not."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from noisesearch.algorithms.initial_noise import RandomSearch
from noisesearch.candidates.ask import Reply, score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.models.protocol import Model
from noisesearch.names.registry import TABLES, load
from noisesearch.sampling.solvers import solver
from noisesearch.setup.request import Request
from noisesearch.testing import MixtureModel
from noisesearch.testing.mixture_model import brightness, evenness
from noisesearch.worker.engine import Worker

ROWS = 8
WORLD_VERIFIERS = ("clipscore", "imagereward", "aesthetic", "checker")


def trajectories(
    texts: list[str | None], count: int, steps: int, seeded: bool
) -> list[Trajectory]:
    return [
        Trajectory.begin(Condition(text=texts[i % len(texts)]), gaussian(i), steps).denoise(
            seed=i if seeded else None
        )
        for i in range(count)
    ]


class Lab:
    """Fresh workers over one model, and the bits that come out of them."""

    def __init__(
        self, model: Model, verifiers: list[Any], dtype: str, guidance: float, name: str
    ) -> None:
        self.denoiser = model.build(guidance, "cpu", dtype)
        self.verifiers, self.space, self.solver = verifiers, model.space(), solver(name)

    def worker(self) -> Worker:
        noises = Materialiser(self.space.shape)
        return Worker(
            self.denoiser, self.solver, self.verifiers, noises, self.space.times, rows=ROWS
        )

    def answers(
        self, asked: list[Trajectory], worker: Worker | None = None
    ) -> dict[str, tuple[bytes, Reply]]:
        """State bytes and reply by trajectory key."""
        worker = worker or self.worker()
        for trajectory in asked:
            worker.submit(score(trajectory))
        found = {}
        while more := worker.wait():
            for _, reply in more:
                t = reply.trajectory
                place = worker.cache.get(t.edge, t.level)
                assert place is not None
                found[t.key] = (place.state[0].numpy().tobytes(), reply)
        return found

    def check(self, texts: list[str | None], count: int, steps: int) -> None:
        """One candidate alone, among the others, in another order, and by way of a stop."""
        seeded = self.solver.stochastic
        asked = trajectories(texts, count, steps, seeded)
        together = self.answers(asked)
        assert len({state for state, _ in together.values()}) == count, "all candidates differ"
        shuffled = random.Random(0).sample(asked, count)
        assert self.answers(shuffled) == together, "another order, so other slots"
        for chosen in (0, count // 2, count - 1):
            alone = self.answers([asked[chosen]])
            assert alone == {asked[chosen].key: together[asked[chosen].key]}, "alone"
        stops = [
            Trajectory.begin(t.condition, t.noise, steps).denoise(1 + i % (steps - 1), i)
            if seeded
            else Trajectory.begin(t.condition, t.noise, steps).denoise(1 + i % (steps - 1))
            for i, t in enumerate(asked)
        ]
        worker = self.worker()
        self.answers(stops, worker)
        assert self.answers(asked, worker) == together, "stopped at a preview, then gone on"


@pytest.mark.parametrize("name", TABLES["solver"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_mixture(name: str, dtype: str) -> None:
    lab = Lab(MixtureModel(), [brightness(), evenness()], dtype, 1.0, name)
    lab.check(["one", "two", None], 64, 6)


@pytest.fixture(scope="module")
def one_thread() -> Any:
    """The thread count is part of what bits depend on; a run records it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["shapes", "shapes-small"])
def test_shapes_generator(name: str, dtype: str, one_thread: None) -> None:
    model = load("model", name)()
    lab = Lab(model, [brightness()], dtype, model.guidance, "euler")
    lab.check(["a red circle", "two blue squares", None], 2 * ROWS + 3, 3)


@pytest.mark.parametrize("role", WORLD_VERIFIERS)
def test_shapes_verifiers(role: str, one_thread: None) -> None:
    """On a mixture in the shape of the world, whose pictures are many colours of nothing."""
    world = load("model", "shapes")()
    verifier = load("verifier", role, world.verifiers)()
    lab = Lab(MixtureModel(shape=(3, 32, 32)), [verifier], "float32", 1.0, "euler")
    asked = trajectories(["a red circle", "two blue squares"], 2 * ROWS + 3, 2, False)
    together = lab.answers(asked)
    assert all(verifier.name in reply.parts for _, reply in together.values())
    assert lab.answers(asked[::-1]) == together
    assert lab.answers([asked[5]]) == {asked[5].key: together[asked[5].key]}


@pytest.mark.parametrize("candidates", range(1, 12))
def test_batches_have_rows_by_fours(candidates: int) -> None:
    """Catches a batch of five or six, where a row's last bits depend on its slot."""
    for rows in (None, candidates):
        request = Request(["one"], model=MixtureModel(), algorithm=RandomSearch(),
                          budget=f"{candidates}candidates", rows=rows)  # fmt: skip
        assert request.resolve().loaded.spec.rows == 4 * math.ceil(candidates / 4)
