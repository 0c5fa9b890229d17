"""Feynman-Kac steering against what it must come to: tilted Gaussians, exact weights, prices."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sampling import Sampler

import noisesearch as ns
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.algorithms.steering import Steering, systematic
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.keys import seed_of
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.noise import Materialiser, normals
from noisesearch.candidates.trajectory import Denoise, Trajectory
from noisesearch.objectives.single import Weighted
from noisesearch.sampling.solvers import Solver, solver
from noisesearch.setup.selection import algorithm_of
from noisesearch.testing import Mixture, MixtureDenoiser, MixtureModel
from noisesearch.testing.plane import drive

MEAN, SPREAD, STEPS = (0.5, -0.3), 0.7, 6
GAUSSIAN = Mixture.of([1.0], [list(MEAN)], [SPREAD])
SLOPE = np.array([1.0, 0.6])  # of the reward
STRENGTH = 1.2
SDE = "euler-sde:2"
Number = Callable[[Ask, int], float]


def a_problem(seed: int = 0, limit: float = math.inf, steps: int = STEPS) -> Problem:
    space = replace(MixtureModel((2,)).space(), stochastic=True)
    return Problem(Condition(), space, Weighted({"x": 1.0}), steps,
                   RunFacts("steering", seed, Ledger(Rates()), limit))  # fmt: skip


def told(asks: Sequence[Ask], number: Number) -> list[Reply]:
    return [Reply.of(ask.trajectory, {"x": number(ask, i)}) for i, ask in enumerate(asks)]


def weighed(
    algorithm: Steering, problem: Problem, count: int, answer: Callable[[Sequence[Ask]], Any]
) -> tuple[list[list[Ask]], list[Reply], Any]:
    """All yields of one population, its samples and the logarithms of their weights."""
    search, yields = algorithm.population(problem, count), []
    try:
        asks = next(search)
        while True:
            yields.append(asks)
            asks = search.send(answer(asks))
    except StopIteration as stop:
        return yields, [r for r, _ in stop.value], np.array([w for _, w in stop.value])


class Affine:
    """Samples and previews of one Gaussian: a step of the solver's is x → a·x + b + c·z there.

    The steps' a, b and c are read off three calls of each, so ``mean`` and ``spread`` of the
    samples that these steps make of unit normals are known without chance.
    """

    def __init__(self, name: str, steps: int) -> None:
        self._denoiser = MixtureDenoiser(GAUSSIAN, (2,), dtype=torch.float64)
        self._encoded = self._denoiser.encode([Condition()])
        self._steps = [self._coefficients(solver(name), k / steps, (k + 1) / steps)
                       for k in range(steps)]  # fmt: skip
        self._numbers, self._at = Materialiser((2,)), defaultdict[str, dict[int, Any]](dict)
        self.mean, variance = np.zeros(2), 1.0
        for a, b, c in self._steps:
            self.mean, variance = a * self.mean + b, a * a * variance + c * c
        self.spread = math.sqrt(variance)

    def _coefficients(self, way: Solver, done: float, next_: float) -> tuple[float, Any, float]:
        x = torch.tensor([[0.0, 0], [1, 1], [0, 0]]).double()
        z = torch.tensor([[0.0, 0], [0, 0], [1, 1]]).double()
        t0, t1 = (torch.full((3,), 1 - at).double() for at in (done, next_))
        (after,) = way.step(self._pair, self._denoiser.process, way.init(x), t0, t1, z)
        zero, one, noisy = after.numpy()
        return (one - zero)[0], zero, (noisy - zero)[0]

    def _pair(self, x: Any, t: Any) -> Any:
        shift = {name: row.expand(len(x), -1) for name, row in self._encoded.items()}
        return self._denoiser(x, t, shift)

    def _state(self, trajectory: Trajectory) -> Any:
        """Where a trajectory is; remembered, as copies come from one place."""
        known = self._at[trajectory.edge]
        if not known:
            parent = trajectory.parent
            start = self._numbers(trajectory.noise).astype(float)
            known[parent.level if parent else 0] = self._state(parent) if parent else start
        if trajectory.level not in known:
            move = trajectory.move
            assert isinstance(move, Denoise) and move.seed is not None
            last = max(level for level in known if level < trajectory.level)
            x = known[last]
            for level in range(last, trajectory.level):
                a, b, c = self._steps[level]
                x = a * x + b + c * normals(seed_of(move.seed, "step", level), (2,))
            known[trajectory.level] = x
        return known[trajectory.level]

    def __call__(self, asks: Sequence[Ask]) -> Any:
        """Samples, or clean predictions where they are not finished [N, 2]."""
        ends = [ask.trajectory for ask in asks]
        x = np.stack([self._state(end) for end in ends])
        if ends[0].finished:
            return x
        t = torch.full((len(x),), 1 - ends[0].level / len(self._steps)).double()
        return self._pair(torch.from_numpy(x), t)[0].numpy()


def test_the_affine_steps_are_the_workers() -> None:
    """Catches a test bench that samples otherwise than the library."""
    problem = a_problem()
    half = problem.onward(problem.begin(problem.noise(3)), 4)
    ways = [problem.onward(half, STEPS), problem.onward(half, STEPS, 7), half]
    own = [Affine(SDE, STEPS)([ns.score(way)])[0] for way in ways]
    assert np.allclose(own, Sampler(GAUSSIAN, SDE, rows=4)(ways).numpy(), atol=1e-6)


RUNS, COUNT = 24, 150


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0], ids=["never", "gate", "always"])
@pytest.mark.parametrize("potential", ["difference", "max", "sum"])
def test_a_linear_reward_tilts_a_gaussian(potential: Any, threshold: float) -> None:
    """exp(λ·a·x)·N(m, s²I) is N(m + λs²a, s²I), whatever the potential and wherever is drawn.

    m and s are those of the solver's own steps, so nothing is left to the discretisation.
    Errors: of the mean over R independent runs four standard errors, taken from how the runs
    spread; and what a ratio of sums over N weights is off by: for weights w ∝ exp(λa·x) that are
    never drawn it is E[w²(x − μ)]/N, which is τe^{τ²}·s/N for the mean along a and at most
    (1 + 2τ²)e^{τ²}·s²/N for a variance, with τ = λ|a|s; drawing on the way makes weights more
    even, and it less.

    Catches weights that are forgotten where nothing is drawn, a last potential without its
    division, copies that share their noise, which are then one, and a draw that favours early
    particles.
    """
    sampler = Affine(SDE, STEPS)
    algorithm = Steering(
        potential=potential, strength=STRENGTH, threshold=threshold, levels=(0.5, 0.8)
    )

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        rewards = sampler(asks) @ SLOPE
        return told(asks, lambda ask, i: float(rewards[i]))

    means, covariances = [], []
    for seed in range(RUNS):
        _, replies, logs = weighed(algorithm, a_problem(seed), COUNT, answer)
        points = sampler([ns.score(reply.trajectory) for reply in replies])
        shares = np.exp(logs - logs.max())
        shares /= shares.sum()
        middle = shares @ points
        means.append(middle)
        covariances.append((shares[:, None] * (points - middle)).T @ (points - middle))
    steepness = STRENGTH * float(np.linalg.norm(SLOPE)) * sampler.spread
    ratio = math.exp(steepness**2) / COUNT
    biases = (steepness * sampler.spread * ratio,
              (1 + 2 * steepness**2) * sampler.spread**2 * ratio)  # fmt: skip
    wanted = (sampler.mean + STRENGTH * sampler.spread**2 * SLOPE, sampler.spread**2 * np.eye(2))
    for found, exact, bias in zip((means, covariances), wanted, biases, strict=True):
        error = 4 * np.std(found, axis=0, ddof=1) / math.sqrt(RUNS) + bias
        away = np.abs(np.mean(found, axis=0) - exact)
        assert (away < error).all(), (away, error)
        # The tilt moves the mean by about 0.6 and 0.35.
        assert (error < 0.15).all(), "an error that large would find nothing"


@pytest.mark.parametrize("potential", ["difference", "max", "sum"])
def test_weights_are_kept_where_nothing_is_drawn(potential: Any) -> None:
    """Never drawn, a particle weighs exp(λ·r(x0)) exactly: the potentials' product telescopes.

    Catches the published code's gate, which forgets the weights of all looks but the last.
    """
    numbers = np.random.default_rng(3).normal(size=(5, 6))
    turns = iter(numbers)

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        row = next(turns)
        return told(asks, lambda ask, i: float(row[i]))

    algorithm = Steering(potential=potential, strength=3.0, threshold=0.0)
    _, _, logs = weighed(algorithm, a_problem(), 6, answer)
    assert np.allclose(logs, 3.0 * numbers[-1], atol=1e-12)


@pytest.mark.parametrize(
    ("potential", "product"),
    [
        ("difference", lambda seen: seen[-1]),
        ("max", lambda seen: sum(accumulate(seen, max))),
        ("sum", lambda seen: sum(accumulate(seen))),
    ],
)
def test_what_was_drawn_starts_again_from_there(potential: Any, product: Any) -> None:
    """Drawn after the first looks alone, a sample weighs exp(λ·(r(x0) − Σ log G/λ until then)).

    Catches a product of potentials that is brought up to date only when something is drawn, and
    one that is not handed on to the copies.
    """
    looks = {0: 0.0, 1: 2.0}
    algorithm = Steering(potential=potential, strength=4.0, levels=(0.5,), threshold=1.0)
    turn = iter(range(9))

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        first = next(turn) == 0
        return told(asks, lambda ask, i: looks[i] if first else 10.0 + i)

    yields, _, logs = weighed(algorithm, a_problem(), 2, answer)
    # exp(−8) of the weight is the first's, so both are copies of the second.
    assert len({ask.trajectory.noise for ask in yields[1]}) == 1
    assert np.allclose(logs, 4.0 * (np.array([10.0, 11.0]) - product([2.0])))


def test_copies_part_and_the_first_goes_on() -> None:
    """Catches copies with one seed, which are one sample paid for once and counted often."""
    algorithm = Steering(strength=5.0, levels=(0.5,))
    yields, _, _ = weighed(
        algorithm, a_problem(), 4, lambda asks: told(asks, lambda ask, i: float(i == 2))
    )
    samples = [ask.trajectory for ask in yields[1]]
    assert {s.noise for s in samples} == {yields[0][2].trajectory.noise}
    assert len(set(samples)) == 4
    problem = a_problem()
    assert samples[0] == problem.sample(problem.noise(2)), "the first copy goes on as it was"


@pytest.mark.parametrize("weights", [[0.1, 0.2, 0.7], [1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 0.0]])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_systematic_draws_are_unbiased(weights: list[float], count: int) -> None:
    """Over uniform places an index comes count·w times on average, and never a whole one off.

    Catches rounded numbers of copies, whose sum drifts and is cut off by index, multinomial
    draws, which drop good particles by chance, and a last index that gets what is left over.
    """
    share = np.array(weights) / sum(weights)
    counts = np.array([
        np.bincount(systematic(np.array(weights), count, u), minlength=len(weights))
        for u in (np.arange(2000) + 0.5) / 2000
    ])  # fmt: skip
    assert (counts.sum(1) == count).all()
    assert (np.abs(counts - count * share) < 1).all()
    # The middles of 2,000 equal parts are off by half a part at each of at most three jumps.
    assert np.allclose(counts.mean(0), count * share, atol=3 / 2000 * count)


def test_without_strength_it_is_random_search() -> None:
    """λ = 0: every particle is the candidate that Random Search makes of its noise.

    Catches legs with seeds of their own, which would compare other samples than the baseline's,
    and draws that shuffle particles of equal weight.
    """
    problem = a_problem(limit=6 * STEPS)
    algorithm = Steering(strength=0.0, threshold=1.0)
    winners = drive(algorithm, problem, lambda asks: told(asks, lambda ask, i: float(i)))
    other = a_problem(limit=6 * STEPS)
    wanted = drive(ns.RandomSearch(), other, lambda asks: told(asks, lambda ask, i: float(i)))
    assert winners == wanted and len(winners) == 6
    assert problem.run.ledger.nfe == other.run.ledger.nfe == 6 * STEPS


def test_what_the_strength_is_measured_by() -> None:
    """Values in other units choose alike. Catches λ per unit of a score that goes from 0 to 10."""

    def asked(unit: float) -> list[Trajectory]:
        chance = np.random.default_rng(5)
        yields, _, _ = weighed(
            Steering(), a_problem(), 8,
            lambda asks: told(asks, lambda ask, i: unit * float(chance.normal())),
        )  # fmt: skip
        return [ask.trajectory for asks in yields for ask in asks]

    assert asked(1.0) == asked(0.01) != asked(0.0)


@pytest.mark.parametrize("narrowing", [1.0, 0.6, 0.3])
def test_it_begins_with_as_many_as_the_budget_allows(narrowing: float) -> None:
    """What it costs is what its price says, and one particle more would not fit.

    Catches a look that is paid for twice, or never by those that are dropped, and a schedule
    that is cut short by the budget.
    """
    for limit in (40, 77, 211):
        problem = a_problem(limit=limit)
        algorithm = Steering(narrowing=narrowing, strength=1.0)
        yields = []

        def answer(asks: Sequence[Ask], yields: list[int] = yields) -> list[Reply]:
            yields.append(len(asks))
            return told(asks, lambda ask, i: math.sin(7.0 * i))

        drive(algorithm, problem, answer)
        first = yields[0]
        assert len(yields) == 5
        for before, after in pairwise(yields):
            assert after == max(2, math.ceil(round(before * narrowing, 9)))
        assert problem.run.ledger.nfe == algorithm._price(problem, first) <= limit
        assert algorithm._price(problem, first + 1) > limit


def test_a_look_without_a_score_weighs_nothing() -> None:
    """NaN on the way leaves a particle's weight; a sample without a score ranks last.

    Catches NaN turned into a number, and weights that are NaN and fail a draw.
    """
    algorithm = Steering(strength=2.0, threshold=1.0)

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        return told(asks, lambda ask, i: math.nan if i % 2 else 1.0)

    problem = a_problem(limit=4 * STEPS)
    yields, replies, logs = weighed(algorithm, problem, 4, answer)
    assert len(yields) == 5 and np.isneginf(logs[1::2]).all() and np.isfinite(logs[::2]).all()
    winners = drive(algorithm, a_problem(limit=4 * STEPS), answer)
    assert {w.key for w in winners[:2]} == {r.trajectory.key for r in replies if not r.missing}


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"particles": 0}, "particles.*got 0"),
        ({"particles": 1}, "particles.*got 1"),
        ({"levels": [0.5, 0.2]}, "levels are 0.5, 0.2.*must rise"),
        ({"levels": [0.5, 0.5]}, "must rise"),
        ({"levels": [0.0, 0.5]}, "must rise, between 0"),
        ({"levels": [0.5, 1.0]}, "must rise, between 0"),
        ({"narrowing": 1.5}, "narrowing"),
        ({"threshold": -1}, "threshold"),
        ({"strength": -1}, "strength"),
        ({"potential": "maximum"}, "potential"),
    ],
)
def test_steering_that_cannot_be(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ns.ConfigError, match=what):
        algorithm_of("steering", settings)
