"""What a diffusers scheduler of a flow says about time, read once and put in our terms.

Only settings and tables are read, on a copy: a scheduler object keeps the state of one loop, and
ours is another.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from ..errors import ConfigError
from ..process import Linear, Process
from ..solvers import SOLVERS
from ..trajectory import Grid

# Settings of a flow's DPM-Solver++ that our solver follows.
SECOND_ORDER = {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint",
                "final_sigmas_type": "zero", "thresholding": False, "euler_at_final": False,
                "lower_order_final": True}  # fmt: skip


@dataclass(frozen=True)
class Schedule:
    """A scheduler's process, solver and times.

    ``solver``: the name of ours that its steps are. ``timestep(t)``: what the network is told at
    times t [B], float64. ``full(steps)``: the times of a full grid of n steps, n + 1 of them.
    """

    process: Process
    solver: str
    timestep: Callable[[Tensor], Tensor]
    full: Callable[[int], Sequence[float]]

    def times(self, grid: Grid) -> Sequence[float]:
        """A full grid is the scheduler's own, another is uniform in time."""
        if grid.full:
            return self.full(grid.steps)
        span = grid.end - grid.start
        return [grid.start + span * k / grid.steps for k in range(grid.steps + 1)]


def schedule(
    scheduler: Any,
    sigmas: Callable[[int], Sequence[float]] | None = None,
    mu: float | None = None,
) -> Schedule:
    """The schedule of a flow's scheduler object, which is left as it is.

    ``sigmas(steps)`` and ``mu`` are what the pipeline hands to ``set_timesteps``. ConfigError
    where none of our solvers takes its steps.
    """
    kind, get = type(scheduler).__name__, scheduler.config.get
    count = get("num_train_timesteps")

    def full(steps: int) -> Sequence[float]:
        own = _set(scheduler, steps, sigmas and sigmas(steps), mu)
        return _falling(own.sigmas.double().tolist(), steps, kind)

    if kind == "FlowMatchEulerDiscreteScheduler":
        known = not (get("stochastic_sampling") or get("invert_sigmas"))
        found = Schedule(Linear(), "euler", lambda t: t * count, full)
    else:
        known = kind == "DPMSolverMultistepScheduler" and get("use_flow_sigmas")
        known = known and all(get(name, value) == value for name, value in SECOND_ORDER.items())
        # Its networks are told whole timesteps, rounded down; a little is added first, since a
        # time has been rounded to float32 and must not fall below its own timestep.
        found = Schedule(Linear(), "dpm++2m", lambda t: (t * count + 1e-4).floor(), full)
    if not known or found.solver not in SOLVERS:
        raise ConfigError(
            f"the pipeline comes with {kind}, whose steps none of our solvers takes with its "
            "settings; name a solver, such as --solver euler"
        )
    return found


def _set(scheduler: Any, steps: int, sigmas: Sequence[float] | None, mu: float | None) -> Any:
    """A copy of the scheduler, set to so many steps as the pipeline does it."""
    own = copy.deepcopy(scheduler)
    settings: dict[str, Any] = {"num_inference_steps": steps}
    if sigmas is not None:
        settings["sigmas"] = list(sigmas)
    if mu is not None:
        settings["mu"] = mu
    try:
        with warnings.catch_warnings():
            # Of numpy's, about how some schedulers of diffusers are written.
            warnings.simplefilter("ignore", DeprecationWarning)
            own.set_timesteps(**settings)
    except (ValueError, TypeError, AssertionError) as error:
        raise ConfigError(
            f"{type(scheduler).__name__} cannot be given {steps} steps as the pipeline does it "
            f"({error}); put another scheduler into the pipeline"
        ) from error
    return own


def _falling(times: list[float], steps: int, kind: str) -> list[float]:
    falls = all(a > b for a, b in pairwise(times))
    if len(times) != steps + 1 or times[0] > 1 or times[-1] != 0 or not falls:
        raise ConfigError(
            f"{kind} makes of {steps} steps no times that fall from 1 to 0; choose another number "
            "of steps, or put another scheduler into the pipeline"
        )
    return times
