"""A problem in the plane, on which an algorithm runs in a second and can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..algorithms.problem import Algorithm, Problem
from ..algorithms.run_facts import RunFacts
from ..candidates.ask import Ask, Reply
from ..candidates.condition import Condition
from ..candidates.ledger import Ledger, Rates
from ..candidates.noise import Array, Materialiser
from ..candidates.trajectory import Trajectory
from ..driver.charging import affordable
from ..objectives.single import Weighted, ranking
from ..sampling.solvers import solver
from ..verifiers.protocol import Views
from ..worker.engine import Worker
from .mixture_model import Mixture, MixtureDenoiser, MixtureModel

MEANS = ((1.6, 0.9), (-1.4, 1.5), (0.1, -1.7))
GOAL = (-0.9, -0.4)  # between the components: not where samples are by themselves
REACH, PIXELS = 3.6, 480


class _Pointing(MixtureDenoiser):
    """Decodes a point of the plane to a picture whose first two pixels say where it is."""

    def decode(self, x0: Tensor) -> Tensor:
        inside = torch.sigmoid(x0.reshape(len(x0), 1, 1, 2))
        return inside.expand(-1, 3, -1, -1)


@dataclass(frozen=True)
class Near:
    """How near a point is to a goal, at most 0."""

    name: str = "near"
    parts: tuple[str, ...] = ("near",)
    scale: Mapping[str, float] = field(default_factory=lambda: {"near": 1.0})
    differentiable: bool = True
    rows: int | None = None
    fingerprint: str = "1"

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        at = torch.logit(views.images[:, 0, 0].double().clamp(1e-4, 1 - 1e-4))
        return {"near": -(at - torch.tensor(GOAL)).norm(dim=1)}


class Plane:
    """One search for the point nearest to a goal, with everything it was told.

    ``problem`` is what an algorithm is called with; ``answer`` computes replies; ``picture``
    draws noises, samples and winners.
    """

    def __init__(self, budget: float, steps: int, seed: int, solver_name: str) -> None:
        mixture = Mixture.of([0.4, 0.35, 0.25], [list(m) for m in MEANS], [0.45, 0.6, 0.35])
        model = MixtureModel((2,), mixture=mixture)
        way, verifier = solver(solver_name, code=True), Near()
        self._denoiser = _Pointing(mixture, (2,), model.process, torch.float64)
        self._blobs: dict[str, Array] = {}
        self.numbers = Materialiser((2,), self._blobs.__getitem__)
        space = replace(model.space(), stochastic=way.stochastic)
        self.worker = Worker(self._denoiser, way, [verifier], self.numbers, space.times, rows=8)
        self.problem = Problem(
            Condition(), space, Weighted({"near": 1.0}), steps,
            RunFacts("plane", seed, Ledger(Rates(way.price(), verifiers={"near": ("near",)})),
                     budget, differentiable=frozenset({"near"})),
        )  # fmt: skip
        self.replies: list[Reply] = []

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """Replies in the order of the asks, computed by the library's own worker."""
        found: dict[str, Reply] = {}
        for ask in asks:
            self.worker.submit(ask)
        while answers := self.worker.wait():
            for ask, reply in answers:
                self._blobs.update(reply.arrays)
                blobs = {key: key for key in reply.arrays}
                found[ask.key] = replace(reply, cost={}, blobs=blobs, arrays={})
        told = [found[ask.key] for ask in asks]
        self.replies += told
        return told

    def run(self, algorithm: Algorithm) -> list[Trajectory]:
        """The winners of a whole search."""
        return drive(algorithm, self.problem, self.answer)

    def points(self, trajectories: Sequence[Trajectory]) -> tuple[Tensor, Tensor]:
        """(start noises [N, 2], clean samples or predictions [N, 2])."""
        decoded: list[Tensor] = []

        class Seen(_Pointing):
            def decode(self, x0: Tensor) -> Tensor:
                decoded.append(x0)
                return super().decode(x0)

        mixture, process = self._denoiser.mixture, self._denoiser.process
        worker = Worker(Seen(mixture, (2,), process, torch.float64), self.worker.solver, [],
                        self.numbers, self.problem.space.times, rows=8)  # fmt: skip
        at: dict[str, Tensor] = {}
        for trajectory in trajectories:
            worker.submit(Ask(trajectory))
        while answers := worker.wait():
            for (_, reply), x in zip(answers, decoded.pop(), strict=False):
                at[reply.trajectory.key] = x
        starts = [torch.from_numpy(self.numbers(t.noise).copy()) for t in trajectories]
        return torch.stack(starts), torch.stack([at[t.key] for t in trajectories])

    def picture(self, winners: Sequence[Trajectory], path: Path) -> None:
        """Left the noises, right the samples; pale to dark in the order asked, winners ringed."""
        asked = [r.trajectory for r in self.replies]
        starts, ends = self.points([*asked, *winners])
        sheet = Image.new("RGB", (2 * PIXELS, PIXELS), "white")
        draw = ImageDraw.Draw(sheet)
        goal = torch.tensor(GOAL)
        for side, points in ((0, starts), (1, ends)):
            _cross(draw, goal, "#c02020") if side else None
            for i, point in enumerate(points[: len(asked)]):
                pale = int(215 * (1 - (i + 1) / len(asked)))
                _disc(draw, point, side, 3, (pale, pale, 235), None)
            for point in points[len(asked) :]:
                _disc(draw, point, side, 8, None, (20, 130, 40))
        draw.text((8, 8), f"{len(asked)} noises asked for", fill="black")
        draw.text((PIXELS + 8, 8), "their samples; + the goal, green: winners", fill="black")
        draw.line((PIXELS, 0, PIXELS, PIXELS), fill=(200, 200, 200))
        sheet.save(path)


