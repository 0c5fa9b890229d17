"""Our solvers on a scheduler's schedule make what the diffusers scheduler makes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from noisesearch.candidates.ask import score
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, gaussian, normals
from noisesearch.candidates.trajectory import Grid, Trajectory
from noisesearch.errors import ConfigError
from noisesearch.models.schedules import Schedule, schedule
from noisesearch.sampling.process import begun
from noisesearch.sampling.solvers import Pair, Solver, solver
from noisesearch.testing import Mixture, MixtureDenoiser
from noisesearch.testing.mixture_model import brightness
from noisesearch.testing.solver import drained
from noisesearch.worker.engine import Worker
from noisesearch.worker.jobs import arrived_at, left_from

diffusers = pytest.importorskip("diffusers")
# The schedulers' own, of a numpy newer than they were written for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROWS, SHAPE = 4, (4, 2, 2)
STEPS = [1, 2, 4, 10, 30]
SPACINGS = ["leading", "trailing", "linspace"]
STABLE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012,
                          "beta_schedule": "scaled_linear", "steps_offset": 1}  # fmt: skip
PIXART: dict[str, Any] = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
COSINE: dict[str, Any] = {"beta_schedule": "squaredcos_cap_v2"}
MIXTURE = Mixture.default(SHAPE)


@dataclass
class Fixed:
    """A process at one place, whatever the time."""

    a: float
    s: float

    def alpha(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.a)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.s)


def answer(x: Tensor, a: float, s: float, prediction: str) -> Tensor:
    """The exact network at x [B, …] and (α, σ), in the scheduler's own kind of prediction."""
    where: Any = Fixed(a, s)
    flat = x.reshape(len(x), -1).double()
    x0, eps = MIXTURE.posterior(where, flat, torch.zeros(len(x)).double())
    found = {"epsilon": eps, "sample": x0, "v_prediction": a * eps - s * x0,
             "flow_prediction": eps - x0}[prediction]  # fmt: skip
    return found.reshape(x.shape).to(x.dtype)


def network(scheduler: Any) -> Callable[[Tensor, float], Tensor]:
    """(x, timestep) -> prediction, from the scheduler's table alone, read by none of our code."""
    prediction = scheduler.config.get("prediction_type", "flow_prediction")
    count = scheduler.config["num_train_timesteps"]
    flow = prediction == "flow_prediction"
    table = None if flow else scheduler.alphas_cumprod.double()

    def predict(x: Tensor, timestep: float) -> Tensor:
        if table is None:
            return answer(x, 1 - timestep / count, timestep / count, prediction)
        low = min(int(timestep), count - 2)
        kept = table[low : low + 2]
        first, second = ((1 - kept) / kept).sqrt().tolist()
        part = timestep - low
        if part in (0.0, 1.0):  # so that an end without any signal is no infinity
            at = kept[int(part)].item()
            return answer(x, at**0.5, (1 - at) ** 0.5, prediction)
        ratio = first + part * (second - first)
        a = (1 + ratio**2) ** -0.5
        return answer(x, a, ratio * a, prediction)

    return predict


def theirs(
    scheduler: Any, steps: int, noise: Tensor, added: Tensor | None, settings: Any, **step: Any
) -> Tensor:
    """The loop that the pipelines run; ``added`` [steps, B, …] is the noise of its steps."""
    predict = network(scheduler)
    scheduler.set_timesteps(steps, **settings)
    x = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    for k, t in enumerate(scheduler.timesteps):
        extra = step if added is None else {**step, "variance_noise": added[k]}
        scaled = (
            scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        )
        x = scheduler.step(predict(scaled, t.item()), t, x, return_dict=False, **extra)[0]
    return x


def denoise(of: Schedule, scheduler: Any) -> Callable[[Tensor, Tensor], Pair]:
    """The network as a denoiser of ours: told timesteps, its answer turned into the pair."""
    predict = network(scheduler)
    prediction = scheduler.config.get("prediction_type", "flow_prediction")

    def pair(x: Tensor, t: Tensor) -> Pair:
        assert t.dtype == torch.float64
        told = of.timestep(t).to(x.dtype).tolist()
        if len(set(told)) == 1:
            out = predict(x, told[0])
        else:
            out = torch.cat([predict(x[i : i + 1], at) for i, at in enumerate(told)])
        a, s = (f(t).reshape(-1, 1, 1, 1).to(x) for f in (of.process.alpha, of.process.sigma))
        if prediction == "epsilon":
            return (x - s * out) / a, out
        if prediction == "sample":
            return out, torch.where(s > 0, (x - a * out) / s.clamp_min(1e-12), 0)
        if prediction == "v_prediction":
            return a * x - s * out, a * out + s * x
        return x - s * out, x + a * out

    return pair


