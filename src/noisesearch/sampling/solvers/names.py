"""Solvers by name."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigError
from ...names import protocols, registry
from ...names.forms import numbered
from .protocol import Solver

# Of those that add no noise: the one to take where some is needed on the way. DDIM's, since it
# renews most of the noise at every step, on flows and on models trained on betas.
USUAL_WITH_NOISE = "ddim-ancestral"
WITH_NOISE = {
    "euler": USUAL_WITH_NOISE,
    "heun": USUAL_WITH_NOISE,
    "ddim": USUAL_WITH_NOISE,
    "dpm++2m": "dpm++2m-sde",
}
# The largest number after a colon: ``ddim:0.5`` is DDIM with η = 0.5, ``euler-sde:2`` has κ = 2.
LARGEST = {"ddim": 1.0, "euler-sde": 10.0}


def with_noise(name: str) -> str:
    """Return the solver itself where it injects noise, else its stochastic relative."""
    family = numbered(name)[0]
    if solver(name, code=True).stochastic:
        return name
    own = family in registry.TABLES["solver"]
    return WITH_NOISE.get(family, family) if own else USUAL_WITH_NOISE


def solver(name: str, code: bool = False) -> Solver:
    """Return the solver of a name such as ``euler``, ``ddim:0.5`` or ``file.py:Name``.

    A number after a colon is η or κ of the package's solvers; a class or function of somebody
    else is called with it, and with nothing where there is none. Somebody's ``code`` is run only
    where that is said, so that no look at a folder does.

    Raises:
        ConfigError: with near matches for an unknown name; where the number is none or is not one
            of the solver's (η goes from 0 to 1, κ from 0 to 10); where a member is missing.
    """
    family, number = numbered(name)
    found: Solver
    if family in registry.TABLES["solver"]:
        target = registry.load("solver", family)
        if number is not None:
            found = target(_value(name, family, number), name)
        else:
            found = target() if protocols.makes(target) else target
        return found
    if not code and (":" in family or family in registry.names("solver")):
        raise ConfigError(
            f"solver {name!r} is code, which looking at a folder does not run; agree to it with "
            "noisesearch trust, and resume the run"
        )
    target = registry.load_once("solver", family)
    if protocols.makes(target):
        found = _made(name, target, number)
        return found
    protocols.check("solver", name, target)
    if number is not None:
        raise ConfigError(
            f"solver {name!r} takes no number, because it is an object and no class; leave out "
            f"the {number!r}"
        )
    found = target
    return found


def _made(name: str, target: Any, number: str | None) -> Any:
    try:
        given = () if number is None else (float(number),)
    except ValueError as error:
        raise ConfigError(
            f"solver {name!r}: what follows the colon must be a number such as 0.5"
        ) from error
    return protocols.made("solver", name, target, *given)


def _value(name: str, family: str, number: str) -> float:
    """Return the number of one of the package's solvers."""
    if family not in LARGEST:
        raise ConfigError(
            f"solver {name!r}: {family} takes no number; those that do are "
            f"{', '.join(f'{n}:NUMBER' for n in LARGEST)}"
        )
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= LARGEST[family]:
        raise ConfigError(
            f"solver {name!r}: what follows the colon must be a number, from 0 to 1 for ddim "
            "and from 0 to 10 for euler-sde"
        )
    return value
