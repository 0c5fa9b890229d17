"""Clean samples of trajectories, as numbers: before they become a picture, which is rounded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from noisesearch.candidates.ask import score
from noisesearch.candidates.noise import Materialiser
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.sampling.solvers import solver
from noisesearch.testing import Mixture, MixtureDenoiser, MixtureModel
from noisesearch.worker.engine import Worker


class _Caught(MixtureDenoiser):
    """Keeps the last clean samples it was given to decode."""

    last: Tensor

    def decode(self, x0: Tensor) -> Tensor:
        self.last = x0.clone()
        return super().decode(x0)


class Sampler:
    """The library's own worker on a mixture; ``sampler(trajectories)`` are their samples [N, D].

    One that is used again remembers what it sampled, as in a search.
    """

    def __init__(self, mixture: Mixture, name: str = "heun", rows: int = 200) -> None:
        shape = (len(mixture.mean),)
        self._denoiser = _Caught(mixture, shape, dtype=torch.float64)
        self.numbers = Materialiser(shape)
        times = MixtureModel(shape).space().times
        self._worker = Worker(self._denoiser, solver(name), [], self.numbers, times, rows=rows)

    def __call__(self, trajectories: Sequence[Trajectory]) -> Tensor:
        for trajectory in trajectories:
            self._worker.submit(score(trajectory))
        found: dict[str, Tensor] = {}
        while answers := self._worker.wait():
            for (_, reply), x in zip(answers, self._denoiser.last, strict=False):
                found[reply.trajectory.key] = x
        return torch.stack([found[t.key] for t in trajectories]).double()
