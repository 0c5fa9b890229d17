"""Trajectories: keys, prices, other steps; and the ledger that adds prices up."""

from __future__ import annotations

import pytest

from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates, total
from noisesearch.candidates.noise import gaussian
from noisesearch.candidates.trajectory import Denoise, Renoise, Trajectory
from noisesearch.errors import ConfigError
from noisesearch.sampling.process import Linear
from noisesearch.sampling.solvers import DDIM, Euler
from noisesearch.testing.solver import finished

START = Trajectory.begin(Condition(text="x"), gaussian(1), 9)


def price(*trajectories: Trajectory, stages: int = 1) -> int:
    return Ledger(Rates(stages)).price(trajectories)


@pytest.mark.parametrize("seed", [None, 4])
def test_stops_with_one_seed_merge(seed: int | None) -> None:
    straight = START.denoise(3, seed).denoise(9, seed)
    detour = START.denoise(3, seed).denoise(6, seed).denoise(9, seed)
    assert detour == straight and detour.key == straight.key and detour.edge == straight.edge
    assert detour.moves == straight.moves == (Denoise(9, seed),)
    assert price(detour) == price(straight) == 9
    assert detour == START.denoise(seed=seed), "the end of the grid is the default"


@pytest.mark.parametrize("solver", [Euler(), DDIM(eta=1.0, name="ddim-ancestral")])
def test_stops_change_no_bit(solver: Euler | DDIM) -> None:
    import torch

    seed = 4 if solver.stochastic else None
    ends = [START.denoise(3, seed), START.denoise(6, seed), START.denoise(9, seed)]
    straight = finished(solver, Linear(), ends[-1:])
    assert torch.equal(finished(solver, Linear(), ends), straight)
    assert torch.equal(finished(solver, Linear(), ends[1:]), straight)


def test_other_seeds_are_other_trajectories() -> None:
    one, two = START.denoise(3, 1).denoise(9, 1), START.denoise(3, 1).denoise(9, 2)
    assert one != two
    # They part at level 3, whose own evaluation both need: 3 + 6, and 5 more for the other.
    assert price(one, two) == 9 + 5


def test_what_changes_a_key() -> None:
    base = START.denoise(3)
    others = [
        Trajectory.begin(Condition(text="y"), gaussian(1), 9).denoise(3),
        Trajectory.begin(Condition(text="x", negative="z"), gaussian(1), 9).denoise(3),
        Trajectory.begin(Condition(text="x"), gaussian(2), 9).denoise(3),
        Trajectory.begin(Condition(text="x"), gaussian(1), 8).denoise(3),
        Trajectory.begin(Condition(text="x"), gaussian(1), 9, "draft").denoise(3),
        START.denoise(4),
        START.denoise(3, 0),
        START,
        base.renoise(0.9, 1, 0.0, 3),
        base.renoise(0.9, 2, 0.0, 3),
        base.renoise(0.9, 1, 0.1, 3),
        base.renoise(0.8, 1, 0.0, 3),
        base.renoise(0.9, 1, 0.0, 4),
    ]
    assert len({t.key for t in (base, *others)}) == len(others) + 1
    assert START.denoise(3).key == base.key, "equal recipes are equal"


@pytest.mark.parametrize("stages", [1, 2])
def test_prices(stages: int) -> None:
    """In steps of one (Euler) or two (Heun) evaluations.

    Catches a look that is paid for twice when the search goes on from it.
    """
    look, whole = START.denoise(4), START.denoise()
    assert price(whole, stages=stages) == 9 * stages
    assert price(START, stages=stages) == 1, "a look at the start"
    assert price(look, stages=stages) == 4 * stages + 1
    assert price(look, whole, stages=stages) == 9 * stages, "going on costs one less"
    assert price(whole, look, stages=stages) == 9 * stages
    assert price(START, look, whole, whole, stages=stages) == 9 * stages
    ledger = Ledger(Rates(stages))
    assert ledger.charge(look) == 4 * stages + 1
    assert ledger.price([whole]) == 5 * stages - 1
    assert ledger.charge(whole) == 5 * stages - 1
    assert ledger.charge(whole) == 0 and ledger.nfe == 9 * stages and ledger.decodes == 2


