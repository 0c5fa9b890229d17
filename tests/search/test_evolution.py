"""Evolution: children keep the noise's law and the state's level; parents, prices, phases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sampling import Sampler
from scipy import stats

import noisesearch as ns
from noisesearch.algorithms.evolution import stopped
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.noise import Materialiser, cross, gaussian, mix, neighbour
from noisesearch.candidates.space import Space
from noisesearch.candidates.trajectory import Denoise, Renoise, Trajectory
from noisesearch.errors import ConfigError
from noisesearch.objectives.single import Weighted
from noisesearch.testing import AlgorithmContract, Mixture, MixtureModel
from noisesearch.testing.plane import drive

SHAPE = (2, 8, 8)
STEPS = 10


class TestEvolution(AlgorithmContract):
    budget = "13candidates"

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.Evolution(population=3)


class TestEvolutionAncestral(AlgorithmContract):
    budget = "13candidates"
    # Of one part: the best three by mean rank may be ranked otherwise among themselves.
    settings: ClassVar = {"solver": "ddim-ancestral", "objective": "part(brightness)"}

    @pytest.fixture
    def algorithm(self) -> Any:
        return ns.Evolution(population=3, times=(0.4,), elites=1)


def problem(budget: float, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Problem:
    space = Space(shape, MixtureModel().space().times)
    return Problem(Condition(), space, Weighted({"x": 1.0}), STEPS,
                   RunFacts("evolution", seed, Ledger(Rates()), budget))  # fmt: skip


def searched(
    algorithm: ns.Evolution, of: Problem, number: Callable[[Trajectory], float]
) -> list[list[Ask]]:
    """What was asked, yield by yield."""
    asked: list[list[Ask]] = []

    def answer(asks: Sequence[Ask]) -> list[Reply]:
        asked.append(list(asks))
        return [Reply.of(a.trajectory, {"x": number(a.trajectory)}) for a in asks]

    winners = drive(algorithm, of, answer)
    values = [number(w) for w in winners]
    assert values == sorted(values, reverse=True) and all(w.finished for w in winners)
    return asked


def by_key(trajectory: Trajectory) -> float:
    return float(int(trajectory.key[:10], 16))


def test_halves_of_relatives_are_unit_normals() -> None:
    """Over forty children of pairs whose cosine is 0.9; a weighted sum of those has variance 1.9,
    which is what crossing by :func:`mix` would ship. Catches that, and a half that is kept twice.
    """
    numbers = Materialiser((4, 32, 32), capacity=8)
    pairs = [(gaussian(i), neighbour(gaussian(i), i, 0.9)) for i in range(40)]
    children = [numbers(cross(a, b, -1 - i % 2)) for i, (a, b) in enumerate(pairs)]
    assert stats.kstest(np.concatenate([c.ravel() for c in children]), "norm").pvalue > 1e-3
    assert numbers(mix(pairs[0], [1, 1])).var() > 1.7
    first, second = map(numbers, pairs[1])
    child = numbers(cross(*pairs[1], -2))
    assert (child[:, :16] == first[:, :16]).all() and (child[:, 16:] == second[:, 16:]).all()
    child = numbers(cross(*pairs[1], -1))
    assert (child[..., :16] == first[..., :16]).all() and (
        child[..., 16:] == second[..., 16:]
    ).all()


def test_all_noises_keep_the_norm_of_chance() -> None:
    """Twelve generations under a verifier that rewards power. Catches a mutation that is added,
    as the published one of states is, so that the norm grows with each generation."""
    numbers = Materialiser(SHAPE, capacity=512)
    algorithm = ns.Evolution(population=8, times=())
    asked = searched(algorithm, problem(96 * STEPS),
                     lambda t: float((numbers(t.noise) ** 2).sum()))  # fmt: skip
    assert len(asked) == 12
    size = math.prod(SHAPE)
    for asks in asked:
        power = [float((numbers(a.trajectory.noise) ** 2).sum()) for a in asks]
        # Selection may only choose among halves of the eight first noises: √(2·size) is one
        # deviation of a noise's power.
        assert max(power) < size + 5 * math.sqrt(2 * size)


@pytest.mark.parametrize("times", [(0.6,), (0.7, 0.3)])
def test_a_childs_sample_is_of_the_models_law(times: tuple[float, ...]) -> None:
    """On one Gaussian N(m, s²I): states noised up and brought down are samples of it again.

    Moments of 300 children of as many parents, one or two times after each other, by 40 steps of
    Heun's; six standard errors. Catches a state that is fed back at another level than it is of
    (published: one step too late), a rise in the wrong scale, and a leg that ends elsewhere.
    """
    mean = np.linspace(-2, 2, 16)
    spread = 0.6
    sampler = Sampler(Mixture.of([1.0], [mean.tolist()], [spread]))
    of = problem(1e9, shape=(16,))
    of.steps = 40
    found = []
    for i in range(300):
        child = of.sample(gaussian(i))
        for k, time in enumerate(times):
            up = time + 0.2
            child = stopped(of, child, time).renoise(up, 10_000 * (k + 1) + i, 0.0, 40).denoise()
        found.append(child)
    samples = sampler(found)
    error = spread / math.sqrt(300)
    assert (samples.mean(0) - torch.from_numpy(mean)).abs().max() < 6 * error
    variance = float(((samples - torch.from_numpy(mean)) ** 2).mean())
    assert variance == pytest.approx(spread**2, rel=6 * math.sqrt(2 / samples.numel()))


def test_states_are_their_parents_way() -> None:
    """A child's way down to its state is its parent's, with the parent's own seeds, also of
    children of children. Catches states of somebody else, or begun anew from the noise."""
    asked = searched(ns.Evolution(population=4, elites=2), problem(40 * STEPS), by_key)
    known = {a.trajectory.key: a.trajectory for asks in asked for a in asks}
    depths = Counter()
    for asks in asked:
        for ask in asks:
            if ask.tag["time"] == 1.0:
                continue
            trajectory = ask.trajectory
            moves = trajectory.moves
            assert isinstance(moves[-2], Renoise) and isinstance(moves[-1], Denoise)
            state = trajectory.prefix.prefix
            assert state.grid.end == ask.tag["time"] and state.level == state.grid.steps
            assert moves[-2].grid.start == pytest.approx(ask.tag["time"] + 0.2)
            assert any(_goes(t, state) for t in known.values()), "somebody went this way to 0"
            depths[len(moves)] += 1
    assert set(depths) == {3, 5}, "children of children have states too"


def _goes(finished: Trajectory, state: Trajectory) -> bool:
    """True where a candidate's way is the state's, but for where its last leg ends."""
    if finished.noise != state.noise or len(finished.moves) != len(state.moves):
        return False
    *whole, last = [m for m in finished.moves if isinstance(m, Renoise)] or [None]
    *way, ended = [m for m in state.moves if isinstance(m, Renoise)] or [None]
    if last is None or ended is None:
        return last is ended
    return whole == way and (last.seed, last.grid.start) == (ended.seed, ended.grid.start)


def test_parents_are_drawn_by_tournaments_of_two() -> None:
    """Of k elites the best is drawn with 1 − (1 − 1/k)², the worst with 1/k².

    Catches tournaments as wide as the population (published: nine tenths of it), which the best
    wins nearly always, and a loser that is taken.
    """
    elites = 4
    algorithm = ns.Evolution(population=200, elites=elites, times=(), crossing=0.0)
    asked = searched(algorithm, problem(400 * STEPS), by_key)
    first, second = asked
    ranked = sorted((a.trajectory for a in first), key=by_key, reverse=True)
    drawn = Counter(a.trajectory.noise.children[0].key for a in second)
    for place in range(elites):
        share = ((elites - place) ** 2 - (elites - place - 1) ** 2) / elites**2
        expected, count = 200 * share, drawn[ranked[place].noise.key]
        assert abs(count - expected) < 4 * math.sqrt(expected * (1 - share)), place
    assert sum(drawn.values()) == 200 and len(drawn) == elites


@pytest.mark.parametrize("budget", [10, 24, 53, 100, 257])
def test_budgets_are_kept_used_and_shared(budget: int) -> None:
    """Catches a time that takes what is another's, and a rest of more than was set aside."""
    of = problem(budget)
    asked = searched(ns.Evolution(), of, by_key)
    size = max(4, math.isqrt(budget // STEPS))
    planned = ns.Evolution().counts(of, budget, size)
    assert Counter(a.tag["time"] for asks in asked for a in asks) == planned
    # Of a candidate, and where a parent's way is shorter than the longest that was set aside.
    assert 0 <= of.budget < STEPS + 4 * max(2, size // 3)
    spent = Counter()
    book = Ledger(Rates())
    for asks in asked:
        for ask in asks:
            spent[ask.tag["time"]] += book.charge(ask.trajectory)
    assert spent.total() == budget - of.budget
    if budget >= 100:
        assert set(spent) == {1.0, 0.6, 0.3}
        assert all(abs(n - budget / 3) <= 16 for n in spent.values())


def test_siblings_share_the_way_to_their_state() -> None:
    """The price of a time is that of its children and of a way for each parent, as documented.
    Catches a state that every child pays for."""
    of = problem(60 * STEPS)
    algorithm = ns.Evolution(population=6, elites=1, times=(0.5,), rise=0.2)
    asked = searched(algorithm, of, by_key)
    *noises, states = asked
    book = Ledger(Rates())
    for ask in (a for asks in noises for a in asks):
        book.charge(ask.trajectory)
    assert {a.tag["time"] for a in states} == {0.5} and len(states) == (300 - 5) // 7
    assert sum(book.charge(a.trajectory) for a in states) == len(states) * 7 + 5


def test_black_boxes_have_noises_alone() -> None:
    """Catches a search that a black box refuses half-way."""
    of = problem(20 * STEPS)
    of.space = Space(SHAPE, of.space.times, black_box=True)
    asked = searched(ns.Evolution(), of, by_key)
    assert all(len(a.trajectory.moves) == 1 for asks in asked for a in asks)
    assert sum(map(len, asked)) == 20


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"times": (0.3, 0.6)}, "must fall"),
        ({"times": (1.0, 0.6)}, "must fall"),
        ({"times": (0.9,)}, "leads above time 1"),
        ({"population": 0}, "greater than or equal to 2"),
        ({"population": 3, "elites": 3}, "make elites the smaller"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ns.Evolution(**settings)


def test_another_axis_is_refused() -> None:
    with pytest.raises(ConfigError, match="axis is 0"):
        cross(gaussian(0), gaussian(1), 0)
