"""The paper's algorithms: what they cost, what they ask, and that they keep the distribution."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sampling import Sampler

import noisesearch as ns
from marginals import PLANE, assert_marginal
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.candidates.ask import Ask, Reply, score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.noise import Materialiser
from noisesearch.candidates.trajectory import Renoise, Trajectory
from noisesearch.driver.charging import affordable
from noisesearch.driver.plan import made_up_reply
from noisesearch.objectives.single import Weighted
from noisesearch.sampling.solvers import solver
from noisesearch.testing import Bench, MixtureModel
from noisesearch.testing.bench import MadeUp

SIT = {"steps": 25, "solver": "heun"}  # 50 NFE a candidate, as the paper has it on ImageNet


def ran(folder: Path, algorithm: Any, **settings: Any) -> Any:
    """One search in which everything is free and later answers are better."""
    bench = Bench(folder, algorithm, MixtureModel(), settings, prompts=["one"])
    loaded = bench.parts()
    executor = MadeUp(lambda t, i: {name: float(i) for name in loaded.part_names})
    return bench.run("run", loaded, wrap=lambda _: executor).searches[0]


@pytest.mark.parametrize("candidates", [4, 32, 128])
def test_zero_order_costs_what_the_paper_says(candidates: int, tmp_path: Path) -> None:
    """ZO-2 to 250 steps: 250 + 50·{4, 32, 128}, the figures under the pictures of SiT.

    Catches a pivot that is paid for, a Heun step that counts as one NFE, final steps that are
    left out or count in steps, and a round of another number of neighbours.
    """
    algorithm = ns.ZeroOrder(neighbours=2, pivot="move", rounds=candidates // 2)
    live = ran(tmp_path, algorithm, **SIT, final_steps=125, budget="100000")
    assert live.ledger.nfe == 250 + 50 * candidates


@pytest.mark.parametrize("solver", ["euler", "heun"])
@pytest.mark.parametrize(("paths", "width", "length"), [(2, 3, 6), (4, 2, 8), (1, 5, 4)])
def test_paths_cost_what_their_parameters_say(
    paths: int, width: int, length: int, solver: str, tmp_path: Path
) -> None:
    """Table 6: N·⌈(1−σ)·n⌉ steps to the start, then N·M·(L + 1) NFE a round, N·M·L in the last.

    Catches a look at the last round, or one that is paid for by the step that never comes, a
    length in steps where the paper has NFEs, and a first leg that every renoising pays anew.
    """
    algorithm = ns.SearchOverPaths(paths=paths, width=width, length=length)
    live = ran(tmp_path, algorithm, steps=25, solver=solver, budget="100000")
    stages = 2 if solver == "heun" else 1
    first = math.ceil(0.89 * 25) * stages
    rounds = [length + 1] * 3 + [length]  # 0.11 → 0.08 → 0.05 → 0.02 → 0
    assert live.ledger.nfe == paths * first + paths * width * sum(rounds)


def test_default_times_are_those_of_the_paper() -> None:
    """σ = 0.11, Δb = 0.81, Δf = 0.78: a round goes up to σ + Δf and ends Δf − Δb below its start.

    Catches Δb and Δf exchanged, a last leg that goes below time 0, and a round too many where
    the sums of such numbers miss 0 by their rounding.
    """
    downs = [down for _, down in ns.SearchOverPaths().times]
    assert downs == [0.08, 0.05, 0.02, 0.0]
    assert [up for up, _ in ns.SearchOverPaths().times] == [0.89, 0.86, 0.83, 0.8]


def drive(algorithm: Any, problem: Problem, number: Any = lambda ask, i: 0.0) -> tuple[Any, Any]:
    """(yields, what was returned), every ask answered with ``number(ask, index in the yield)``."""
    search, yields = algorithm(problem), []
    try:
        asks = next(search)
        while True:
            yields.append(affordable(problem, asks))
            asks = search.send([made_up_reply(("x",), a, number(a, i))
                                for i, a in enumerate(asks)])  # fmt: skip
    except StopIteration as stop:
        return yields, stop.value


def a_problem(
    seed: int = 0,
    limit: float = 1e6,
    steps: int = 24,
    stages: int = 1,
    stochastic: bool = False,
) -> Problem:
    objective = Weighted({"x": 1.0})
    space = replace(MixtureModel().space(), stochastic=stochastic)
    return Problem(Condition(), space, objective, steps,
                   RunFacts("paths", seed, Ledger(Rates(stages)), limit))  # fmt: skip


def renoised(trajectory: Trajectory) -> int:
    return sum(isinstance(move, Renoise) for move in trajectory.moves)


def test_the_best_of_all_legs_go_on_whatever_their_path() -> None:
    """Catches the best of each lineage in place of the top N of all N·M."""
    algorithm = ns.SearchOverPaths(paths=2, width=3)
    yields, winners = drive(algorithm, a_problem(), lambda ask, i: float(i < 2) - 0.1 * i)
    assert [len(asks) for asks in yields] == [6] * 4
    first = [ask.trajectory for ask in yields[0][:2]]  # both from the first path
    for turn, asks in enumerate(yields[1:], 1):
        assert {ask.trajectory.prefix.prefix for ask in asks} == set(first)
        first = [ask.trajectory for ask in asks[:2]]
        assert all(renoised(ask.trajectory) == turn + 1 for ask in asks)
    assert winners == first and all(winner.finished for winner in winners)


def test_a_leg_looks_before_the_end_and_not_at_it() -> None:
    """Catches legs on the grid of the first one, and a search that ends beside time 0."""
    algorithm = ns.SearchOverPaths(paths=1, width=1, length=5)
    yields, _ = drive(algorithm, a_problem())
    for asks, (up, down) in zip(yields, algorithm.times, strict=True):
        grid = asks[0].trajectory.grid
        assert (grid.start, grid.end, grid.steps) == (up, down, 5)
        assert asks[0].trajectory.finished == (down == 0.0)


def test_width_follows_from_the_budget() -> None:
    """M is the largest that fits: one wider would cost more than is left.

    Catches a price of a noise that counts a round or a look too many, which leaves money, or one
    too few, which leaves the last round without its asks.
    """
    for limit in (210, 517, 1000, 4321):
        problem = a_problem(limit=limit)
        yields, _ = drive(ns.SearchOverPaths(paths=2), problem)
        assert len({len(asks) for asks in yields}) == 1, "a round was cut short"
        one_wider = 2 * (4 * (math.ceil(0.81 * 24) + 1) - 1)
        assert problem.run.ledger.nfe <= limit < problem.run.ledger.nfe + one_wider


def test_finalists_are_compared_when_finished(tmp_path: Path) -> None:
    """All N survivors are finished at the final steps, within the budget, and the best is kept.

    Catches a best of N that is taken by the last legs' scores, before the N are finished.
    """
    algorithm = ns.SearchOverPaths(paths=3)
    live = ran(tmp_path, algorithm, steps=6, final_steps=18, budget="400")
    (outcome,) = live.record.outcomes()
    assert len(live.record.winners) == 3 and len(outcome.winners) == 1
    # Answers get better with time here, so the one finished last is the best.
    assert outcome.winners[0][0].trajectory == live.record.winners[-1].at(18)
    assert live.ledger.nfe <= 400


SHORT = {"start": 0.5, "forward": 0.1, "backward": 0.35}


@pytest.mark.parametrize(
    ("settings", "name", "steps", "bias"),
    [
        ({"paths": 1, "width": 1}, "heun", 24, 0.01),
        # What is renoised but a little keeps most of what it was, so errors show at the end.
        ({"paths": 2, "width": 3, **SHORT}, "heun", 24, 0.01),
        ({"paths": 2, "width": 3, **SHORT}, "ddim-ancestral", 48, 0.11),
    ],
    ids=["as-in-the-paper", "short-legs", "sde"],
)
def test_paths_keep_the_marginal_when_the_verifier_is_constant(
    settings: dict[str, Any], name: str, steps: int, bias: float
) -> None:
    """The last of the winners is a sample of the mixture, as if nothing had been searched.

    All legs are tied, so which of them go on does not depend on what they show. The bias is what
    100,000 samples show at these steps: less than 0.01 for the ODE, and 0.103 for the width of a
    component under the SDE.

    Catches a renoising that adds too much or too little, or starts from the wrong time, rounds
    that share their noise, and an SDE that injects the same noise in every leg.
    """
    stages, stochastic = solver(name).price(), solver(name).stochastic
    algorithm = ns.SearchOverPaths(**settings)
    ends = [drive(algorithm, a_problem(seed, 1e6, steps, stages, stochastic))[1][-1]
            for seed in range(1000)]  # fmt: skip
    assert_marginal(Sampler(PLANE, name)(ends), PLANE, bias)


def test_zero_order_turns_to_a_direction_as_fast_as_it_must() -> None:
    """On V(n) = v·n/‖n‖ a round turns the pivot towards v by the best of N random turns.

    With c the cosine to v in d dimensions, a neighbour at cosine λ has c′ = λc + √(1−λ²)·√(1−c²)·w
    with w the first coordinate of a random direction in d − 1 dimensions. Simulated here directly.
    Catches a neighbourhood of another width, and a pivot that does not move to the best.
    """
    size, rounds, neighbours, cosine = 64, 60, 4, 0.9
    numbers = Materialiser((size,))
    axis = numbers(ns.gaussian(10**6)).astype(float)
    axis /= math.sqrt(axis @ axis)

    def height(ask: Ask) -> float:
        n = numbers(ask.trajectory.noise).astype(float)
        return float(n @ axis / math.sqrt(n @ n))

    reached, wanted = [], []
    generator = torch.Generator().manual_seed(0)
    for seed in range(24):
        algorithm = ns.ZeroOrder(neighbours=neighbours, cosine=cosine, pivot="move",
                                 rounds=rounds)  # fmt: skip
        _, winners = drive(algorithm, a_problem(seed), lambda ask, i: height(ask))
        reached.append(height(score(winners[0])))
        c = height(score(a_problem(seed).sample(a_problem(seed).noise(0))))
        for _ in range(rounds):
            w = torch.randn(neighbours, size - 1, generator=generator).double()
            w = w[:, 0] / w.norm(dim=1)
            c = (cosine * c + math.sqrt((1 - cosine**2) * (1 - c * c)) * w).max().item()
        wanted.append(c)
    spread = torch.tensor(wanted).std().item() * math.sqrt(2 / 24)
    assert abs(sum(reached) / 24 - sum(wanted) / 24) < 4 * spread
    assert sum(reached) / 24 > 0.3


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"backward": 0.7, "forward": 0.8, "start": 0.1}, "backward is 0.7 and forward 0.8"),
        ({"backward": 0.78, "forward": 0.78}, "down further than up"),
        ({"start": 0.5}, "above time 1"),
        ({"start": 0.0}, "start"),
        ({"paths": 0}, "paths"),
    ],
)
def test_paths_that_cannot_be(settings: dict[str, float], what: str) -> None:
    from noisesearch.setup.selection import algorithm_of

    with pytest.raises(ns.ConfigError, match=what):
        algorithm_of("paths", settings)


@pytest.mark.parametrize("cosine", [0.0, 1.0, -0.5, 1.2])
def test_a_cosine_is_strictly_between_0_and_1(cosine: float) -> None:
    from noisesearch.setup.selection import algorithm_of

    with pytest.raises(ns.ConfigError, match="cosine"):
        algorithm_of("zero-order", {"cosine": cosine})


def test_replies_without_a_number_are_never_kept() -> None:
    """NaN in a leg: it ranks last, and the others go on."""
    algorithm, problem = ns.SearchOverPaths(paths=2, width=2), a_problem()
    search = algorithm(problem)
    asks = next(search)
    replies = [Reply.of(a.trajectory, {"x": math.nan if i % 2 else 1.0})
               for i, a in enumerate(asks)]  # fmt: skip
    following = search.send(replies)
    kept = {ask.trajectory.prefix.prefix for ask in following}
    assert kept == {asks[0].trajectory, asks[2].trajectory}
