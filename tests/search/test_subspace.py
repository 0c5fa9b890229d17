"""Optimisers from elsewhere in a subspace of the noise, and CMA-ES as one of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

import noisesearch as ns
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.algorithms.subspace import optimised, place
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.noise import Materialiser, Noise
from noisesearch.errors import ConfigError
from noisesearch.objectives.single import Weighted
from noisesearch.testing import AlgorithmContract, MixtureModel
from noisesearch.testing.plane import drive

cma = pytest.importorskip("cma")
STEPS, DIMENSIONS = 4, 6


class TestCma(AlgorithmContract):
    starts_at_baseline = False  # its first points are around number 0, not there

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.Cma(dimensions=3, population=4)


class TestCmaAncestral(AlgorithmContract):
    starts_at_baseline = False
    settings: ClassVar = {"solver": "ddim-ancestral"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.Cma(dimensions=2, population=5)


def problem(candidates: int, seed: int = 0) -> Problem:
    return Problem(Condition(), MixtureModel().space(), Weighted({"x": 1.0}), STEPS,
                   RunFacts("cma", seed, Ledger(Rates()), candidates * STEPS))  # fmt: skip


def point(noise: Noise) -> Any:
    """The point of a noise, back from its recipe."""
    (cosine,) = noise.numbers
    x = np.array(noise.children[1].numbers, dtype=float)
    assert cosine == pytest.approx(1 / math.sqrt(1 + x @ x))
    return x


def searched(
    algorithm: Any, of: Problem, number: Callable[[Noise], float]
) -> tuple[list[Noise], list[Noise]]:
    """The winners' noises, and all that were asked for."""
    asked: list[Noise] = []

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        asked.extend(a.trajectory.noise for a in asks)
        return [Reply.of(a.trajectory, {"x": number(a.trajectory.noise)}) for a in asks]

    return [t.noise for t in drive(algorithm, of, answer)], asked


TOP = np.array([0.8, -0.5, 0.3, 0.9, -0.2, 0.4])


def quadratic(noise: Noise) -> float:
    return -float(((point(noise) - TOP) ** 2).sum())


def fall(away: Sequence[float]) -> float:
    """r of a distance that falls by e^(−r/k) an evaluation, between generations 10 and 60."""
    early, late = np.median(away[90:180]), np.median(away[450:540])
    return math.log(early / late) / 360 * DIMENSIONS


def test_cma_climbs_a_quadratic_at_the_packages_rate() -> None:
    """On −‖x − x*‖² the distance falls as fast as with the package alone, which is told the values
    themselves and draws numpy's normals: mean over six searches each, whose deviation is a tenth.

    No evolution strategy that weighs the best half falls faster than r = 1/4 (Arnold 2006, the
    limit of many dimensions). Catches losses told in the wrong order or sign, generations told
    twice or not at all, normals of another variance, and a map that distorts the points.
    """
    rates, alone = [], []
    for seed in range(6):
        _, asked = searched(ns.Cma(dimensions=DIMENSIONS), problem(540, seed), quadratic)
        rates.append(fall([math.sqrt(-quadratic(n)) for n in asked]))
        normal = np.random.default_rng(seed).standard_normal
        options = {"popsize": 9, "seed": math.nan, "verbose": -9, "verb_log": 0,
                   "signals_filename": "",
                   "randn": lambda *n, normal=normal: normal(n)}  # fmt: skip
        package, away = cma.CMAEvolutionStrategy([0.0] * DIMENSIONS, 0.5, options), []
        for _ in range(60):
            points = package.ask()
            values = [float(((x - TOP) ** 2).sum()) for x in points]
            away += [math.sqrt(v) for v in values]
            package.tell(points, values)
        alone.append(fall(away))
    assert np.mean(rates) == pytest.approx(np.mean(alone), rel=0.2), (rates, alone)
    assert 0.05 < np.mean(rates) < 0.25


def test_it_is_the_packages_own_way() -> None:
    """The points asked for are those of the package alone, told the places of the same scores.
    Catches an adapter that changes what either side says."""
    of = problem(54)
    _, asked = searched(ns.Cma(dimensions=DIMENSIONS), of, quadratic)
    alone = ns.Cma(dimensions=DIMENSIONS)._optimiser(problem(54))
    for start in range(0, 54, 9):
        points = alone.ask()
        assert np.allclose(points, [point(n) for n in asked[start : start + 9]], atol=1e-12)
        values = [float(((x - TOP) ** 2).sum()) for x in points]
        alone.tell(points, [float(p) for p in np.argsort(np.argsort(values))])


def test_it_comes_to_the_highest_noise_of_the_subspace() -> None:
    """V(n) = n·axis on noises of one norm is at most ‖n₀‖ times the length of the axis' part in
    the span of all noises. Catches noises of other norms, which could be better, and axes that
    are drawn anew in each generation, under which there is no such subspace."""
    numbers = Materialiser((1, 4, 4), capacity=64)
    of = problem(700)
    axis = np.random.default_rng(5).standard_normal(16)
    winners, asked = searched(ns.Cma(dimensions=4), of,
                              lambda n: float(numbers(n).ravel() @ axis))  # fmt: skip
    centre = numbers(of.noise(0)).astype(float).ravel()
    span, _ = np.linalg.qr(np.stack([numbers(of.noise(i)).ravel() for i in range(5)], axis=1))
    top = np.linalg.norm(centre) * np.linalg.norm(span.T @ axis)
    best = float(numbers(winners[0]).astype(float).ravel() @ axis)
    assert 0.99 * top < best <= top * (1 + 1e-6)
    norms = [np.linalg.norm(numbers(n).astype(float)) for n in asked]
    assert np.allclose(norms, np.linalg.norm(centre), rtol=1e-6)


def test_nothing_global_is_touched(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches the package's own seeding of numpy, its clock, and its files of logs."""
    monkeypatch.chdir(tmp_path)
    before = str(np.random.get_state())
    first, second = (searched(ns.Cma(), problem(60), lambda n: float(int(n.key[:8], 16)))[1]
                     for _ in range(2))  # fmt: skip
    assert first == second
    assert str(np.random.get_state()) == before
    assert not list(tmp_path.iterdir())


def test_another_optimiser_is_wrapped_as_it_is() -> None:
    """Four lines that double or halve a step. Catches a part of cma in the adapter."""

    class Doubling:
        best, step = (0.0, 0.0), 1.0

        def ask(self) -> list[tuple[float, float]]:
            a, b = self.best
            return [(a, b), (a + self.step, b), (a - self.step, b), (a, b + self.step),
                    (a, b - self.step)]  # fmt: skip

        def tell(self, points: Sequence[Any], losses: Sequence[float]) -> None:
            place = list(losses).index(0.0)
            self.best, self.step = points[place], self.step * (1 if place else 0.5)

    of = problem(60)
    numbers = Materialiser((1, 4, 4))
    goal = numbers(place(of, (0.75, -1.25))).ravel()
    winners, _ = searched(lambda p: optimised(p, Doubling()), of,
                          lambda n: float(numbers(n).ravel() @ goal))  # fmt: skip
    assert winners[0] == place(of, (0.75, -1.25))


def test_the_origin_is_number_0() -> None:
    of = problem(1)
    assert place(of, (0.0, 0.0)) == of.noise(0)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(ConfigError, match=r"pip install 'noisesearch\[subspace\]'"):
        ns.Cma()(problem(10))


@pytest.mark.parametrize("population", [0, 1, 3])
def test_populations_that_are_none_are_refused(population: int) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 4"):
        ns.Cma(population=population)
