"""Which solver a run gets: as named, the model's own, or what an algorithm looks for."""

from __future__ import annotations

from typing import Any

import pytest

import noisesearch as ns
from noisesearch.names.registry import TABLES
from noisesearch.sampling.solvers import solver, with_noise
from noisesearch.setup.notices import notice
from noisesearch.setup.request import Request
from noisesearch.setup.selection import solver_of
from noisesearch.testing import MixtureModel


@pytest.mark.parametrize(
    "name", [*TABLES["solver"], "ddim:0", "ddim:0.5", "euler-sde:0", "euler-sde:3"]
)
def test_every_solver_has_one_that_injects_noise(name: str) -> None:
    """Catches a solver that is added without its relative, and one replaced for nothing."""
    fitting = with_noise(name)
    assert solver(fitting).stochastic
    assert (fitting == name) == solver(name).stochastic


def test_only_who_looks_for_noise_gets_another_solver() -> None:
    model, steering, plain = MixtureModel(), ns.Steering(), ns.RandomSearch()
    assert solver_of(None, model, plain) == "euler"
    assert solver_of("heun", model, plain) == "heun"
    assert solver_of(None, model, steering) == "ddim-ancestral"
    assert solver_of("ddim:0.3", model, steering) == "ddim:0.3"
    assert solver_of(None, MixtureModel(solver="euler-sde"), steering) == "euler-sde"
    with pytest.raises(
        ns.ConfigError, match="'heun' injects none; choose --solver ddim-ancestral"
    ):
        solver_of("heun", model, steering)


def test_the_spec_and_a_sentence_say_so() -> None:
    """All of a run is sampled alike, the baseline too, so what is gained is the search's gain.

    Catches a spec with the model's own solver, by which a resume would sample otherwise.
    """

    def parts(**settings: Any) -> Any:
        return (
            Request(["one"], model=MixtureModel(), budget="3candidates", **settings)
            .resolve()
            .loaded
        )

    steered = parts(algorithm="steering")
    assert steered.spec.solver == "ddim-ancestral" and steered.space.stochastic
    assert "all is sampled by ddim-ancestral in place of euler, the baseline too" in notice(
        steered
    )
    assert notice(parts(algorithm="random", solver="euler-sde")) == ""
    own = Request(["one"], model=MixtureModel(solver="euler-sde"), algorithm="steering")
    assert notice(own.resolve().loaded) == ""


def test_the_plane_has_noise_to_look_for() -> None:
    """Catches a plane whose moves name no seed under a stochastic solver."""
    assert ns.testing.mixture(solver="euler-sde").run(ns.Steering())
    with pytest.raises(ns.ConfigError, match="this run's injects none"):
        ns.testing.mixture().run(ns.Steering())
