"""What every solver must do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ..candidates.ask import Ask, score
from ..candidates.condition import Condition
from ..candidates.noise import Materialiser, gaussian, normals
from ..candidates.trajectory import Grid, Trajectory
from ..sampling.process import Linear, Process, Trigonometric, VariancePreserving
from ..sampling.solvers import Solver, State
from ..worker.engine import Worker
from .mixture_model import SHAPE, Mixture, MixtureDenoiser, brightness

ROWS, STEPS = 6, 8


def betas() -> Process:
    """The process of a model trained on Stable Diffusion's betas."""
    return VariancePreserving.of_betas(torch.linspace(0.0292, 0.1095, 1000).double() ** 2)


def draw(seed: int) -> Tensor:
    """Unit normals [ROWS, …] in float64."""
    return torch.from_numpy(normals(seed, (ROWS, *SHAPE))).double()


class SolverContract:
    """Inherit and give the fixture ``solver``."""

    @pytest.fixture(params=[Linear, Trigonometric, betas])
    def process(self, request: Any) -> Process:
        process: Process = request.param()
        return process

    def step(
        self,
        solver: Solver,
        process: Process,
        x: Tensor,
        t0: Tensor,
        t1: Tensor,
        after: State | None = None,
    ) -> tuple[State, list[tuple[Tensor, Tensor]]]:
        """One step on the mixture, the first from x or one ``after`` a state, and what the
        denoiser was called with."""
        denoiser = MixtureDenoiser(Mixture.default(SHAPE), process=process, dtype=torch.float64)
        encoded = denoiser.encode([Condition()] * ROWS)
        calls: list[tuple[Tensor, Tensor]] = []

        def denoise(at: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            calls.append((at.clone(), t.clone()))
            return denoiser(at, t, encoded)

        noise = draw(2) if solver.stochastic else None
        state = solver.init(x) if after is None else after
        return solver.step(denoise, process, state, t0, t1, noise), calls

    def test_price_is_the_number_of_calls(self, solver: Solver, process: Process) -> None:
        x = draw(1)
        t0, t1 = torch.linspace(0.9, 0.3, ROWS).double(), torch.linspace(0.8, 0.0, ROWS).double()
        _, calls = self.step(solver, process, x, t0, t1)
        assert len(calls) == solver.price()
        assert torch.equal(calls[0][0], x) and torch.equal(calls[0][1], t0), (
            "the first evaluation is the preview's: at the state and its time"
        )

    def test_steps_at_both_ends_are_finite(self, solver: Solver, process: Process) -> None:
        ones, zeros = torch.ones(ROWS).double(), torch.zeros(ROWS).double()
        for t0, t1 in ((ones, 0.9 * ones), (0.1 * ones, zeros), (ones, zeros)):
            state, _ = self.step(solver, process, draw(1), t0, t1)
            assert all(s.isfinite().all() for s in state)

    def test_rows_are_independent(self, solver: Solver, process: Process) -> None:
        x, other = draw(1), draw(3)
        t0, t1 = torch.linspace(0.9, 0.3, ROWS).double(), torch.linspace(0.8, 0.0, ROWS).double()
        state, _ = self.step(solver, process, x, t0, t1)
        other[2], u0, u1 = x[2], t0.flip(0), t1.flip(0)
        u0[2], u1[2] = t0[2], t1[2]
        mixed, _ = self.step(solver, process, other, u0, u1)
        assert all(torch.equal(a[2], b[2]) for a, b in zip(state, mixed, strict=True))

    def test_what_is_remembered_is_of_the_row(self, solver: Solver, process: Process) -> None:
        """Rows that have come some way, beside rows that begin, at times of their own."""
        x, t = draw(1), torch.linspace(0.9, 0.6, ROWS).double()
        old, _ = self.step(solver, process, x, t, t - 0.1)
        old, _ = self.step(solver, process, x, t - 0.1, t - 0.25, old)
        new, half = solver.init(draw(3)), ROWS // 2
        late = [(t - 0.25, t - 0.4), (t, t - 0.15)]
        apart = [self.step(solver, process, x, *late[i], s)[0] for i, s in enumerate((old, new))]
        both = tuple(torch.cat([a[:half], b[half:]]) for a, b in zip(old, new, strict=True))
        t0, t1 = (torch.cat([a[:half], b[half:]]) for a, b in zip(*late, strict=True))
        together, _ = self.step(solver, process, x, t0, t1, both)
        for a, b, c in zip(*apart, together, strict=True):
            assert torch.equal(a[:half], c[:half]) and torch.equal(b[half:], c[half:])

    def test_pure(self, solver: Solver, process: Process) -> None:
        x = draw(1)
        t0, t1 = torch.full((ROWS,), 0.7).double(), torch.full((ROWS,), 0.5).double()
        first, _ = self.step(solver, process, x, t0, t1)
        again, _ = self.step(solver, process, x, t0, t1)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert torch.equal(x, draw(1)) and torch.equal(t0, torch.full((ROWS,), 0.7).double())

    def test_a_step_of_no_length_leaves_x(self, solver: Solver, process: Process) -> None:
        if solver.stochastic:
            pytest.skip("a stochastic step may add noise")
        x, t = draw(1), torch.linspace(0.9, 0.1, ROWS).double()
        state, _ = self.step(solver, process, x, t, t)
        # float64 rounding of x = αx0 + σε put together again.
        assert torch.allclose(state[0], x, rtol=0, atol=1e-12)

    def test_stopping_changes_no_bit(self, solver: Solver, process: Process) -> None:
        seed = 5 if solver.stochastic else None
        start = Trajectory.begin(Condition(text="any"), gaussian(7), STEPS)
        whole = start.denoise(seed=seed)
        straight = finished(solver, process, [whole])
        for stop in range(1, STEPS):
            early = start.denoise(stop, seed=seed)
            assert torch.equal(finished(solver, process, [early, whole]), straight), stop


def finished(solver: Solver, process: Process, stops: list[Trajectory]) -> Tensor:
    """The state that a fresh worker comes to at the last of ``stops``, answering one by one."""
    denoiser = MixtureDenoiser(Mixture.default(SHAPE), process=process)
    worker = Worker(denoiser, solver, [brightness()], Materialiser(SHAPE), Grid.uniform, rows=4)
    for stop in stops:
        worker.submit(ask := score(stop))
        assert [a for a, _ in drained(worker)] == [ask]
    place = worker.cache.get(stops[-1].edge, stops[-1].level)
    assert place is not None
    return place.state[0]


def drained(worker: Worker) -> list[tuple[Ask, Any]]:
    """All answers there are to be had."""
    answers: list[tuple[Ask, Any]] = []
    while more := worker.wait():
        answers += more
    return answers