def ours(
    of: Schedule, by: Solver, scheduler: Any, steps: int, noise: Tensor, added: Tensor | None
) -> Tensor:
    """Our solver from level to level, as a worker calls it."""
    times = torch.tensor(of.times(Grid(steps)), dtype=torch.float64)
    assert len(times) == steps + 1
    first = arrived_at(times, 0).expand(len(noise))
    look, state = denoise(of, scheduler), by.init(begun(of.process, noise, first))
    for k in range(steps):
        t0, t1 = (t.expand(len(noise)) for t in (left_from(times, k), arrived_at(times, k + 1)))
        state = by.step(look, of.process, state, t0, t1, None if added is None else added[k])
    return state[0]


def draw(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(normals(seed, shape))


def difference(
    scheduler: Any,
    steps: int,
    name: str | None = None,
    dtype: torch.dtype = torch.float32,
    settings: Any = None,
    **step: Any,
) -> float:
    """The largest between both loops, from the same noise and with the same noise injected."""
    of = schedule(scheduler, **(settings or {}))
    noise, by = draw(1, ROWS, *SHAPE).to(dtype), solver(name or of.solver)
    added = draw(2, steps, ROWS, *SHAPE).to(dtype) if by.stochastic else None
    found = ours(of, by, scheduler, steps, noise, added)
    given = {k: v(steps) if callable(v) else v for k, v in (settings or {}).items()}
    wanted = theirs(scheduler, steps, noise, added, given, **step)
    assert wanted.isfinite().all()
    return (found - wanted).abs().max().item()


V, X = {"prediction_type": "v_prediction"}, {"prediction_type": "sample"}
TABLES = {"stable": STABLE, "stable-v": STABLE | V, "pixart": PIXART, "pixart-x": PIXART | X,
          "cosine-v": COSINE | V}  # fmt: skip
KINDS = ["EulerDiscrete", "HeunDiscrete", "DPMSolverMultistep"]


class Double:
    """A library to a scheduler's module, with float64 by the name of float32."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self.library, "float64" if name == "float32" else name)


@pytest.fixture
def double(monkeypatch: Any) -> None:
    """Schedulers compute in float64 from the table on, where they would cast to float32.

    Their own rounding is then no part of a difference: σ/α is 157 at PixArt's noisiest timestep
    and 20,000 at the cosine's, and x/α, which Euler and Heun step in, is as many times as coarse.
    """
    for kind in (*KINDS, "DDIM"):
        module = sys.modules[getattr(diffusers, kind + "Scheduler").__module__]
        monkeypatch.setattr(module, "torch", Double(torch))
        monkeypatch.setattr(module, "np", Double(np))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_sigmas_agree(kind: str, table: str, spacing: str) -> None:
    """Catches a grid that is off by a timestep or ends early, a first noise scaled wrongly, a
    history of the wrong step, a step of the wrong order at an end."""
    scheduler = getattr(diffusers, kind + "Scheduler")(**TABLES[table], timestep_spacing=spacing)
    assert scheduler.alphas_cumprod.dtype == torch.float64
    for steps in STEPS:
        assert difference(scheduler, steps, dtype=torch.float64) < 1e-6, steps


@pytest.mark.parametrize("kind", ["EulerDiscrete", "DPMSolverMultistep"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_sigmas_agree_as_they_come(kind: str, spacing: str) -> None:
    """In float32 and with the table of Stable Diffusion, as pipelines run them: catches a table
    or a timestep read in another precision than the scheduler's."""
    scheduler = getattr(diffusers, kind + "Scheduler")(**STABLE, timestep_spacing=spacing)
    assert scheduler.alphas_cumprod.dtype == torch.float32
    for steps in STEPS:
        assert difference(scheduler, steps) < 1e-5, steps


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_agrees(eta: float, clean: bool, spacing: str) -> None:
    """Catches the last ᾱ confused with 1, a step to the next timestep where DDIM goes ⌊N/n⌋
    down, and injected noise of the wrong size."""
    for table in (STABLE, PIXART | V):
        scheduler = diffusers.DDIMScheduler(
            **table, timestep_spacing=spacing, clip_sample=False, set_alpha_to_one=clean
        )
        for steps in STEPS:
            assert difference(scheduler, steps, f"ddim:{eta}", eta=eta) < 1e-5, steps


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("steps", STEPS)
def test_ddim_without_a_signal_at_the_start_agrees(steps: int) -> None:
    """Where ᾱ is 0 at the last timestep: catches a division by it.

    In float64, and not with η = 1, where diffusers takes the root of a −6e-8 that should be 0.
    """
    settings = STABLE | V | {"timestep_spacing": "trailing", "clip_sample": False}
    scheduler = diffusers.DDIMScheduler(**settings, rescale_betas_zero_snr=True)
    assert scheduler.alphas_cumprod[-1] == 0
    for eta in (0.0, 0.5):
        assert difference(scheduler, steps, f"ddim:{eta}", torch.float64, eta=eta) < 1e-6


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spaced", ["karras", "exponential", "beta"])
def test_spaced_sigmas_agree(kind: str, spaced: str) -> None:
    """Noise levels off the table: catches a network told the timestep of another level."""
    setting = {f"use_{spaced}_sigmas": True}
    scheduler = getattr(diffusers, kind + "Scheduler")(**STABLE, **setting)
    if kind == "DPMSolverMultistep" and spaced != "karras":
        with pytest.raises(ConfigError, match=f"use_{spaced}_sigmas"):
            schedule(scheduler)
        return
    for steps in STEPS[1:]:
        assert difference(scheduler, steps, dtype=torch.float64) < 1e-5, steps


def test_the_sde_form_of_dpm_solver_agrees() -> None:
    scheduler = diffusers.DPMSolverMultistepScheduler(**STABLE, algorithm_type="sde-dpmsolver++")
    assert schedule(scheduler).solver == "dpm++2m-sde"
    for steps in STEPS:
        assert difference(scheduler, steps) < 1e-5, steps


def test_ancestral_euler_agrees(monkeypatch: Any) -> None:
    """Ancestral Euler in x/α is ancestral DDIM: the noise it draws is put in its place."""
    scheduler = diffusers.EulerAncestralDiscreteScheduler(**STABLE, timestep_spacing="leading")
    module = sys.modules[type(scheduler).__module__]
    for steps in STEPS:
        of, noise = schedule(scheduler), draw(1, ROWS, *SHAPE)
        added = draw(2, steps, ROWS, *SHAPE)
        left = iter(added)
        monkeypatch.setattr(module, "randn_tensor", lambda *_, left=left, **__: next(left))
        found = ours(of, solver(of.solver), scheduler, steps, noise, added)
        wanted = theirs(scheduler, steps, noise, None, {})
        assert (found - wanted).abs().max() < 1e-5, steps


def linspaced(steps: int) -> list[float]:
    """What FLUX's pipeline hands to its scheduler."""
    return list(np.linspace(1.0, 1 / steps, steps))


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"shift": 1.0}, {}),
        ({"shift": 3.0}, {}),
        ({"use_dynamic_shifting": True}, {"mu": 0.8, "sigmas": linspaced}),
    ],
    ids=["plain", "shifted", "dynamic"],
)
def test_flow_euler_agrees(settings: Any, given: Any) -> None:
    """Catches a shift applied twice or never, and a last step that does not reach 0."""
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(**settings)
    for steps in STEPS:
        assert difference(scheduler, steps, settings=given) < 1e-5, steps


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_dpm_solver_agrees(shift: float) -> None:
    """Sana's: the network is told whole timesteps, which are not those of the times stepped to."""
    scheduler = diffusers.DPMSolverMultistepScheduler(
        use_flow_sigmas=True, flow_shift=shift, prediction_type="flow_prediction"
    )
    for steps in [*STEPS, 7, 20, 50]:
        of = schedule(scheduler)
        scheduler.set_timesteps(steps)
        told = of.timestep(torch.tensor(of.full(steps)[:-1], dtype=torch.float64))
        assert told.tolist() == scheduler.timesteps.tolist()
        assert difference(scheduler, steps) < 1e-5, steps


