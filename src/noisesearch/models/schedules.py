"""What a diffusers scheduler says about time, read once and put in our terms.

Only settings and tables are read, on a copy: a scheduler object keeps the state of one loop, and
ours is another. A full grid is the scheduler's own schedule, to the last convention, so that a
trajectory of n steps is what its pipeline makes in n steps.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial as bound
from typing import Any

import torch
from torch import Tensor

from ..candidates.trajectory import Grid
from ..errors import ConfigError, Unfollowed
from ..sampling.process import Linear, Process, VariancePreserving, partial

Levels = list[float] | list[tuple[float, float]]
# Schedulers whose loop is one of our solvers, and which.
KNOWN = {
    "DDIMScheduler": "ddim",
    "DPMSolverMultistepScheduler": "dpm++2m",
    "EulerAncestralDiscreteScheduler": "ddim-ancestral",
    "EulerDiscreteScheduler": "euler",
    "FlowMatchEulerDiscreteScheduler": "euler",
    "HeunDiscreteScheduler": "heun",
}
# Settings that change what a step does or what a schedule is, and the values that are followed.
FOLLOWED: dict[str, tuple[Any, ...]] = {
    "thresholding": (False, None),
    "clip_sample": (False, None),
    "interpolation_type": ("linear",),
    "timestep_type": ("discrete",),
    "use_lu_lambdas": (False, None),
    "algorithm_type": ("dpmsolver++", "sde-dpmsolver++"),
    "solver_order": (2,),
    "solver_type": ("midpoint",),
    "invert_sigmas": (False, None),
    "stochastic_sampling": (False, None),
    # The pipeline would decode x/α here, and a scale of its own has no place in our states.
    "final_sigmas_type": ("zero",),
}


@dataclass(frozen=True)
class Schedule:
    """A scheduler's process, solver and times.

    ``solver``: the name of ours that its steps are. ``timestep(t)``: what a network trained on
    this scheduler's timesteps is told at our times t [B], float64. ``full(steps)``: the times of
    a full grid of n steps, n + 1 of them, float64.
    """

    process: Process
    solver: str
    timestep: Callable[[Tensor], Tensor]
    full: Callable[[int], Levels]

    def times(self, grid: Grid) -> Levels:
        """For ``Space.times``: a full grid is the scheduler's own, another is uniform in the time
        of the linear interpolant."""
        return self.full(grid.steps) if grid.full else partial(self.process, grid)


def schedule(
    scheduler: Any,
    sigmas: Callable[[int], Sequence[float]] | None = None,
    mu: float | None = None,
) -> Schedule:
    """The schedule of a diffusers scheduler object, which is left as it is.

    ``sigmas(steps)`` and ``mu`` are what a flow pipeline hands to ``set_timesteps``. ConfigError
    where the scheduler, or one of its settings, is none that our solvers follow.

    Where its steps do not end at a clean image, neither does the grid: DDIM without
    ``set_alpha_to_one`` ends at the first training timestep, and the decoder gets the little
    noise that is left there, as in the pipeline. DDIM steps down by
    ⌊N/n⌋ timesteps wherever the next one is, so with ``linspace`` or ``trailing`` spacing a step
    may come to another time than the network is asked about next; its levels are pairs (arrived,
    left).
    """
    kind = type(scheduler).__name__
    if kind not in KNOWN:
        raise Unfollowed(
            f"scheduler {kind} is none whose steps we take (those are {', '.join(KNOWN)}); choose "
            "one of our solvers with --solver, or let the pipeline run as a black box"
        )
    config = scheduler.config
    for setting, values in FOLLOWED.items():
        if setting in config and config[setting] not in values:
            raise Unfollowed(
                f"{kind} is set to {setting}={config[setting]!r}, which our loop does not follow; "
                f"set it to {values[0]!r}, or let the pipeline run as a black box"
            )
    if kind == "FlowMatchEulerDiscreteScheduler":
        count = config["num_train_timesteps"]
        full = bound(_flow, scheduler, sigmas, mu)
        return Schedule(Linear(), KNOWN[kind], lambda t: t * count, full)
    if config.get("use_flow_sigmas"):
        return _flow_solver(scheduler, mu)
    return _table(scheduler, kind)


def _set(scheduler: Any, steps: int, **settings: Any) -> Any:
    """A copy of the scheduler, set to so many steps."""
    own = copy.deepcopy(scheduler)
    if "sigmas" not in settings:
        settings["num_inference_steps"] = steps
    try:
        with warnings.catch_warnings():
            # Of numpy's, about how some schedulers of diffusers are written.
            warnings.simplefilter("ignore", DeprecationWarning)
            own.set_timesteps(**settings)
    except (ValueError, TypeError, AssertionError, IndexError) as error:
        raise ConfigError(
            f"{type(scheduler).__name__} cannot be given {steps} steps as the pipeline does it "
            f"({error}); choose another number of steps or another scheduler"
        ) from error
    return own


def _counted(times: Levels, steps: int, scheduler: Any) -> Levels:
    """The times if they are one more than the steps; ConfigError otherwise."""
    if len(times) != steps + 1:
        raise ConfigError(
            f"{type(scheduler).__name__} makes {len(times) - 1} steps of {steps} with its "
            "settings; choose another number of steps"
        )
    return times


def _flow(
    scheduler: Any,
    sigmas: Callable[[int], Sequence[float]] | None,
    mu: float | None,
    steps: int,
) -> Levels:
    settings: dict[str, Any] = {} if mu is None else {"mu": mu}
    if sigmas is not None:
        settings["sigmas"] = list(sigmas(steps))
    own = _set(scheduler, steps, **settings)
    return _counted(own.sigmas.double().tolist(), steps, scheduler)


def _flow_solver(scheduler: Any, mu: float | None) -> Schedule:
    """DPM-Solver++ on a flow, whose network is told whole timesteps: ⌊1000·t⌋."""
    count: int = scheduler.config["num_train_timesteps"]

    def timestep(t: Tensor) -> Tensor:
        return (t * count + 1e-9).floor()

    def full(steps: int) -> Levels:
        own = _set(scheduler, steps, **({} if mu is None else {"mu": mu}))
        times = own.sigmas.double()
        told = own.timesteps.double()
        # Rounding of a time to float32 must not carry it over the edge of a whole timestep.
        inner, below = times[:-1], (told + 1) / count - 1e-10
        inner = torch.where(timestep(inner) < told, told / count, inner)
        times[:-1] = torch.where(timestep(inner) > told, below, inner)
        return _counted(times.tolist(), steps, scheduler)

    return Schedule(Linear(), _dpm(scheduler), timestep, full)


def _dpm(scheduler: Any) -> str:
    return "dpm++2m-sde" if scheduler.config["algorithm_type"].startswith("sde") else "dpm++2m"


def _table(scheduler: Any, kind: str) -> Schedule:
    """Schedulers of a table of betas."""
    config = scheduler.config
    spacing = config["timestep_spacing"]
    # DDIM and DPM-Solver++ begin with unit normals; the others with σ of the first timestep,
    # unless the spacing is "leading".
    unit = spacing == "leading" or kind in ("DDIMScheduler", "DPMSolverMultistepScheduler")
    process = VariancePreserving(scheduler.alphas_cumprod, unit_start=unit)
    named = [s for s in ("karras", "exponential", "beta") if config.get(f"use_{s}_sigmas")]
    solver = KNOWN[kind]
    if kind == "DDIMScheduler":
        full: Callable[[int], Levels] = bound(_ddim, scheduler, process)
        return Schedule(process, solver, bound(_index, process), full)
    if kind == "DPMSolverMultistepScheduler":
        squared = config["beta_schedule"] == "squaredcos_cap_v2"
        if named and (named != ["karras"] or squared):
            raise Unfollowed(
                f"{kind} is set to use_{named[0]}_sigmas, which our loop does not follow with "
                "these settings; use_karras_sigmas without the cosine schedule is followed"
            )
        solver = _dpm(scheduler)
    clock = bound(_logarithmic, process) if named else bound(_index, process)
    if named and solver.startswith("dpm"):
        clock = bound(_rounded, clock)
    full = bound(_by_sigmas, scheduler, process, bool(named))
    return Schedule(process, solver, clock, full)


def _index(process: VariancePreserving, t: Tensor) -> Tensor:
    """Timestep i at time (i + 1)/N; times nearer to clean than the first timestep are told 0."""
    return (t.double() * process.length - 1).clamp_min(0)


def _logarithmic(process: VariancePreserving, t: Tensor) -> Tensor:
    """Linear in log(σ/α) between timesteps: what networks are told of σ off the table."""
    table = process.kept.to(t.device)
    logs = ((1 - table) / table).log() / 2
    wanted = (process.sigma(t.double()) / process.alpha(t.double())).log().clamp(logs[0], logs[-1])
    low = (torch.searchsorted(logs, wanted, right=True) - 1).clamp(0, process.length - 2)
    return low + (wanted - logs[low]) / (logs[low + 1] - logs[low])


def _rounded(clock: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    return clock(t).round()


def _by_sigmas(scheduler: Any, process: VariancePreserving, named: bool, steps: int) -> Levels:
    """Where each timestep is followed by the next: Euler, Heun, DPM-Solver++."""
    own = _set(scheduler, steps)
    sigmas, timesteps = own.sigmas.double(), own.timesteps.double()
    if own.order == 2:  # Heun's lists hold all but the first twice, for its two stages
        sigmas, timesteps = (torch.cat([v[:1], v[1::2]]) for v in (sigmas, timesteps))
    # Off the table the timesteps are rounded or interpolated otherwise: there σ is what holds.
    inner = process.of_ratio(sigmas[:-1]) if named else (timesteps + 1) / process.length
    return _counted([*inner.tolist(), 0.0], steps, scheduler)


def _ddim(scheduler: Any, process: VariancePreserving, steps: int) -> Levels:
    """Pairs (arrived, left), or times where both are the same at all levels."""
    own = _set(scheduler, steps)
    length = process.length
    looks = own.timesteps.tolist()
    if max(looks) >= length:
        raise ConfigError(
            f"{steps} steps lead to timestep {max(looks)}, but this model was trained on {length} "
            "(0 is the first); choose fewer steps"
        )
    end = 0.0 if scheduler.config["set_alpha_to_one"] else 1 / length
    down = length // steps
    left = [(i + 1) / length for i in looks]
    landed = [(i - down + 1) / length if i >= down else end for i in looks]
    _counted([*left, landed[-1]], steps, scheduler)
    if landed[:-1] == left[1:]:
        return [*left, landed[-1]]
    return list(zip([left[0], *landed], [*left, landed[-1]], strict=True))
