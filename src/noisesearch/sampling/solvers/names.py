"""Solvers by name."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import ConfigError, unknown
from .multistep import DPMSolver
from .protocol import Solver
from .single_step import DDIM, Euler, EulerSDE, Heun

SOLVERS: dict[str, Callable[[], Solver]] = {
    "euler": Euler,
    "heun": Heun,
    "ddim": DDIM,
    "ddim-ancestral": lambda: DDIM(eta=1.0, name="ddim-ancestral"),
    "dpm++2m": DPMSolver,
    "dpm++2m-sde": lambda: DPMSolver(eta=1.0, name="dpm++2m-sde"),
    "euler-sde": EulerSDE,
}
# Of those that add no noise: the one to take where some is needed on the way. DDIM's, since it
# renews most of the noise at every step, on flows and on models trained on betas.
WITH_NOISE = {
    "euler": "ddim-ancestral",
    "heun": "ddim-ancestral",
    "ddim": "ddim-ancestral",
    "dpm++2m": "dpm++2m-sde",
}
# What the number after a colon means: ``ddim:0.5`` is DDIM with η = 0.5.
PARAMETERS: dict[str, Callable[[float, str], Solver]] = {"ddim": DDIM, "euler-sde": EulerSDE}


def with_noise(name: str) -> str:
    """The solver itself where it injects noise, else its stochastic relative."""
    family = name.partition(":")[0]
    return name if solver(name).stochastic else WITH_NOISE.get(family, family)


def solver(name: str) -> Solver:
    """The solver of a name such as ``euler`` or, with η or κ after a colon, ``ddim:0.5``.

    ConfigError with near matches for another name, or where the number is none or is not one of
    the solver's: η goes from 0 to 1, κ from 0 to 10.
    """
    family, colon, number = name.partition(":")
    if family not in SOLVERS:
        raise unknown("solver", name, SOLVERS)
    if not colon:
        return SOLVERS[name]()
    if family not in PARAMETERS:
        raise ConfigError(
            f"solver {name!r}: {family} takes no number; those that do are "
            f"{', '.join(f'{n}:NUMBER' for n in PARAMETERS)}"
        )
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= (1.0 if family == "ddim" else 10.0):
        raise ConfigError(
            f"solver {name!r}: what follows the colon must be a number, from 0 to 1 for ddim "
            "and from 0 to 10 for euler-sde"
        )
    return PARAMETERS[family](value, name)
