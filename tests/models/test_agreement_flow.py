"""FLUX, Stable Diffusion 3 and Sana: our samples agree with the pipelines' own."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from agreement import (
    AWAY,
    LED,
    PLAIN,
    assert_agree,
    assert_everything_matters,
    assert_rows_agree_alone,
)

from noisesearch.models.pipelines import from_object
from noisesearch.testing import tiny_pipeline

diffusers = importlib.import_module("diffusers")

STEPS = [1, 4, 30]
SIZES = [(32, 32), (64, 32)]
WIDE = (64, 32)


def flow_euler(**settings: Any) -> Any:
    return diffusers.FlowMatchEulerDiscreteScheduler(**settings)


@pytest.fixture(scope="module")
def flux() -> Any:
    return tiny_pipeline("flux")


@pytest.fixture(scope="module")
def schnell() -> Any:
    return tiny_pipeline("flux-schnell")


@pytest.fixture(scope="module")
def sd3() -> Any:
    return tiny_pipeline("sd3")


@pytest.fixture(scope="module")
def sana() -> Any:
    """With the scheduler of the flow models, which Sana is published for too."""
    pipeline = tiny_pipeline("sana")
    pipeline.scheduler = flow_euler(shift=3.0)
    return pipeline


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("size", "guidance"), [((32, 32), 3.5), (WIDE, 3.5), (WIDE, 1.0)])
def test_flux_agrees(flux: Any, size: tuple[int, int], steps: int, guidance: float) -> None:
    model = from_object(flux).sized(*size)
    assert model.solver == "euler"
    assert_agree(flux, model, PLAIN, steps, guidance, "euler", guidance_scale=guidance)


@pytest.mark.parametrize("steps", STEPS)
def test_flux_led_away_agrees(flux: Any, steps: int) -> None:
    """With both guidances: the number that it reads and two forwards."""
    model = from_object(flux, true_guidance=4.0).sized(32, 64)
    assert_agree(
        flux, model, LED, steps, 2.5, "euler",
        guidance_scale=2.5, true_cfg_scale=4.0, negative_prompt=list(AWAY),
    )  # fmt: skip


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("size", SIZES)
def test_schnell_agrees(schnell: Any, size: tuple[int, int], steps: int) -> None:
    assert_agree(schnell, from_object(schnell).sized(*size), PLAIN, steps, 1.0, "euler")


@pytest.mark.parametrize("steps", STEPS)
def test_schnell_led_away_agrees(schnell: Any, steps: int) -> None:
    assert_agree(
        schnell, from_object(schnell), LED, steps, 3.0, "euler",
        true_cfg_scale=3.0, negative_prompt=list(AWAY),
    )  # fmt: skip


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("size", "guidance"), [((32, 32), 7.0), (WIDE, 7.0), (WIDE, 1.0)])
def test_sd3_agrees(sd3: Any, size: tuple[int, int], steps: int, guidance: float) -> None:
    model = from_object(sd3).sized(*size)
    assert model.solver == "euler"
    assert_agree(
        sd3, model, LED, steps, guidance, "euler",
        guidance_scale=guidance, negative_prompt=list(AWAY),
    )  # fmt: skip


def test_sd3_without_its_third_encoder_agrees() -> None:
    pipeline = tiny_pipeline("sd3")
    pipeline.register_modules(text_encoder_3=None, tokenizer_3=None)
    assert_agree(pipeline, from_object(pipeline), PLAIN, 4, 7.0, "euler", guidance_scale=7.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dynamic_shifting": True, "base_shift": 0.7, "max_shift": 1.3},
        {"use_dynamic_shifting": True, "time_shift_type": "linear"},
        {"shift": 2.0, "use_karras_sigmas": True},
        {"shift": 2.0, "use_beta_sigmas": True},
        {"shift": 1.0},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_other_schedules_agree(settings: dict[str, Any]) -> None:
    """Whatever the scheduler's settings are, its times are ours."""
    pipeline = tiny_pipeline("sd3")
    pipeline.scheduler = flow_euler(**settings)
    model = from_object(pipeline).sized(64, 32)
    assert_agree(pipeline, model, PLAIN, 7, 4.0, "euler", guidance_scale=4.0)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("size", "guidance"), [((32, 32), 4.5), (WIDE, 4.5), (WIDE, 1.0)])
def test_sana_agrees(sana: Any, size: tuple[int, int], steps: int, guidance: float) -> None:
    model = from_object(sana).sized(*size)
    assert_agree(
        sana, model, LED, steps, guidance, "euler", guidance_scale=guidance,
        negative_prompt=list(AWAY), use_resolution_binning=False,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("size", SIZES)
def test_sana_by_its_own_solver_agrees(size: tuple[int, int], steps: int) -> None:
    """As published, whose network is told whole thousandths of the time."""
    pipeline = tiny_pipeline("sana")
    model = from_object(pipeline).sized(*size)
    assert model.solver == "dpm++2m"
    assert_agree(
        pipeline, model, LED, steps, 4.5, "dpm++2m", guidance_scale=4.5,
        negative_prompt=list(AWAY), use_resolution_binning=False,
    )  # fmt: skip


def test_loaded_from_a_folder_agrees(tmp_path: Any) -> None:
    from noisesearch.models.pipelines import from_folder

    pipeline = tiny_pipeline("flux", tmp_path)
    model = from_folder(tmp_path)
    assert_agree(pipeline, model, PLAIN, 4, 3.5, "euler", guidance_scale=3.5)


@pytest.mark.parametrize("name", ["flux", "flux-schnell", "sd3", "sana"])
def test_rows_at_different_times_agree_with_rows_alone(name: str) -> None:
    assert_rows_agree_alone(from_object(tiny_pipeline(name)))


@pytest.mark.parametrize("name", ["flux", "sd3", "sana"])
def test_everything_that_agrees_matters(name: str) -> None:
    assert_everything_matters(name)
