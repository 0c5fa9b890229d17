"""auto: what it takes under which circumstances, and that it says so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import noisesearch as ns
from noisesearch.algorithms.auto import Auto
from noisesearch.algorithms.draft import DraftThenCommit
from noisesearch.algorithms.initial_noise import RandomSearch
from noisesearch.algorithms.problem import Algorithm, Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.algorithms.step_search import Beam
from noisesearch.candidates.budget import Budget
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Cost, Ledger, Rates
from noisesearch.candidates.space import Space
from noisesearch.candidates.trajectory import FULL, Grid
from noisesearch.cli.tables import warnings
from noisesearch.objectives.single import Weighted
from noisesearch.setup.request import Request
from noisesearch.testing import MixtureModel

STEPS = 12
ONE, TWO, THREE = "model:quick", "steps:2+model:quick", "steps:3"


def problem(
    candidates: float, draft: str = FULL, injected: bool = False, **drafts: int
) -> Problem:
    """With so many candidates' worth, and drafts of so many steps, an evaluation of which costs
    as much as a full one."""
    named = {"one": ONE, "two": TWO, "three": THREE}
    steps = {named[name]: count for name, count in drafts.items()}
    rates = Rates(1, 1, 100, {"v": ("s",)}, drafts={text: Cost(1, 100) for text in steps})
    space = Space((3, 8, 8), Grid.uniform, stochastic=injected,
                  drafts={FULL: STEPS, **steps})  # fmt: skip
    return Problem(Condition(text="one"), space, Weighted({"s": 1.0}), STEPS,
                   RunFacts("auto", 0, Ledger(rates), STEPS * candidates, draft))  # fmt: skip


@pytest.mark.parametrize(
    ("candidates", "drafts", "taken"),
    [
        (2, {"one": 1}, "random"),  # nothing to choose from
        (3, {"one": 1}, "draft"),
        (16, {"one": 1, "two": 2}, "draft"),
        (4, {"three": 3}, "random"),
        (8, {"three": 3}, "draft"),
        (8, {"three": 7}, "random"),  # a draft at more than half of a candidate
        (16, {}, "random"),
        (64, {}, "zero-order"),
        (math.inf, {}, "random"),
        (math.inf, {"one": 1}, "draft"),
    ],
)
def test_what_is_taken(candidates: float, drafts: dict[str, int], taken: str) -> None:
    texts = tuple({"one": ONE, "two": TWO, "three": THREE}[name] for name in drafts)
    chosen, why = Auto(draft=texts, look=0.0).pick(problem(candidates, **drafts))
    assert chosen.name == taken
    assert ("clock" if math.isinf(candidates) else f"{candidates:g} candidates' worth") in why


@pytest.mark.parametrize(
    ("candidates", "look", "taken"),
    [
        (1, 0.0, RandomSearch()),
        (2, 0.0, Beam(keep=1)),
        (4, 0.0, Beam(keep=2)),
        (23, 0.5, Beam(keep=2)),
        (24, 0.6, Beam(keep=4, every=2)),
        (64, 1.6, RandomSearch()),  # a look every fourth of twelve steps chooses nothing
        (64, math.inf, RandomSearch()),
        (math.inf, 0.0, Beam(keep=2, candidates=4)),  # one that comes to its end
    ],
)
def test_what_is_taken_where_noise_is_injected(
    candidates: float, look: float, taken: Algorithm
) -> None:
    auto = Auto(injected=True, look=look)
    assert auto.pick(problem(candidates, injected=True))[0] == taken


def test_a_cascade_where_there_are_two_drafts_and_fewer_full_ones_the_larger_the_budget() -> None:
    auto = Auto(draft=(ONE, TWO), look=0.0)
    small, _ = auto.pick(problem(6, one=1, two=2))
    large, _ = auto.pick(problem(40, one=1, two=2))
    assert isinstance(small, DraftThenCommit) and isinstance(large, DraftThenCommit)
    assert small.draft == large.draft == (ONE, TWO)
    assert small.commit is not None and large.commit is not None
    assert small.commit < large.commit and small.commit / 6 > large.commit / 40


def test_a_dear_look_leaves_no_room_for_drafts() -> None:
    """It would catch a hundred questions to a person where ten were enough."""
    for look in (6.0, math.inf):
        assert Auto(draft=(ONE,), look=look).pick(problem(16, one=1))[0].name == "random"
    assert Auto(draft=(ONE,), look=2.0).pick(problem(16, one=1))[0].name == "draft"


def test_a_run_at_a_draft_has_no_drafts_of_its_own() -> None:
    assert Auto(draft=(ONE,), look=0.0).pick(problem(16, ONE, one=1))[0].name == "random"


def test_names_are_the_models() -> None:
    named = {"half": "steps:6", "quarter": "steps:3", "fast": ONE, "fast2": TWO}
    assert Auto().with_names(named, 12).draft == (ONE, TWO)
    assert Auto().with_names({"quarter": "steps:3"}, 12).draft == ("steps:3",)
    assert Auto().with_names({}, 12).draft == ()
    assert Auto(draft=("steps:6",)).with_names(named, 12).draft == ("steps:6",)


OPEN: dict[str, Any] = {"model": "shapes", "budget": Budget(8, "candidates")}


@pytest.mark.parametrize(
    ("settings", "solver", "drafts"),
    [
        ({}, "ddim-ancestral", 0),
        ({"solver": "ddim-ancestral"}, "ddim-ancestral", 0),
        ({"parameters": {"injected": False}}, "euler", 2),
        ({"parameters": {"draft": "quarter"}}, "euler", 1),
        ({"solver": "euler"}, "euler", 2),
        ({"draft": "quarter"}, "euler", 3),
        ({"final_steps": 24}, "euler", 2),
        ({"start_seed": 7}, "euler", 2),  # that picture is to come out as it was
        ({"memory": "lean"}, "euler", 2),
        ({"top": 4}, "euler", 2),  # winners unlike each other
    ],
)
def test_noise_is_injected_where_nothing_stands_against_it(
    settings: dict[str, Any], solver: str, drafts: int
) -> None:
    spec = (
        Request(["a red circle"], algorithm="auto", **{**OPEN, **settings}).resolve().loaded.spec
    )
    assert (spec.solver, len(spec.drafts)) == (solver, drafts)
    asked = settings.get("parameters", {}).get("injected")
    assert spec.parameters["injected"] is (asked if solver == "euler" else True)


class Paid:
    """A verifier that costs money."""

    name, parts, scale = "paid", ("paid",), {"paid": 1.0}
    differentiable, rows, fingerprint, paid = False, None, "1", True

    def __call__(self, views: Any) -> Any:
        return {"paid": views.images.mean((1, 2, 3))}


class Back(Paid):
    """A verifier that looks back on the way of a finished sample."""

    name, paid, previews = "back", False, (0.4,)


@pytest.mark.parametrize("verifier", [Paid(), Back()])
@pytest.mark.parametrize("algorithm", ["auto", Auto()])
def test_whoever_looks_at_samples_alone_keeps_the_models_solver(
    verifier: Any, algorithm: Any
) -> None:
    request = Request(["a red circle"], verifier=verifier, algorithm=algorithm, **OPEN)
    resolved = request.resolve()
    loaded, given = resolved.loaded, resolved.given
    assert loaded.spec.solver == "euler" and loaded.spec.parameters["injected"] is None
    assert set(loaded.drafts) == set(loaded.spec.drafts) != set()
    if given.algorithm is not None:
        assert given.algorithm.model_dump() == loaded.spec.parameters


def test_a_run_of_few_steps_has_no_use_for_the_models_drafts(tmp_path: Path) -> None:
    """It would catch a default that ends with a refusal where the user asked for few steps."""
    named = {"quarter": "steps:3", "fast": ONE, "fast2": TWO}
    assert Auto().with_names(named, 3).draft == (ONE,)
    assert Auto().with_names({"quarter": "steps:3"}, 5).draft == ()
    for steps, solver in ((1, "euler"), (2, "euler"), (3, None)):
        found = ns.search("two blue squares", steps=steps, budget="7candidates", rows=4,
                          solver=solver, out=tmp_path / str(steps))  # fmt: skip
        took = "draft" if steps == 2 else "random"
        assert found.notes[0].startswith(f"auto took {took}")


def test_it_is_said_and_kept(tmp_path: Path) -> None:
    found = ns.search(["two blue squares", "a red circle"], algorithm="auto", rows=4,
                      model="shapes-small", budget="7candidates",
                      out=tmp_path / "run")  # fmt: skip
    for result in found:
        (note,) = result.notes
        assert note.startswith("auto took beam: 7 candidates' worth, and a solver that injects")
        assert result.ledger["counted"] <= 7 * 12
    assert warnings(found.json()).count(found[0].notes[0]) == 1, "once, not for every prompt"
    again = ns.resume(tmp_path / "run")
    assert [r.winner.trajectory for r in again] == [r.winner.trajectory for r in found]
    assert [r.notes for r in again] == [r.notes for r in found]


def test_a_verifier_that_costs_money_is_asked_about_candidates_alone(tmp_path: Path) -> None:
    found = ns.search("two blue squares", algorithm="auto", model="shapes-small",
                      verifier=[Paid()], rows=4, budget="7candidates",
                      out=tmp_path / "run")  # fmt: skip
    assert found.notes[0].startswith("auto took random") and len(found.candidates) == 7


def test_a_model_without_drafts(tmp_path: Path) -> None:
    found = ns.search("one", algorithm="auto", model=MixtureModel(), verifier="brightness", rows=4,
                      solver="euler", budget="50candidates", out=tmp_path / "run")  # fmt: skip
    assert found.notes[0].startswith("auto took zero-order: 50 candidates' worth")
