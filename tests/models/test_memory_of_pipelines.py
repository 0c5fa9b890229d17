"""Memory of real pipelines: what a plan counts, lean runs, tiles, what is chosen by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers")

import noisesearch as ns
from noisesearch.errors import ConfigError
from noisesearch.models.choice import model_of
from noisesearch.models.footprint import peak_bytes, weight_bytes
from noisesearch.models.pipelines import from_object
from noisesearch.sampling.denoiser import DENOISE, LOOK, READ
from noisesearch.setup import memory, residence
from noisesearch.setup.request import Request
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness
from noisesearch.worker import residence as device_memory

NAMES = ("flux", "sd3", "sana", "sd", "sdxl", "pixart")


def bright(images: Tensor, conditions: Any) -> Tensor:
    return images.mean((1, 2, 3))


def settings(**more: Any) -> dict[str, Any]:
    return {"verifier": bright, "budget": 24, "algorithm": "random", **more}


def test_peak_is_what_is_alive_at_once() -> None:
    """Of a chain of layers two buffers are alive, and neither weights nor views of them count."""
    with torch.device("meta"):
        layers = torch.nn.Sequential(*[torch.nn.Linear(64, 64) for _ in range(5)])
        x = torch.zeros(10, 64)
    assert peak_bytes(lambda: layers(x)) == 2 * 10 * 64 * 4

    def held() -> list[Tensor]:
        return [x + i for i in range(7)]

    assert peak_bytes(held) == 7 * 10 * 64 * 4


def test_quantised_weights_are_counted_as_they_are_stored() -> None:
    """Of a tensor made of others, which shows the shape and type of what it stands for."""
    from torch.testing._internal.two_tensor import TwoTensor

    layer = torch.nn.Linear(8, 8, bias=False)
    layer.weight = torch.nn.Parameter(TwoTensor(torch.zeros(8, 8), torch.zeros(8, 8)))
    assert weight_bytes([layer]) == 2 * 8 * 8 * 4


@pytest.mark.parametrize("name", ["flux", "sdxl"])
def test_peak_of_a_network_is_near_what_it_allocates(name: str) -> None:
    """Against torch's own profiler on the processor: attention there is a little more."""
    model = from_object(tiny_pipeline(name))
    denoiser = model.build(model.guidance, "cpu", "float32")
    rows = 8
    counted = denoiser.work(rows)[DENOISE]
    inputs = denoiser._inputs(rows * denoiser.forwards)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
        denoiser.networks[DENOISE][0](**inputs, return_dict=False)
    alive = most = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            alive += event.nbytes()
            most = max(most, alive)
    assert 0.6 < counted / most < 1.3


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_known_before_they_are_loaded(name: str, tmp_path: Path) -> None:
    pipeline = tiny_pipeline(name, tmp_path / name)
    weighed = model_of(str(tmp_path / name)).pipeline_form.weigh("float32")  # type: ignore[attr-defined]
    for part, size in weighed.items():
        real = weight_bytes([getattr(pipeline, part)])
        assert size == pytest.approx(real, rel=0.02), part


def test_weights_that_are_cut_off_are_said(tmp_path: Path) -> None:
    tiny_pipeline("flux", tmp_path)
    (path,) = (tmp_path / "vae").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ConfigError, match=r"safetensors cannot be loaded .*get the pipeline's"):
        model_of(str(tmp_path)).pipeline_form.weigh("float32")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_a_lean_run_is_the_same_run(name: str, tmp_path: Path) -> None:
    pipeline = tiny_pipeline(name)
    full = ns.search("a red circle", model=pipeline, out=tmp_path / "full", **settings())
    lean = ns.search("a red circle", model=pipeline, out=tmp_path / "lean", memory="lean",
                     **settings())  # fmt: skip
    assert lean.winner.score == full.winner.score
    assert lean.winner.trajectory == full.winner.trajectory


def test_a_plan_names_the_phase_that_needs_most(tmp_path: Path) -> None:
    pipeline = tiny_pipeline("flux")
    found: dict[str, Any] = {}
    for mode in ("full", "lean"):
        request = Request(["a cat"], model=pipeline, memory=mode, **settings())
        loaded = request.resolve().loaded
        found[mode] = residence.needed(loaded)
    heavy = weight_bytes([pipeline.transformer])
    texts = weight_bytes([pipeline.text_encoder, pipeline.text_encoder_2])
    lean, full = found["lean"], found["full"]
    assert lean["peak"]["phase"] == full["peak"]["phase"] == DENOISE
    assert lean["bytes"][READ] == texts and lean["swaps_per_yield"] == 2
    assert (
        heavy
        < lean["bytes"][DENOISE]
        == full["bytes"][DENOISE] - texts - weight_bytes([pipeline.vae])
    )
    assert full["swaps_per_yield"] == 0
    assert found["lean"]["bytes"][LOOK] < full["bytes"][LOOK]


def test_lean_is_chosen_where_the_weights_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_pipeline("flux", tmp_path / "flux")
    model = model_of(str(tmp_path / "flux"))
    total = sum(model.pipeline_form.weigh("bfloat16").values())  # type: ignore[attr-defined]
    for free, expected in ((total, "lean"), (2 * total, "full"), (None, "full")):
        monkeypatch.setattr(device_memory, "free_memory", lambda device, free=free: free)
        assert memory.mode("auto", model, "cuda", "bfloat16") == expected
        assert memory.mode("full", model, "cuda", "bfloat16") == "full"
    # A pipeline in memory fits, since it is there.
    monkeypatch.setattr(device_memory, "free_memory", lambda device: 1)
    assert memory.mode("auto", from_object(tiny_pipeline("flux")), "cuda", "float32") == "full"


def test_gradients_need_everything_at_once() -> None:
    with pytest.raises(ConfigError, match="needs network, decoder and verifiers at once"):
        ns.search("a cat", model=tiny_pipeline("flux"), memory="lean", algorithm="first-order",
                  verifier=brightness(), budget=64)  # fmt: skip


@pytest.mark.parametrize("name", ["sd", "sana"])
def test_tiles_are_of_our_runs_only(name: str) -> None:
    """Catches a user's autoencoder that is left with tiles on; and an option without effect."""
    pipeline = tiny_pipeline(name)
    if name == "sana":  # its tiles are of 512 pixels by default
        pipeline.vae.enable_tiling(32, 32, 24, 24)
        pipeline.vae.disable_tiling()
    model = from_object(pipeline).sized(64, 64)
    denoiser = model.build(1.0, "cpu", "float32")
    x0 = torch.randn(2, *denoiser.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = denoiser.decode(x0)
        denoiser.tile()
        tiled = denoiser.decode(x0)
    assert pipeline.vae.use_tiling is False
    # They differ where tiles meet, and in what a decoder's normalisation sees.
    assert 0 < (plain - tiled).abs().mean() < 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch's own compiler
def test_a_compiled_network_makes_the_same_samples() -> None:
    """Within rounding, and the user's own network stays as it is."""
    pipeline = tiny_pipeline("flux")
    network = pipeline.transformer
    plain = ns.search("a cat", model=pipeline, **settings(dtype="float32"))
    fast = ns.search("a cat", model=pipeline, compile=True, **settings(dtype="float32"))
    assert pipeline.transformer is network and not hasattr(network, "_orig_mod")
    assert fast.winner.score == pytest.approx(plain.winner.score, abs=1e-3)
