"""Gradients of verifiers with respect to the start noise, with one solver step in memory.

As in Appendix C of arXiv 2501.09732 the activations of a step are not kept but made again when
its turn comes on the way back, so a sample of n evaluations costs n forward, n again (recompute)
and n backward, and the peak memory is that of one step, whatever n is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..candidates.ask import Ask, Gradient, Reply
from ..candidates.condition import Condition
from ..candidates.noise import Materialiser
from ..candidates.trajectory import Denoise, Trajectory
from ..errors import ConfigError
from ..sampling.counter import Counted
from ..sampling.denoiser import DENOISE, READ, Denoiser, Encoded
from ..sampling.images import quantise
from ..sampling.process import begun
from ..sampling.solvers import Pair, Solver, State
from ..verifiers.protocol import Verifier, Views
from .jobs import arrived_at, injected, left_from
from .residence import Residence
from .scoring import DecodedSamples, Scorer

Injected = Callable[[int], Tensor | None]  # what a stochastic solver adds at a level [B, …]


@dataclass(frozen=True)
class Flow:
    """A solver's way from noise to sample for a batch of conditions.

    ``times`` are float64, of the grid's levels: [levels] or, as (arrived, left), [levels, 2].
    ``injected(level)`` is None under an ODE.
    """

    denoiser: Denoiser
    solver: Solver
    times: Tensor
    encoded: Encoded
    injected: Injected

    @property
    def steps(self) -> int:
        return len(self.times) - 1

    def start(self, noise: Tensor) -> State:
        """The state at the first level of unit normals [B, …]."""
        first = arrived_at(self.times, 0).expand(len(noise))
        return self.solver.init(begun(self.denoiser.process, noise, first))

    def step(self, level: int, state: State) -> State:
        """The state a level further."""
        rows = len(state[0])
        t0 = left_from(self.times, level).expand(rows)
        t1 = arrived_at(self.times, level + 1).expand(rows)

        def denoise(x: Tensor, t: Tensor) -> Pair:
            return self.denoiser(x, t, self.encoded)

        process = self.denoiser.process
        return self.solver.step(denoise, process, state, t0, t1, self.injected(level))

    def states(self, noise: Tensor) -> list[State]:
        """The states at all levels, without what a gradient through them would need."""
        with torch.no_grad():
            found = [self.start(noise)]
            for level in range(self.steps):
                found.append(self.step(level, found[-1]))
        return found


def objective(
    denoiser: Denoiser,
    verifiers: Sequence[Verifier],
    weights: Mapping[str, float],
    x0: Tensor,
    conditions: Sequence[Condition],
) -> Tensor:
    """Σ weight·part of decoded samples [B, …]: one number [B] a row."""
    images = quantise(denoiser.decode(x0))
    parts: dict[str, Tensor] = {}
    for verifier in verifiers:
        if any(part in weights for part in verifier.parts):
            size = verifier.rows or len(images)
            columns = [
                verifier(Views(images[i : i + size], conditions[i : i + size]))
                for i in range(0, len(images), size)
            ]
            for part in verifier.parts:
                parts[part] = torch.cat([c[part] for c in columns])
    return torch.stack([weight * parts[part] for part, weight in weights.items()]).sum(0)


def pull_back(
    flow: Flow, states: Sequence[State], value: Callable[[Tensor], Tensor], noise: Tensor
) -> Tensor:
    """The gradient [B, …] of the value [B] of the last state with respect to the noise.

    Rows are independent, so one backward pass serves all. A row whose value or gradient is not
    finite gets zeros: no direction is known there.
    """
    with torch.enable_grad():
        last = states[-1][0].detach().clone().requires_grad_()
        values = value(last)
        known = torch.isfinite(values)
        (adjoint,) = torch.autograd.grad(values[known].sum(), last)
        adjoints: tuple[Tensor, ...] = (adjoint, *(torch.zeros_like(s) for s in states[-1][1:]))
        for level in reversed(range(flow.steps)):
            state = tuple(s.detach().clone().requires_grad_() for s in states[level])
            after = flow.step(level, state)
            # Of what a multistep method remembers, the times do not depend on the state.
            moved = [(a, g) for a, g in zip(after, adjoints, strict=True) if a.requires_grad]
            outputs, pulls = zip(*moved, strict=True)
            found = torch.autograd.grad(outputs, state, pulls, allow_unused=True)
            adjoints = tuple(
                torch.zeros_like(s) if g is None else g for g, s in zip(found, state, strict=True)
            )
        leaf = noise.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(flow.start(leaf)[0], leaf, adjoints[0])
    finite = torch.isfinite(gradient).flatten(1).all(1)
    shape = (-1, *[1] * (gradient.dim() - 1))
    return torch.where((known & finite).reshape(shape), gradient, torch.zeros_like(gradient))


def alike(ask: Ask, other: Ask) -> bool:
    """True where two asks can share a batch."""
    return ask.want == other.want and ask.trajectory.grid == other.trajectory.grid


class Differentiator:
    """Answers gradient asks: samples a batch, scores it as any other, and goes back through it.

    The batch has the run's fixed number of rows, so a sample is the same to the bit as one that
    was asked for without its gradient.
    """

    def __init__(
        self,
        counted: Counted,
        solver: Solver,
        verifiers: Sequence[Verifier],
        scorer: Scorer,
        noises: Materialiser,
        count: Callable[[Condition, str, int], None],
        device: torch.device,
        residence: Residence,
    ) -> None:
        self.counted, self.solver, self.verifiers = counted, solver, verifiers
        self.scorer, self.noises, self.count, self.device = scorer, noises, count, device
        self.residence = residence

    def __call__(self, asks: Sequence[Ask], times: Tensor) -> list[Reply]:
        """Replies with arrays; the asks are alike and of whole trajectories."""
        trajectories = [ask.trajectory for ask in asks]
        for trajectory in trajectories:
            if len(trajectory.moves) != 1 or not trajectory.finished:
                raise ConfigError(
                    "a gradient is asked of a trajectory that was renoised or is not finished; "
                    "only whole ones, straight from their noise, have one"
                )
        want = asks[0].want
        assert isinstance(want, Gradient)
        rows = self.counted.rows
        filled = [*trajectories, *[trajectories[0]] * (rows - len(asks))]
        conditions = [t.condition for t in filled]
        noise = torch.stack([torch.tensor(self.noises(t.noise), device=self.device)
                             for t in filled])  # fmt: skip
        flow = self._flow(filled, times.to(self.device))
        states = flow.states(noise)
        last = states[-1][0]
        images = self.scorer.images([(t, last[i : i + 1]) for i, t in enumerate(trajectories)])
        searched = [self.scorer.parts] * len(trajectories)
        replies = self.scorer.judge(DecodedSamples(trajectories, images), searched)
        weights = dict(want.weights)
        gradient = pull_back(
            flow,
            states,
            lambda x0: objective(self.counted.denoiser, self.verifiers, weights, x0, conditions),
            noise,
        )
        evaluations = flow.steps * self.solver.price()
        forwards = 2 * evaluations * self.counted.denoiser.forwards
        self.counted.nfe += 2 * evaluations * len(asks)
        for trajectory in trajectories:
            for unit, amount in (("nfe", evaluations), ("recompute", evaluations),
                                 ("backward", evaluations), ("decodes", 1),
                                 ("forwards", forwards)):  # fmt: skip
                self.count(trajectory.condition, unit, amount)
        arrays = gradient.float().cpu().numpy()
        return [
            replace(reply, arrays={ask.key: array})
            for ask, reply, array in zip(asks, replies, arrays, strict=False)  # fillers last
        ]

    def _flow(self, trajectories: Sequence[Trajectory], times: Tensor) -> Flow:
        # Encoded anew and outside of inference mode, whose tensors no backward pass may use.
        self.residence.enter(READ)
        with torch.no_grad():
            encoded = self.counted.denoiser.encode([t.condition for t in trajectories])
        self.residence.enter(DENOISE)

        def added(level: int) -> Tensor | None:
            if not self.solver.stochastic:
                return None
            like = torch.zeros(len(trajectories), *self.counted.denoiser.shape, device=self.device)
            moves = [t.move for t in trajectories if isinstance(t.move, Denoise)]
            return injected(like, {i: (move, level) for i, move in enumerate(moves)})

        return Flow(self.counted.denoiser, self.solver, times, encoded, added)
