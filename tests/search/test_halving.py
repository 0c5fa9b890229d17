"""Successive halving: who goes on, what it costs, and that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

import noisesearch as ns
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.trajectory import Trajectory
from noisesearch.errors import ConfigError
from noisesearch.objectives.single import Weighted
from noisesearch.testing import AlgorithmContract, Bench, MixtureModel, mixture
from noisesearch.testing.plane import drive

STEPS = 20


class TestHalving(AlgorithmContract):
    starts_at_baseline = False

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.Halving()


class TestHalvingHeun(AlgorithmContract):
    settings: ClassVar = {"solver": "heun"}
    starts_at_baseline = False

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.Halving(levels=(0.2, 0.5, 0.8), keep=0.5)


class TestHalvingAncestral(AlgorithmContract):
    settings: ClassVar = {"solver": "ddim-ancestral"}
    starts_at_baseline = False

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.Halving()


def problem(budget: float, seed: int = 0, stages: int = 1) -> Problem:
    return Problem(Condition(), MixtureModel().space(), Weighted({"x": 1.0}), STEPS,
                   RunFacts("halving", seed, Ledger(Rates(stages=stages)), budget))  # fmt: skip


def answered(number: Callable[[Trajectory], float], asked: list[Ask]) -> Any:
    """Replies of one part, which is a number of the trajectory."""

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        asked.extend(asks)
        return [Reply.of(a.trajectory, {"x": number(a.trajectory)}) for a in asks]

    return answer


def test_previews_in_the_order_of_their_finals_find_the_true_best() -> None:
    """Whatever the widths, the best of all noises begun is the winner where previews rank them so.

    Catches the worst kept in place of the best, a ranking that is read by the wrong indices after
    the first level, and noises that are drawn anew at a level.
    """
    for seed in range(20):
        asked: list[Ask] = []
        of = problem(20 * STEPS, seed)

        def true(trajectory: Trajectory, seed: int = seed) -> float:
            draw = np.random.default_rng([seed, int(trajectory.noise.key[:12], 16)])
            return float(draw.standard_normal())

        winners = drive(ns.Halving(levels=(0.2, 0.4, 0.6), keep=0.5), of, answered(true, asked))
        begun = {ask.trajectory.noise: true(ask.trajectory) for ask in asked}
        assert len(begun) > 40, "more noises than samples would fit"
        assert winners[0].noise == max(begun, key=begun.__getitem__)
        assert winners[0].finished
        values = [true(winner) for winner in winners]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize(
    ("levels", "keep", "width"),
    [((0.25,), 0.5, 7), ((0.35, 0.6), 0.4, 16), ((0.2, 0.4, 0.6, 0.8), 0.3, 33)],
)
def test_the_ledger_is_the_closed_formula(
    levels: tuple[float, ...], keep: float, width: int, stages: int
) -> None:
    """Σ nⱼ·(eⱼ − eⱼ₋₁), with eⱼ = lⱼ·stages + 1: a preview is the next step's first evaluation.

    Catches a trajectory that is begun anew at each level, a preview that is paid for beside its
    step, a second stage of Heun's counted as shared, and a share rounded down.
    """
    of, asked = problem(1e6, stages=stages), []
    drive(ns.Halving(levels=levels, keep=keep, width=width), of, answered(lambda t: 0.0, asked))
    counts = [width]
    while len(counts) <= len(levels):
        counts.append(-(-counts[-1] * round(100 * keep) // 100))
    due = [0, *(round(share * STEPS) * stages + 1 for share in levels), STEPS * stages]
    by_hand = sum(n * (b - a) for n, a, b in zip(counts, due, due[1:], strict=False))
    assert of.run.ledger.nfe == by_hand == ns.Halving(levels=levels, keep=keep).cost(of, width)
    assert len(asked) == sum(counts)


@pytest.mark.parametrize("budget", [STEPS, 77, 200, 481, 1000])
def test_the_width_is_the_largest_that_fits(budget: int) -> None:
    """Catches a width that leaves room for another noise, or that the budget would cut."""
    algorithm, of, asked = ns.Halving(), problem(budget), []
    winners = drive(algorithm, of, answered(lambda t: 0.0, asked))
    begun = len({ask.trajectory.noise for ask in asked})
    assert winners and of.run.ledger.nfe == algorithm.cost(of, begun) <= budget
    assert algorithm.cost(of, begun + 1) > budget


def test_few_steps_have_fewer_levels() -> None:
    """Catches a level asked for twice, which would halve twice by one look, and level 0 or n."""
    of = problem(100)
    of.steps = 3
    assert ns.Halving(levels=(0.1, 0.2, 0.3, 0.6, 0.95)).stops(of) == [1, 2, 3]
    of.steps = 1
    assert ns.Halving().stops(of) == [1]


def test_what_ran_is_what_was_priced_and_samples_are_the_noises_own(tmp_path: Path) -> None:
    """With the library's own worker and a real denoiser: finished candidates are what Random
    Search has of the same noises, to the bit.

    Catches a state that is lost between the levels and computed again, and a trajectory cut in
    legs whose sample is another than the noise's.
    """
    bench = Bench(tmp_path, ns.Halving())
    halved = bench.run("halved")
    assert halved.physical == halved.priced and halved.evictions == 0
    plain = Bench(tmp_path, ns.RandomSearch(), settings={"budget": "30candidates"}).run("plain")
    known = {r.trajectory.key: r.parts for live in plain.searches for r in live.record.replies}
    told = [r for live in halved.searches for r in live.record.replies]
    finished = [r for r in told if r.trajectory.finished]
    assert finished and all(known[r.trajectory.key] == r.parts for r in finished)


def test_regret_with_real_previews() -> None:
    """On the mixture with its exact denoiser the winner is nearer to the best noise begun than to
    what Random Search finds for the same NFE.

    Mean regret over 24 searches, in units of the standard deviation among samples. Catches
    previews of the wrong level (of the noise itself, say), which tell nothing.
    """
    regret, lost = [], []
    for seed in range(24):
        plane = mixture(budget=160, steps=8, seed=seed)
        winner = plane.run(ns.Halving())[0]
        begun = list(dict.fromkeys(r.trajectory.noise for r in plane.replies))
        everyone = [ns.score(plane.problem.sample(noise)) for noise in begun]
        found = [r.parts["near"] for r in plane.answer(everyone)]
        best, spread = max(found), np.std(found)
        got = found[begun.index(winner.noise)]
        regret.append((best - got) / spread)
        lost.append((best - max(found[: 160 // 8])) / spread)
    assert np.mean(regret) < 0.5 * np.mean(lost), (np.mean(regret), np.mean(lost))


@pytest.mark.parametrize("levels", [(0.6, 0.3), (0.3, 0.3), (0.0, 0.5), (0.5, 1.0), ()])
def test_levels_that_do_not_rise_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="must rise"):
        ns.Halving(levels=levels)


def test_a_width_that_does_not_fit_is_said() -> None:
    with pytest.raises(ConfigError, match="halving of 100 noises needs at least"):
        next(ns.Halving(width=100)(problem(60)))