def _place(point: Tensor, side: int) -> tuple[float, float]:
    x, y = (0.5 + 0.5 * float(v) / REACH for v in point)
    return (side + x) * PIXELS, (1 - y) * PIXELS


def _disc(
    draw: ImageDraw.ImageDraw, point: Tensor, side: int, radius: int,
    fill: tuple[int, int, int] | None, line: tuple[int, int, int] | None,
) -> None:  # fmt: skip
    x, y = _place(point, side)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill, line, 2)


def _cross(draw: ImageDraw.ImageDraw, point: Tensor, fill: str) -> None:
    x, y = _place(point, 1)
    draw.line((x - 7, y, x + 7, y), fill, 2)
    draw.line((x, y - 7, x, y + 7), fill, 2)


def mixture(
    budget: float = 240, steps: int = 8, seed: int = 0, solver: str = "euler"
) -> Plane:  # fmt: skip
    """A search in the plane under ``budget`` NFE: three Gaussians with their exact denoiser."""
    return Plane(budget, steps, seed, solver)


Answer = Callable[[Sequence[Ask]], list[Reply]]
Told = Callable[[int, list[Ask], list[float], list[Reply]], None]


def drive(
    algorithm: Algorithm, problem: Problem, answer: Answer, told: Told | None = None
) -> list[Trajectory]:
    """The winners of one search without a driver; a yield that the budget cuts is the last."""
    search, turn, seen = algorithm(problem), 0, list[Reply]()
    try:
        asks = next(search)
        while True:
            prices = []
            fit: list[Ask] = []
            for ask in asks:
                price = problem.run.ledger.price_of(ask)
                if not affordable(problem, [ask]):
                    break
                fit.append(ask)
                prices.append(price)
            replies = answer(fit)
            seen += replies
            if told is not None:
                told(turn, fit, prices, replies)
            if len(fit) < len(asks):
                search.close()
                whole = [r for r in seen if r.trajectory.finished]
                return [whole[i].trajectory for i in ranking(problem.objective, whole)[:1]]
            asks, turn = search.send(replies), turn + 1
    except StopIteration as stop:
        return list(stop.value or ())
