"""Learned screening: what the regression knows, that it says so, and what it is fitted on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisesearch as ns
from noisesearch import ConfigError, Screening, StoreError
from noisesearch.algorithms.noise_features import Examples, features, fit, unseen
from noisesearch.algorithms.problem import Problem
from noisesearch.algorithms.run_facts import RunFacts
from noisesearch.candidates.ask import Ask, Reply
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.ledger import Ledger, Rates
from noisesearch.candidates.noise import Materialiser
from noisesearch.candidates.space import Space
from noisesearch.candidates.trajectory import Grid
from noisesearch.objectives.single import Weighted
from noisesearch.testing import MixtureModel
from noisesearch.testing.plane import drive

SHAPE = (3, 16, 16)
STEPS, CANDIDATES = 4, 120
Value = Callable[[np.ndarray], float]


def examples(count: int, of: Value, seed: int = 0, width: int = 48) -> Examples:
    x = np.random.default_rng(seed).standard_normal((count, width))
    return Examples(x, np.array([of(row) for row in x]), ["one"] * count)


def searched(algorithm: Screening, of: Value) -> tuple[Problem, list[Ask], list[float]]:
    """A whole search in which a candidate's value follows from its noise."""
    problem = Problem(
        Condition(text="one"), Space(SHAPE, Grid.uniform), Weighted({"s": 1.0}), STEPS,
        RunFacts("screening", 0, Ledger(Rates(verifiers={"v": ("s",)})), STEPS * CANDIDATES),
    )  # fmt: skip
    eyes, asked, values = Materialiser(SHAPE), list[Ask](), list[float]()

    def answer(asks: Any) -> list[Reply]:
        found = [of(eyes(ask.trajectory.noise)) for ask in asks]
        asked.extend(asks)
        values.extend(found)
        return [Reply(a.trajectory, {"s": v}) for a, v in zip(asks, found, strict=True)]

    winners = drive(algorithm, problem, answer)
    assert winners[0] == asked[int(np.argmax(values))].trajectory
    return problem, asked, values


def coarse(noise: np.ndarray) -> float:
    """A property of the low frequencies: which corner is the brighter."""
    return float(noise[:, :8, :8].mean() - noise[:, 8:, 8:].mean())


def unknowable(noise: np.ndarray) -> float:
    return float(abs(np.sin(1e4 * noise[0, 0, 0])))


def test_a_linear_value_is_learned_and_nothing_is_made_of_chance() -> None:
    """It would catch predictions on examples that they were fitted on, which look good always."""
    assert unseen(examples(200, lambda row: float(row[:5].sum()))) > 0.8
    by_chance = [unseen(examples(60, lambda row: 0.0, seed)) for seed in range(3)]
    assert all(np.isnan(r) for r in by_chance), "equal values have no rank correlation"
    rng = np.random.default_rng(1)
    found = [unseen(examples(60, lambda row: float(rng.standard_normal()), s)) for s in range(40)]
    # Of 60 independent pairs Spearman's has the deviation 1/√59; the mean of 40 a sixth of it.
    assert abs(np.mean(found)) < 4 / np.sqrt(59 * 40)


def test_weights_are_the_same_in_either_space() -> None:
    """More features than examples, or fewer: the ridge is one and the same."""
    for count in (20, 200):
        known = examples(count, lambda row: float(row[0]))
        x, y = known.features, known.centred
        ridge = np.linalg.inv(x.T @ x + 48 * np.eye(48)) @ x.T @ y
        assert fit(known) == pytest.approx(ridge, abs=1e-10)


def test_conditions_are_compared_with_themselves_alone() -> None:
    """It would catch a regression that learns which prompt is easy."""
    one, two = (examples(40, lambda row, a=a: a + row[0], seed=3) for a in (0.0, 100.0))  # type: ignore[misc]
    both = one.joined(Examples(two.features, two.values, ["two"] * 40))
    assert both.centred[:40] == pytest.approx(both.centred[40:])


def test_features_are_unit_normals() -> None:
    eyes, rng = Materialiser(SHAPE), range(200)
    rows = np.stack([features(eyes(ns.gaussian(i)), 0.25) for i in rng])
    assert rows.shape[1] == 3 * 4 * 4
    assert rows.var() == pytest.approx(1.0, abs=0.05)


def test_what_the_low_frequencies_tell_is_found() -> None:
    problem, asked, values = searched(Screening(), coarse)
    first = [v for a, v in zip(asked, values, strict=True) if a.tag["role"] == "sample"]
    screened = [v for a, v in zip(asked, values, strict=True) if a.tag["role"] == "screened"]
    assert len(first) == len(screened) == CANDIDATES // 2
    assert np.mean(screened) > np.mean(first) + 1.5 * np.std(first)
    assert all("are sampled" in note for note in problem.run.notes) and len(problem.run.notes) == 2
    assert problem.run.ledger.counted == STEPS * CANDIDATES, "ranking is free, sampling is not"


def test_it_switches_itself_off() -> None:
    """It would catch a screening that narrows the search by noise it has fitted."""
    problem, asked, _ = searched(Screening(least=0.35), unknowable)
    assert all("not gone by" in note for note in problem.run.notes) and len(problem.run.notes) == 2
    indices = [ask.tag["index"] for ask in asked]
    assert indices[:60] == list(range(60)), "what it is fitted on is i.i.d."
    assert indices[60:90] == list(range(60, 90)), "and so is what comes when it knows nothing"


def ran(folder: Path, **settings: Any) -> ns.Results:
    common: dict[str, Any] = {"model": MixtureModel(), "verifier": "brightness", "rows": 4}
    return ns.search(["one", "two"], out=folder, **{**common, **settings})


def test_it_is_fitted_on_another_run(tmp_path: Path) -> None:
    ran(tmp_path / "first", algorithm="random", budget="12candidates")
    parameters = {"run": str(tmp_path / "first"), "pool": 16, "least": -1.0}
    found = ran(tmp_path / "run", algorithm="screening", parameters=parameters,
                budget="6candidates")  # fmt: skip
    assert all(len(r.candidates) == 6 and len(r.notes) == 2 for r in found)
    assert "too few" not in found[0].notes[0]

    again = ns.resume(tmp_path / "run", model=MixtureModel())
    assert [r.winner.trajectory for r in again] == [r.winner.trajectory for r in found]
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert f"screening run {tmp_path / 'first'}" in spec["fingerprints"]


def test_a_run_that_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    ran(tmp_path / "first", algorithm="random", budget="12candidates")
    parameters = {"run": str(tmp_path / "first"), "pool": 16}
    ran(tmp_path / "run", algorithm="screening", parameters=parameters, budget="6candidates")
    ns.resume(tmp_path / "first", budget="14candidates", model=MixtureModel())
    with pytest.raises(StoreError, match="screening run"):
        ns.resume(tmp_path / "run", model=MixtureModel())


def test_a_run_of_another_model_and_a_short_one_are_refused(tmp_path: Path) -> None:
    ran(tmp_path / "short", algorithm="random", budget="2candidates")
    with pytest.raises(ConfigError, match="has 4 candidates to be fitted on, and needs at least"):
        ran(tmp_path / "a", algorithm="screening", parameters={"run": str(tmp_path / "short")})
    with pytest.raises(ConfigError, match="with other weights than those of 'shapes-small'"):
        ns.search("a red circle", model="shapes-small", algorithm="screening",
                  parameters={"run": str(tmp_path / "short")}, out=tmp_path / "b")  # fmt: skip
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
