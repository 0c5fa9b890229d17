"""Small algorithms that use every move there is: to try solvers, workers and executors on."""

from __future__ import annotations

from dataclasses import dataclass

from noisesearch.algorithms.problem import Problem, Search
from noisesearch.candidates.ask import Reply, score
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.objectives.single import ranking


def _best_first(problem: Problem, replies: list[Reply]) -> list[Trajectory]:
    whole = list({r.trajectory.key: r for r in replies if r.trajectory.finished}.values())
    return [whole[i].trajectory for i in ranking(problem.objective, whole)]


@dataclass(frozen=True)
class PreviewSearch:
    """Looks at noises half-way, at their start too, and goes on with the better half."""

    width: int = 4
    name: str = "toy-previews"
    extendable: bool = False

    def __call__(self, problem: Problem) -> Search:
        first = problem.sample(problem.noise(0))
        replies = yield [score(first)]
        half = problem.steps // 2
        starts = [problem.begin(problem.noise(i)) for i in range(1, self.width + 1)]
        middles = [s.denoise(half, problem.injected(i)) for i, s in enumerate(starts)]
        # A start, its middle and the look at both in one yield: whichever comes first.
        looks = yield [score(t) for t in (*starts, *middles)]
        if len(looks) == len(starts) + len(middles):
            order = ranking(problem.objective, looks[len(starts) :])[: self.width // 2]
            replies = [*replies, *(yield [
                score(middles[i].denoise(seed=problem.injected(i))) for i in order
            ])]  # fmt: skip
        return _best_first(problem, replies)


@dataclass(frozen=True)
class Renoising:
    """Goes to a middle time, up with fresh noise, down on a grid of its own, and up once more."""

    width: int = 3
    name: str = "toy-renoising"
    extendable: bool = False

    def __call__(self, problem: Problem) -> Search:
        first = problem.sample(problem.noise(0))
        replies = yield [score(first)]
        stem = problem.begin(problem.noise(1)).denoise(problem.steps // 2, problem.injected(0))
        legs = [
            stem.renoise(0.8, problem.seed("up", i), 0.2, 3).denoise(seed=problem.injected(1, i))
            for i in range(self.width)
        ]
        looks = yield [score(stem), *(score(t) for t in legs)]
        best = looks[1 + ranking(problem.objective, looks[1:])[0]].trajectory
        ends = [
            best.renoise(0.6, problem.seed("again", i), 0.0, 3).denoise(
                seed=problem.injected(2, i)
            )
            for i in range(2)
        ]
        replies = [*replies, *(yield [score(t) for t in ends])]
        return _best_first(problem, replies)


@dataclass(frozen=True)
class Tree:
    """Branches by injected noise: children of one prefix together, and more of them later.

    Under an ODE all children of a prefix are one trajectory, which is asked and paid for once.
    """

    width: int = 3
    name: str = "toy-tree"
    extendable: bool = False

    def __call__(self, problem: Problem) -> Search:
        first = problem.sample(problem.noise(0))
        replies = yield [score(first)]
        third = max(1, problem.steps // 3)
        root = problem.begin(problem.noise(1)).denoise(third, problem.injected(0))
        branches = [root.denoise(2 * third, problem.injected(1, i)) for i in range(self.width)]
        looks = yield [score(t) for t in branches]
        best = looks[ranking(problem.objective, looks)[0]].trajectory
        leaves = [best.denoise(seed=problem.injected(2, i)) for i in range(self.width)]
        replies = [*replies, *(yield [score(t) for t in leaves])]
        # The root again, long after its first children: a look at it, and a new child.
        late = root.denoise(seed=problem.injected(3))
        replies = [*replies, *(yield [score(root), score(late)])]
        return _best_first(problem, replies)
