"""Stable Diffusion, SDXL and PixArt-Sigma: our samples agree with the pipelines' own."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from agreement import (
    AWAY,
    LED,
    PLAIN,
    assert_agree,
    assert_everything_matters,
    assert_rows_agree_alone,
)

from noisesearch import ConfigError
from noisesearch.models.pipelines import from_object
from noisesearch.testing import tiny_pipeline

diffusers = importlib.import_module("diffusers")
# The schedulers' own, of a numpy newer than they were written for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = [1, 4, 30]
SQUARE, WIDE = (32, 32), (40, 24)
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
OURS = {"DDIMScheduler": "ddim", "EulerDiscreteScheduler": "euler",
        "DPMSolverMultistepScheduler": "dpm++2m", "HeunDiscreteScheduler": "heun"}  # fmt: skip


def with_scheduler(name: str, kind: str, **settings: Any) -> Any:
    """A tiny pipeline with another scheduler on the same betas; its own where it has it."""
    pipeline = tiny_pipeline(name)
    settings = {"clip_sample": False, **settings}
    pipeline.scheduler = made_like(pipeline.scheduler, getattr(diffusers, kind), settings)
    assert settings.items() <= {"clip_sample": False, **pipeline.scheduler.config}.items()
    return pipeline


def made_like(thing: Any, kind: type, settings: dict[str, Any]) -> Any:
    """Another with some settings changed, those too that ``thing`` has by default."""
    own = {k: v for k, v in thing.config.items() if k != "_use_default_values"}
    return kind.from_config({**own, **settings})  # type: ignore[attr-defined]


def assert_family_agrees(
    pipeline: Any, size: tuple[int, int], steps: int, guidance: float, led: bool = True
) -> None:
    model = from_object(pipeline).sized(*size)
    assert model.solver == OURS[type(pipeline.scheduler).__name__]
    settings: dict[str, Any] = {"guidance_scale": guidance}
    if led:
        settings["negative_prompt"] = list(AWAY)
    if "PixArt" in type(pipeline).__name__:
        settings["use_resolution_binning"] = False
    conditions = LED if led else PLAIN
    assert_agree(pipeline, model, conditions, steps, guidance, model.solver, **settings)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("size", "guidance"), [(SQUARE, 7.5), (WIDE, 7.5), (WIDE, 1.0)])
@pytest.mark.parametrize("kind", ["DDIMScheduler", "EulerDiscreteScheduler",
                                  "DPMSolverMultistepScheduler"])  # fmt: skip
def test_sd_agrees(kind: str, size: tuple[int, int], steps: int, guidance: float) -> None:
    assert_family_agrees(with_scheduler("sd", kind), size, steps, guidance)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("size", "guidance"), [(SQUARE, 5.0), (WIDE, 5.0), (WIDE, 1.0)])
@pytest.mark.parametrize("kind", ["EulerDiscreteScheduler", "DDIMScheduler",
                                  "DPMSolverMultistepScheduler"])  # fmt: skip
def test_sdxl_agrees(kind: str, size: tuple[int, int], steps: int, guidance: float) -> None:
    assert_family_agrees(with_scheduler("sdxl", kind), size, steps, guidance)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("size", "guidance"), [(SQUARE, 4.5), (WIDE, 4.5), (WIDE, 1.0)])
@pytest.mark.parametrize("kind", ["DPMSolverMultistepScheduler", "DDIMScheduler"])
def test_pixart_agrees(kind: str, size: tuple[int, int], steps: int, guidance: float) -> None:
    assert_family_agrees(with_scheduler("pixart", kind), size, steps, guidance)


@pytest.mark.parametrize("name", ["sd", "sdxl", "pixart"])
def test_led_away_from_nothing_agrees(name: str) -> None:
    """SDXL then leads away from zeros, the others from the empty prompt."""
    assert_family_agrees(tiny_pipeline(name), WIDE, 4, 6.0, led=False)


def test_sdxl_led_away_from_the_empty_prompt_agrees() -> None:
    pipeline = tiny_pipeline("sdxl")
    pipeline.register_to_config(force_zeros_for_empty_prompt=False)
    assert_family_agrees(pipeline, WIDE, 4, 6.0, led=False)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("DDIMScheduler", {"prediction_type": "v_prediction"}),
        ("DDIMScheduler", {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
                           "timestep_spacing": "trailing"}),
        ("EulerDiscreteScheduler", {"prediction_type": "v_prediction",
                                    "timestep_spacing": "trailing"}),
        ("DPMSolverMultistepScheduler", {"prediction_type": "v_prediction",
                                         "use_karras_sigmas": True}),
        ("EulerDiscreteScheduler", {"timestep_spacing": "linspace"}),
        ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
        ("HeunDiscreteScheduler", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)  # fmt: skip
def test_other_schedules_agree(kind: str, settings: dict[str, Any]) -> None:
    """Stable Diffusion 2.1 gives v; whatever the scheduler's settings are, its times are ours."""
    assert_family_agrees(with_scheduler("sd", kind, **settings), WIDE, 7, 7.5)


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_distilled_unet_agrees(name: str) -> None:
    """Guidance as a number that the network reads, at one forward."""
    pipeline = tiny_pipeline(name)
    torch.manual_seed(0)
    unet = made_like(pipeline.unet, type(pipeline.unet), {"time_cond_proj_dim": 8})
    pipeline.register_modules(unet=unet.eval())
    assert from_object(pipeline).build(8.0, "cpu", "float32").forwards == 1
    assert_family_agrees(pipeline, WIDE, 4, 8.0, led=False)


