"""Stable Diffusion, SDXL and PixArt-Sigma as models: defaults, searches, files, precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.candidates.condition import Condition
from noisesearch.models.pipelines import from_folder, from_object
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = ["sd", "sdxl", "pixart"]


@pytest.mark.parametrize(
    ("name", "solver", "steps", "guidance", "third"),
    [("sd", "ddim", 50, 7.5, "imagereward"), ("sdxl", "euler", 40, 5.0, "pickscore"),
     ("pixart", "dpm++2m", 30, 4.5, "imagereward")],
)  # fmt: skip
def test_defaults(name: str, solver: str, steps: int, guidance: float, third: str) -> None:
    pipeline = tiny_pipeline(name)
    del pipeline.noisesearch
    model = from_object(pipeline)
    assert (model.solver, model.steps, model.guidance) == (solver, steps, guidance)
    assert model.size == (32, 32) and model.space().shape == (4, 8, 8)
    assert model.ensemble == ("clipscore", "aesthetic", third)
    assert model.sized(40, 24).space().shape == (4, 6, 10)
    with pytest.raises(ConfigError, match="must be multiples of 8"):
        model.sized(36, 32)


@pytest.mark.parametrize(
    ("name", "algorithm"), [("sd", "paths"), ("sdxl", "first-order"), ("pixart", "first-order")]
)
def test_a_search_leaves_the_pipeline_as_it_is(name: str, algorithm: str) -> None:
    pipeline = tiny_pipeline(name)
    before, state = from_object(pipeline).fingerprint, dict(vars(pipeline))
    found = ns.search(
        "a red circle", model=pipeline, verifier=brightness(), algorithm=algorithm, budget=60,
        negative="blurry",
    )  # fmt: skip
    assert found.winner.score >= found.baseline.score
    assert from_object(pipeline).fingerprint == before and vars(pipeline) == state


def test_stable_diffusion_with_pndm_in_our_loop(caplog: pytest.LogCaptureFixture) -> None:
    """With a solver it has previews, and nothing is to be said."""
    found = ns.search(
        "a red circle", model=tiny_pipeline("sd-pndm"), verifier=brightness(), solver="ddim",
        algorithm="paths", budget=60,
    )  # fmt: skip
    assert found.winner.score >= found.baseline.score and not caplog.records


def test_a_folder_with_a_safety_checker(tmp_path: Path) -> None:
    """As Stable Diffusion is published: our loop does not run it, so it is not loaded."""
    pipeline = tiny_pipeline("sd", tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    index["requires_safety_checker"] = True
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    denoiser = from_folder(tmp_path).build(3.0, "cpu", "float32")
    x = torch.randn(1, *denoiser.shape, generator=torch.Generator().manual_seed(0))
    own = from_object(pipeline).build(3.0, "cpu", "float32")
    with torch.inference_mode():
        assert torch.equal(denoiser.decode(x), own.decode(x))


@pytest.mark.parametrize("name", NAMES)
def test_flops(name: str) -> None:
    """Counted for one forward, and more at a larger size."""
    model = from_object(tiny_pipeline(name))
    small, large = (model.sized(*s).build(4.0, "cpu", "float32") for s in ((32, 32), (64, 64)))
    assert 1.5 * small.flops < large.flops < 20 * small.flops
    assert small.forwards == 2


@pytest.mark.parametrize(("name", "length"), [("sd", 77), ("sdxl", 77), ("pixart", 300)])
def test_prompts_that_are_too_long(name: str, length: int) -> None:
    model = from_object(tiny_pipeline(name))
    model.condition("a red circle")
    with pytest.raises(ConfigError, match=f"takes {length}, so"):
        model.condition("q" * (length + 20))


def test_the_decoder_of_sdxl_in_half_precision() -> None:
    """Published as one that overflows there: it decodes in float32, and the user's stays as it is,
    also for a gradient."""
    pipeline = tiny_pipeline("sdxl")
    x0 = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = from_object(pipeline).build(5.0, "cpu", "float32").decode(x0)
    pipeline.vae.register_to_config(force_upcast=True)
    pipeline.vae.half()
    found = from_object(pipeline).build(5.0, "cpu", "float32").decode(x0)
    assert found.dtype == torch.float32 and (found - expected).abs().max() < 1e-2
    (slope,) = torch.autograd.grad(found.sum(), x0)
    assert slope.isfinite().all()
    assert pipeline.vae.dtype == torch.float16


def test_negative_prompts_of_some_rows() -> None:
    """Zeros of SDXL where none was given, words where one was, in one batch."""
    denoiser = from_object(tiny_pipeline("sdxl")).build(5.0, "cpu", "float32")
    found = denoiser.encode([Condition(text="a"), Condition(text="a", negative="blurry")])
    away: Any = found["away.words"]
    assert not away[0].any() and away[1].any()
    assert not found["away.pooled"][0].any() and found["away.pooled"][1].any()