@pytest.mark.parametrize("stages", [1, 2])
def test_renoising_pays_the_look_in_full(stages: int) -> None:
    """Search over Paths, "one more NFE": catches a look whose evaluation a renoising gets free."""
    look = START.denoise(4)
    paths = [look.renoise(0.8, seed, 0.0, 3).denoise() for seed in (1, 2)]
    assert price(look, paths[0], stages=stages) == 4 * stages + 1 + 3 * stages
    assert price(look, *paths, stages=stages) == 4 * stages + 1 + 6 * stages
    assert price(*paths, stages=stages) == 4 * stages + 6 * stages, "one prefix"


def test_siblings_share_prefixes() -> None:
    """Catches a prefix that each of its descendants pays anew."""
    root = START.denoise(3, 1)
    children = [root.denoise(9, seed) for seed in range(2, 6)]
    assert price(*children) == 3 + 1 + 4 * 5, "the root's three, its own once, five for each"
    grandchildren = [children[0].renoise(0.5, s, 0.0, 2).denoise(seed=1) for s in (1, 2)]
    ledger = Ledger(Rates(1))
    for child in children:
        ledger.charge(child)
    assert ledger.price(grandchildren) == 4


def test_ledger_json() -> None:
    ledger = Ledger(Rates(2, forwards=2, flops=10, verifiers={"v": ("v",)}))
    ledger.charge(START.denoise())
    content = ledger.json()
    assert (content["nfe"], content["forwards"], content["flops"]) == (18, 36, 360)
    assert content["decodes"] == content["verifiers"]["v"]["samples"] == 1
    assert total([content, content])["verifiers"]["v"]["samples"] == 2
    assert total([content, content])["nfe"] == 36


def test_at_other_steps() -> None:
    whole = (
        START.denoise(3, 7).renoise(0.8, 5, 0.25, 4).denoise(2, 8).denoise(4, 9)
        .renoise(0.5, 6, 0.0, 3).denoise(seed=8)
    )  # fmt: skip
    more = whole.at(20)
    renoised = [m for m in more.moves if isinstance(m, Renoise)]
    assert [m.seed for m in renoised] == [5, 6] and more.noise == whole.noise
    assert [(m.grid.start, m.grid.end) for m in renoised] == [(0.8, 0.25), (0.5, 0.0)]
    # Every number of steps times 20/9, rounded up.
    assert [m.grid.steps for m in renoised] == [9, 7]
    assert [m.to for m in more.moves if isinstance(m, Denoise)] == [7, 5, 9, 7]
    assert more.finished and more.lineage()[0].grid.steps == 20
    assert whole.at(9) is whole
    assert (
        START.denoise().at(30) == Trajectory.begin(Condition(text="x"), gaussian(1), 30).denoise()
    )


def test_at_fewer_steps_than_moves() -> None:
    """Legs that are too short for a step of the coarser grid are left out of it."""
    whole = START.denoise(1, 1).denoise(2, 2).denoise(9, 3)
    few = whole.at(2)
    assert few.finished and [m.to for m in few.moves if isinstance(m, Denoise)] == [1, 2]
    for steps in range(1, 20):
        assert whole.at(steps).finished
        assert whole.at(steps).grid.steps == steps


def test_unfinished_and_finished() -> None:
    assert not START.finished and not START.denoise(8).finished and START.denoise().finished
    middle = START.denoise().renoise(0.5, 1, 0.2, 2).denoise()
    assert not middle.finished, "its grid ends at 0.2"
    assert middle.renoise(0.4, 1, 0.0, 1).denoise().finished
    assert middle.prefix.prefix == START.denoise() and START.prefix is START


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Trajectory.begin(Condition(), gaussian(1), 0),
        lambda: START.denoise(0),
        lambda: START.denoise(10),
        lambda: START.denoise(5).denoise(5),
        lambda: START.denoise().denoise(),
        lambda: START.denoise().renoise(1.1, 1, 0.0, 3),
        lambda: START.denoise().renoise(0.5, 1, 0.5, 3),
        lambda: START.denoise().renoise(0.5, 1, 0.0, 0),
        lambda: START.denoise().renoise(0.5, 1, 0.3, 2).denoise().renoise(0.3, 1, 0.0, 2),
    ],
)
def test_impossible_moves(bad: object) -> None:
    with pytest.raises(ConfigError):
        bad()  # type: ignore[operator]