def test_another_unet_in_sdxl_agrees() -> None:
    """As of Diffusion-DPO: another network of the same kind, and nothing else."""
    pipeline, own = tiny_pipeline("sdxl"), tiny_pipeline("sdxl")
    torch.manual_seed(1)
    pipeline.register_modules(unet=type(own.unet).from_config(own.unet.config).eval())
    assert from_object(pipeline).fingerprint != from_object(own).fingerprint
    assert_family_agrees(pipeline, WIDE, 4, 5.0)


def test_latents_with_a_scale_for_every_channel_agree() -> None:
    pipeline = tiny_pipeline("sdxl")
    pipeline.vae.register_to_config(latents_mean=[0.1, -0.2, 0.3, 0.4], latents_std=[1, 2, 3, 4])
    assert_family_agrees(pipeline, WIDE, 4, 5.0)


@pytest.mark.parametrize("name", ["sd", "sdxl", "pixart"])
def test_loaded_from_a_folder_agrees(name: str, tmp_path: Any) -> None:
    from noisesearch.models.pipelines import from_folder

    pipeline = tiny_pipeline(name, tmp_path)
    model = from_folder(tmp_path)
    more = {"use_resolution_binning": False} if name == "pixart" else {}
    assert_agree(pipeline, model, PLAIN, 4, 3.5, model.solver, guidance_scale=3.5, **more)


@pytest.mark.parametrize("name", ["sd", "sdxl", "pixart"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_rows_at_different_times_agree_with_rows_alone(name: str, prediction: str) -> None:
    kind = type(tiny_pipeline(name).scheduler).__name__
    pipeline = with_scheduler(name, kind, prediction_type=prediction)
    assert_rows_agree_alone(from_object(pipeline), of_epsilon=prediction == "epsilon")


@pytest.mark.parametrize("name", ["sd", "sdxl", "pixart"])
def test_everything_that_agrees_matters(name: str) -> None:
    assert_everything_matters(name)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prediction_type": "sample"}, "says prediction_type='sample', which is not supported"),
        ({"rescale_betas_zero_snr": True}, "begins without any signal"),
        ({"prediction_type": "flow_prediction"}, "a network that gives flow"),
    ],
)
def test_schedules_that_no_sample_comes_of(settings: dict[str, Any], said: str) -> None:
    pipeline = with_scheduler("sd", "DDIMScheduler", **settings)
    with pytest.raises(ConfigError, match=said):
        from_object(pipeline).space()


@pytest.mark.parametrize("name", ["sd", "sdxl", "pixart"])
def test_a_scheduler_of_flows_under_a_network_of_betas(name: str) -> None:
    """It does not say what the network gives, and the pipelines do not take it either."""
    pipeline = tiny_pipeline(name)
    pipeline.scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    with pytest.raises(ConfigError, match="does not say what the network gives"):
        from_object(pipeline).build(4.0, "cpu", "float32")
    with pytest.raises(ConfigError, match="does not say what the network gives"):
        _ = from_object(pipeline).solver
