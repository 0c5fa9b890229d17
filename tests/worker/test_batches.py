"""A batch that goes on as it is stays together, and what is kept of it stands alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.sampling.solvers import solver
from noisesearch.testing import MixtureModel
from noisesearch.testing.mixture_model import brightness
from noisesearch.worker.engine import Worker
from noisesearch.worker.jobs import Stack

ROWS, STEPS = 4, 5


class Wasteless:
    """A network as compilers make them: it works in the memory of its input, and gives its answer
    in memory that the next call uses again."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._answer: tuple[Tensor, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, x: Tensor, t: Tensor, encoded: dict[str, Tensor]) -> tuple[Tensor, ...]:
        pair = self._inner(x, t, encoded)
        x.fill_(torch.nan)
        self._answer = self._answer or tuple(torch.empty_like(value) for value in pair)
        return tuple(kept.copy_(value) for kept, value in zip(self._answer, pair, strict=True))


def worked(name: str, wasteless: bool) -> tuple[Worker, dict[str, float]]:
    """A worker that has looked on the way and at the end, and what it found."""
    model = MixtureModel()
    denoiser: Any = model.build(1.0, "cpu", "float32")
    if wasteless:
        denoiser = Wasteless(denoiser)
    noises, found = Materialiser(model.space().shape), {}
    worker = Worker(denoiser, solver(name), [brightness()], noises, model.space().times, rows=ROWS)
    for i in range(2 * ROWS + 1):
        begun = Trajectory.begin(Condition(text=str(i % 2)), gaussian(i), STEPS)
        seed = i if worker.solver.stochastic else None
        for trajectory in (begun.denoise(seed=seed), begun.denoise(2, seed=seed)):
            worker.submit(score(trajectory))
    while more := worker.wait():
        for _, reply in more:
            value = reply.parts["brightness"]
            assert isinstance(value, float)
            found[reply.trajectory.key] = value
    return worker, found


@pytest.mark.parametrize("name", ["euler", "heun", "dpm++2m", "ddim-ancestral"])
def test_a_network_may_use_memory_again(name: str) -> None:
    found = worked(name, True)[1]
    assert len(found) == 2 * (2 * ROWS + 1) and found == worked(name, False)[1]


@pytest.mark.parametrize("name", ["heun", "dpm++2m"])
def test_what_is_kept_does_not_keep_its_batch(name: str) -> None:
    """The cache is bounded in bytes: a view would hold all rows, and be counted as one."""
    worker, _ = worked(name, False)
    places = list(worker.cache._places.values())
    kept = [t for place in places for t in (*place.state, *(place.pair or ()))]
    assert len(places) > 2 * ROWS and any(place.pair for place in places)
    assert all(t.untyped_storage().nbytes() == t.nbytes for t in kept)


def test_rows_that_came_as_one_are_not_put_together_again() -> None:
    stack, whole = Stack(), (torch.arange(3.0)[:, None], torch.arange(3.0))
    rows = stack.part(whole)
    assert [tuple(row.tolist() for row in of) for of in rows] == [
        ([[i]], [i]) for i in (0.0, 1.0, 2.0)
    ]
    for same in (rows, rows[:2]):  # the third is a filler then
        assert stack(same, 3) is whole
    for other in (rows[::-1], rows[1:], [*rows[:2], (rows[2][0].clone(), rows[2][1])]):
        made = stack(other, 3)
        filled = [*other, other[0]][:3]
        assert made is not whole
        assert torch.equal(made[0], torch.cat([of[0] for of in filled]))
        assert torch.equal(made[1], torch.cat([of[1] for of in filled]))
    assert len(stack(rows, 4)[0]) == 4, "a wider batch"
