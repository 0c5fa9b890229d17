"""A grid has times of the linear interpolant; a model's schedule turns them into its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian
from noisesearch.candidates.trajectory import Grid, Trajectory
from noisesearch.sampling.process import Trigonometric
from noisesearch.sampling.solvers import renoise, solver
from noisesearch.testing.mixture_model import Mixture, MixtureDenoiser
from noisesearch.worker.engine import Worker

SHAPE = (1, 4, 4)


def schedule(grid: Grid) -> Sequence[float]:
    """Uniform in the time s of the linear interpolant; tan(πt/2) = s/(1 − s) has the same σ/α."""
    steps = [grid.start + (grid.end - grid.start) * k / grid.steps for k in range(grid.steps + 1)]
    return [math.atan2(s, 1 - s) * 2 / math.pi for s in steps]


def test_a_renoising_goes_up_to_the_schedules_time() -> None:
    """Catches a time of the linear interpolant that is taken for one of the process."""
    process, way = Trigonometric(), solver("ddim")
    denoiser = MixtureDenoiser(Mixture.default(SHAPE), SHAPE, process, torch.float64)
    ends: list[torch.Tensor] = []
    decode = denoiser.decode
    denoiser.decode = lambda x0: ends.append(x0) or decode(x0)  # type: ignore[method-assign, func-returns-value]
    noises = Materialiser(SHAPE)
    worker = Worker(denoiser, way, [], noises, schedule, rows=4)
    start = Trajectory.begin(Condition(), gaussian(1), 4, end=0.25).denoise()
    worker.submit(score(start.renoise(0.6, 7, 0.0, 3).denoise()))
    worker.wait()

    encoded = denoiser.encode([Condition()])

    def down(x: torch.Tensor, grid: Grid) -> torch.Tensor:
        times = torch.tensor(schedule(grid), dtype=torch.float64)
        state = way.init(x)
        for now, then in zip(times[:-1, None], times[1:, None], strict=True):
            state = way.step(lambda y, t: denoiser(y, t, encoded), process, state, now, then, None)
        return state[0]

    x = down(torch.tensor(noises(gaussian(1)))[None], Grid(3, 1.0, 0.25))
    low, high = (torch.tensor([schedule(Grid(1, s, 0.0))[0]]).double() for s in (0.25, 0.6))
    x = renoise(process, x, low, high, torch.tensor(noises(gaussian(7)))[None])
    torch.testing.assert_close(ends[0][:1], down(x, Grid(3, 0.6, 0.0)), atol=1e-5, rtol=1e-5)
