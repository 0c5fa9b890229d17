"""Searches on known quadratics of the samples of one Gaussian: as fast as they must climb.

For N(m, s²I) every step of Euler's is affine in x − αm, so a sample is m + s′n with s′ near s,
and a quadratic of the sample is a quadratic of the noise n.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from sampling import Sampler
from scipy import stats
from torch import Tensor

import noisesearch as ns
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.noise import Array, Materialiser, Noise, normals
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.objectives.single import Weighted
from noisesearch.sampling.solvers import Euler
from noisesearch.testing import Mixture, MixtureDenoiser, MixtureModel
from noisesearch.testing.plane import drive
from noisesearch.verifiers.protocol import Views
from noisesearch.worker.engine import Worker

SIZE, STEPS, SPREAD = 32, 3, 0.7
MEAN = 0.3 * normals(11, (SIZE,)).astype(float)
GOAL = 2.0 * normals(12, (SIZE,)).astype(float)
GAUSSIAN = Mixture.of([1.0], [MEAN.tolist()], [SPREAD])


def stretch() -> float:
    """s′: a step takes x − αm times 1 + Δt·(t − (1 − t)s²)/(t² + (1 − t)²s²)."""
    product = 1.0
    for k in range(STEPS):
        t = 1 - k / STEPS
        slope = (t - (1 - t) * SPREAD**2) / (t**2 + ((1 - t) * SPREAD) ** 2)
        product *= 1 - slope / STEPS
    return product


S = stretch()
Expect = Callable[[Array], tuple[float, float]]


def length(vector: Any) -> float:
    return math.sqrt(vector @ vector)


@dataclass(frozen=True)
class Hill:
    """A quadratic of the sample x, which is one of u = n·axis and ‖n‖ alone."""

    name: str
    axis: Any
    score: Callable[[Any], Any]
    height: Callable[[Any, float], Any]

    def of(self, noise: Array) -> float:
        n = noise.astype(float)
        return float(self.height(n @ self.axis, length(n)))


FAR = length(GOAL - MEAN)
# −‖x − goal‖². On a sphere of noises its curvature is the sphere's own.
BOWL = Hill("bowl", (GOAL - MEAN) / FAR, lambda x: -((x - GOAL) @ (x - GOAL)),
            lambda u, norm: -(FAR**2 - 2 * S * FAR * u + (S * norm) ** 2))  # fmt: skip
# −(e·x − 1)², curved along e itself and flat in all else; its top is in reach.
E = GOAL / length(GOAL)
VALLEY = Hill("valley", E, lambda x: -((E @ x - 1) ** 2),
              lambda u, norm: -((E @ MEAN + S * u - 1) ** 2))  # fmt: skip


def climbed(algorithm: Any, hill: Hill, starts: int) -> list[list[Array]]:
    """The pivots of several searches, and as the last one what was returned."""
    sampler, found = Sampler(GAUSSIAN, "euler", rows=8), []
    for seed in range(starts):
        pivots: list[Noise] = []

        def answer(asks: Sequence[Ask], pivots: list[Noise] = pivots) -> list[Reply]:
            pivots += asks[-1].trajectory.noise.children
            samples = sampler([ask.trajectory for ask in asks]).numpy()
            return [Reply.of(ask.trajectory, {"x": float(hill.score(x))})
                    for ask, x in zip(asks, samples, strict=True)]  # fmt: skip

        problem = Problem(Condition(), MixtureModel((SIZE,)).space(), Weighted({"x": 1.0}), STEPS,
                          RunFacts("climb", seed, Ledger(Rates())))  # fmt: skip
        winners = drive(algorithm, problem, answer)
        found.append([sampler.numbers(noise) for noise in (*pivots, winners[0].noise)])
    return found


# First coordinates w of random directions orthogonal to the pivot, all equally likely: in
# k = SIZE − 1 dimensions (w + 1)/2 is of the Beta law with both parameters (k − 1)/2.
TURNS = 2 * stats.beta(SIZE / 2 - 1, SIZE / 2 - 1).ppf((np.arange(20000) + 0.5) / 20000) - 1


def of_the_best(values: Any, neighbours: int) -> tuple[float, float]:
    """Mean and variance of the largest of so many draws from equally likely values."""
    values = np.sort(values)
    share = np.diff(np.linspace(0, 1, len(values) + 1) ** neighbours)
    mean = float(share @ values)
    return mean, float(share @ (values - mean) ** 2)


def assert_gains(hill: Hill, searches: list[list[Array]], expect: Expect) -> None:
    """The gains of all rounds sum up to what is expected, within four standard errors.

    ``expect(pivot)`` is the mean and the variance of the gain of one round. Given its pivot a
    round is independent of those before, so means and variances add up along any path.
    """
    off = spread = 0.0
    for pivots in searches:
        for before, after in itertools.pairwise(pivots):
            mean, variance = expect(before)
            off += hill.of(after) - hill.of(before) - mean
            spread += variance
    assert abs(off) < 4 * math.sqrt(spread), off / math.sqrt(spread)


def test_a_sample_is_an_affine_map_of_its_noise() -> None:
    """What the tests below rest on. Catches a start that is not the noise of time 1."""
    sampler = Sampler(GAUSSIAN, "euler", rows=8)
    starts = [Trajectory.begin(Condition(), ns.gaussian(i), STEPS).denoise() for i in range(8)]
    samples = sampler(starts).numpy()
    noises = [sampler.numbers(start.noise) for start in starts]
    assert np.allclose(samples, MEAN + S * np.stack(noises), atol=1e-5)
    for hill in (BOWL, VALLEY):
        for x, noise in zip(samples, noises, strict=True):
            assert hill.score(x) == pytest.approx(hill.of(noise), rel=1e-4)


@pytest.mark.parametrize(
    ("neighbours", "cosine"), [(1, 0.95), (2, 0.95), (4, 0.95), (4, 0.6), (16, 0.995)]
)
def test_zero_order_climbs_a_bowl_at_the_expected_rate(neighbours: int, cosine: float) -> None:
    """A round gains √(1−λ²)·‖n‖·‖g‖·E[max wᵢ] less (1−λ)·(∇V·n + 2s′²‖n‖²) on average.

    V is exactly quadratic with Hessian −2s′², so V(y) − V(n) = ∇V·(y−n) − s′²‖y−n‖² with
    y = λn + √(1−λ²)‖n‖w and ‖y−n‖² = 2(1−λ)‖n‖². The first part of ∇V·(y−n) is the part g of the
    gradient that is tangential to the sphere, times the largest of N first coordinates of random
    directions in d − 1 dimensions (about that of N normals over √(d−1)); the rest is the radial
    part and the curvature, a loss that is the same for all neighbours.

    Catches a cosine taken as a distance, √(1−λ) for √(1−λ²), a direction that is not made
    orthogonal or of length one, another number of neighbours, a worst or a first neighbour that
    becomes the pivot, and a pivot that competes where the paper lets it go.
    """
    algorithm = ns.ZeroOrder(neighbours=neighbours, cosine=cosine, pivot="move", rounds=40)
    largest, variance = of_the_best(TURNS, neighbours)

    def expect(pivot: Array) -> tuple[float, float]:
        n = pivot.astype(float)
        norm = length(n)
        gradient = 2 * S * (GOAL - MEAN - S * n)
        tangential = length(gradient - (gradient @ n / norm**2) * n)
        reach = math.sqrt(1 - cosine**2) * norm * tangential
        loss = (1 - cosine) * (gradient @ n + 2 * S**2 * norm**2)
        return reach * largest - loss, reach**2 * variance

    assert_gains(BOWL, climbed(algorithm, BOWL, 12), expect)


def test_the_largest_coordinate_is_about_that_of_normals() -> None:
    """Catches a wrong law of directions here, which would make a wrong rate look right.

    E[max] of 1, 2, 4 and 16 normals is 0, 1/√π, 1.0294 and 1.7660.
    """
    for neighbours, normal in ((1, 0.0), (2, 1 / math.sqrt(math.pi)), (4, 1.0294), (16, 1.7660)):
        largest, _ = of_the_best(TURNS, neighbours)
        # A direction's coordinates are bounded, so its largest are a little below the normal's.
        assert largest * math.sqrt(SIZE - 1) == pytest.approx(normal, rel=0.02, abs=1e-9)


@pytest.mark.parametrize("pivot", ["move", "keep"])
@pytest.mark.parametrize(("neighbours", "cosine"), [(2, 0.95), (4, 0.8)])
def test_zero_order_in_a_valley_gains_and_loses_as_expected(
    neighbours: int, cosine: float, pivot: Any
) -> None:
    """Here neighbours differ in curvature too, so E[max] is taken over V(λu + √(1−λ²)√(‖n‖²−u²)w).

    Near the top a round loses on average under ``move``, and never loses under ``keep``. Catches
    what the bowl does, and under ``keep`` a pivot that is scored anew or forgotten, so that the
    best neighbour replaces it although it is worse.
    """
    algorithm = ns.ZeroOrder(neighbours=neighbours, cosine=cosine, pivot=pivot, rounds=40)

    def expect(before: Array) -> tuple[float, float]:
        n = before.astype(float)
        u, norm = n @ E, length(n)
        turned = cosine * u + math.sqrt((1 - cosine**2) * (norm**2 - u**2)) * TURNS
        gains = VALLEY.height(turned, norm) - VALLEY.of(before)
        return of_the_best(gains if pivot == "move" else gains.clip(0), neighbours)

    searches = climbed(algorithm, VALLEY, 12)
    assert_gains(VALLEY, searches, expect)
    lost = sum(VALLEY.of(b) < VALLEY.of(a) for p in searches for a, b in itertools.pairwise(p))
    assert lost == 0 if pivot == "keep" else lost > 100


PICTURE = (1, 4, 8)  # as many pixels as the noise has numbers
RANGE = 12.0  # a pixel of 0 is a sample of −6, one of 1 is a sample of 6


class Plain(MixtureDenoiser):
    """Its pictures are its samples on another scale."""

    def decode(self, x0: Tensor) -> Tensor:
        return (0.5 + x0 / RANGE).expand(-1, 3, -1, -1)


def seen(images: Tensor) -> Tensor:
    """The samples [N, D] that pictures stand for."""
    return RANGE * (images[:, 0].flatten(1).double() - 0.5)


@dataclass(frozen=True)
class Nearness:
    """−‖x − goal‖² as a verifier."""

    name: str = "x"
    parts: tuple[str, ...] = ("x",)
    scale: Mapping[str, float] = field(default_factory=lambda: {"x": 1.0})
    differentiable: bool = True
    rows: int | None = None
    fingerprint: str = "1"

    def __call__(self, views: Views) -> Mapping[str, Tensor]:
        return {"x": -(seen(views.images) - torch.from_numpy(GOAL)).square().sum(1)}


def ascended(algorithm: Any) -> list[list[Array]]:
    """The noises of every start, turn by turn."""
    blobs: dict[str, Array] = {}
    numbers = Materialiser(PICTURE, blobs.__getitem__)
    denoiser = Plain(GAUSSIAN, PICTURE, dtype=torch.float64)
    space = MixtureModel(PICTURE).space()
    worker = Worker(denoiser, Euler(), [Nearness()], numbers, space.times, rows=4)
    turns: list[list[Array]] = []

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        turns.append([numbers(ask.trajectory.noise) for ask in asks])
        for ask in asks:
            worker.submit(ask)
        found = {}
        while answers := worker.wait():
            for ask, reply in answers:
                blobs.update(reply.arrays)
                keys = {key: key for key in reply.arrays}
                found[ask.key] = replace(reply, blobs=keys)
        return [found[ask.key] for ask in asks]

    facts = RunFacts("climb", 0, Ledger(Rates()), differentiable=frozenset({"x"}))
    problem = Problem(Condition(), space, Weighted({"x": 1.0}), STEPS, facts)
    drive(algorithm, problem, answer)
    return [list(start) for start in zip(*turns, strict=True)]


@pytest.mark.parametrize(
    "algorithm",
    [ns.FirstOrder(step=0.05, starts=2, iterations=20),
     ns.FirstOrder(cosine=0.98, starts=2, iterations=20)],
    ids=["step", "cosine"],
)  # fmt: skip
def test_first_order_follows_the_analytic_gradient(algorithm: ns.FirstOrder) -> None:
    """Each noise is followed by ‖n‖·(n + η∇V)/‖n + η∇V‖ with ∇V = −2s′(m + s′n − goal).

    Where a cosine is given, by the turn of that angle towards ∇V. The verifier sees x as one of
    255 levels, so ∇V is off by 2s′·RANGE/510 in each number at most, which bounds how far the
    next noise may be off: ‖a/‖a‖ − b/‖b‖‖ is at most 2‖a − b‖/‖a‖.

    Catches a gradient of another iteration or another start, one that goes down, one that lost
    the factor s′ of the flow or the slope of the decoder, and a norm that is not restored.
    """
    rounding = 2 * S * math.sqrt(SIZE) * RANGE / 510
    for noises in ascended(algorithm):
        for before, after in itertools.pairwise(noises):
            n = before.astype(float).ravel()
            gradient = 2 * S * (GOAL - MEAN - S * n)
            if algorithm.step is not None:
                moved, off = n + algorithm.step * gradient, algorithm.step * rounding
                wanted, near = moved * length(n) / length(moved), length(n)
            else:
                moved, off = gradient - (gradient @ n / (n @ n)) * n, rounding
                near = math.sqrt(1 - algorithm.cosine**2) * length(n)
                wanted = algorithm.cosine * n + near * moved / length(moved)
            # 1e-5: the noises are float32.
            assert length(after.ravel() - wanted) < 2 * near * off / length(moved) + 1e-5
        first, last = (noises[k].astype(float).ravel() for k in (0, -1))
        low, top = BOWL.of(first), BOWL.height(length(first), length(first))
        assert (BOWL.of(last) - low) / (top - low) > 0.9