class Network(MixtureDenoiser):
    """The network as a denoiser that a worker can have."""

    def __init__(self, of: Schedule, scheduler: Any) -> None:
        super().__init__(MIXTURE, SHAPE, of.process)
        self.pair = denoise(of, scheduler)

    def __call__(self, x: Tensor, t: Tensor, encoded: Any) -> Pair:
        return self.pair(x, t)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("DDIM", {"timestep_spacing": "linspace", "clip_sample": False}),
        ("DPMSolverMultistep", {"timestep_spacing": "linspace"}),
        ("EulerDiscrete", {"timestep_spacing": "trailing"}),
    ],
)
def test_the_worker_agrees(kind: str, settings: Any) -> None:
    """Three numbers of steps at once, so that rows are at times and ages of their own, and with a
    stop on the way: catches a worker that takes where a step came to for where the next begins,
    or that loses the history at a stop."""
    scheduler = getattr(diffusers, kind + "Scheduler")(**STABLE, **settings)
    of, noises = schedule(scheduler), Materialiser(SHAPE)
    network, by = Network(of, scheduler), solver(of.solver)
    worker = Worker(network, by, [brightness()], noises, of.times, rows=4)
    counts = {gaussian(i): n for i, n in enumerate((7, 30, 12))}
    starts = {n: Trajectory.begin(Condition(), n, steps) for n, steps in counts.items()}
    for asked in ([b.denoise(3) for b in starts.values()], [b.denoise() for b in starts.values()]):
        for trajectory in asked:
            worker.submit(score(trajectory))
        drained(worker)
    for noise, steps in counts.items():
        last = starts[noise].denoise()
        place = worker.cache.get(last.edge, last.level)
        assert place is not None
        wanted = theirs(scheduler, steps, torch.tensor(noises(noise))[None], None, {})
        assert (place.state[0] - wanted).abs().max() < 1e-5, steps
