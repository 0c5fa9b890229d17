"""Schedules read off diffusers schedulers; what their steps make is in test_schedulers_agree."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from noisesearch.candidates.trajectory import Grid
from noisesearch.errors import ConfigError
from noisesearch.models.schedules import schedule
from noisesearch.sampling.process import VariancePreserving

diffusers = pytest.importorskip("diffusers")
# The schedulers' own, of a numpy newer than they were written for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STABLE: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012,
                          "beta_schedule": "scaled_linear", "steps_offset": 1}  # fmt: skip


def test_a_scheduler_is_left_as_it_is() -> None:
    scheduler = diffusers.EulerDiscreteScheduler(**STABLE)
    scheduler.set_timesteps(7)
    before = scheduler.sigmas.clone(), scheduler.timesteps.clone(), dict(scheduler.config)
    schedule(scheduler).full(20)
    assert torch.equal(scheduler.sigmas, before[0])
    assert torch.equal(scheduler.timesteps, before[1])
    assert dict(scheduler.config) == before[2] and scheduler.num_inference_steps == 7


def test_partial_grids_are_of_the_linear_interpolant() -> None:
    """Equal σ/α at every level, uniform in the linear interpolant, from the noisiest there is."""
    of = schedule(diffusers.EulerDiscreteScheduler(**STABLE, timestep_spacing="leading"))
    assert isinstance(of.process, VariancePreserving)
    for grid, top in ((Grid(5, 0.8, 0.05), 0.8), (Grid(9, 1.0, 0.11), 0.936), (Grid(2, 0.4), 0.4)):
        t = torch.tensor(of.times(grid), dtype=torch.float64)
        u = of.process.sigma(t) / (of.process.sigma(t) + of.process.alpha(t))
        levels = torch.linspace(u[0].item(), grid.end, grid.steps + 1, dtype=torch.float64)
        assert torch.allclose(u, levels, atol=1e-12) and abs(u[0].item() - top) < 1e-3
    with pytest.raises(ConfigError, match=r"noisiest that this model knows is time 0\.936"):
        of.times(Grid(2, 1.0, 0.95))


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("PNDM", {}, "PNDMScheduler is none whose steps we take"),
        ("DDIM", {}, "clip_sample=True"),
        ("DPMSolverMultistep", {"solver_order": 3}, "solver_order=3"),
        ("DPMSolverMultistep", {"thresholding": True}, "thresholding=True"),
        ("EulerDiscrete", {"final_sigmas_type": "sigma_min"}, "final_sigmas_type='sigma_min'"),
        ("FlowMatchEulerDiscrete", {"stochastic_sampling": True}, "stochastic_sampling=True"),
    ],
)
def test_what_is_not_followed_is_refused(name: str, settings: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        schedule(getattr(diffusers, name + "Scheduler")(**settings))


def test_too_many_steps_are_refused() -> None:
    scheduler = diffusers.DDIMScheduler(**STABLE, clip_sample=False)
    with pytest.raises(ConfigError, match="timestep 1000, but this model was trained on 1000"):
        schedule(scheduler).full(1000)
