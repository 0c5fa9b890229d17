"""The benchmark of throughput at its smallest scale, by all its functions."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from noisesearch.candidates.condition import Condition

pytest.importorskip("diffusers")
FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def throughput(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("throughput")


def test_the_smallest_scale_runs(throughput: Any, tmp_path: Path, capsys: Any) -> None:
    """Figures follow from each other, and what a search ran is what was asked for."""
    found = throughput.run("cpu", "tiny", throughput.Effort(8, 0.0, (64,), 1, at_least=0.0))
    assert list(found["networks"]) == ["FLUX.1-dev", "SiT-XL/2"]
    for of in found["networks"].values():
        assert of["scaled"] and of["rows"] % 4 == 0
        assert of["physical_nfe"] == of["candidates"] * of["nfe_per_candidate"]
        rate = of["candidates_per_second"]
        assert of["search_over_bare"] == pytest.approx(rate["search"] / rate["bare"], rel=1e-3)
        assert of["speedup_over_naive"] == pytest.approx(rate["search"] / rate["naive"], rel=1e-3)
        flops = rate["search"] * of["nfe_per_candidate"] * of["flops_per_nfe"]
        assert of["peak_share"] == pytest.approx(flops / of["peak_tflops"] / 1e12, rel=1e-2)
    for name in ("search_over_bare", "peak_share", "speedup_over_naive"):
        assert found[name] == min(of[name] for of in found["networks"].values())
    sys.modules["recording"].record(tmp_path, "throughput-cpu", found)
    kept = json.loads((tmp_path / "throughput-cpu.json").read_text())
    assert kept["networks"] == found["networks"] and kept["date"] and kept["command"]


@pytest.mark.parametrize("name", ["flux", "sit"])
def test_a_random_network_says_something(throughput: Any, name: str) -> None:
    """Catches weights of zero, with which the ends of a trajectory are its beginning, and
    numbers that run away over the blocks."""
    model = throughput.NETWORKS[name]("tiny", "cpu", torch.float32)
    x = torch.randn(2, *model.denoiser.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        encoded = model.denoiser.encode(
            [Condition(text="a", label=0), Condition(text="b", label=1)]
        )
        x0, eps = model.denoiser(x, torch.full((2,), 0.5, dtype=torch.float64), encoded)
        images = model.denoiser.decode(x0)
    assert (x0 + eps - 2 * x).abs().max() < 1e-4, "x0 and ε make x at time 1/2"
    assert 1e-3 < (eps - x0).std() < 100
    assert images.shape == (2, 3, *model.size[::-1]) and 0 <= images.min() < images.max() <= 1


def test_published_sizes_are_those_of_the_papers(throughput: Any) -> None:
    """FLUX.1-dev has 12 billion weights and SiT-XL/2 0.675 billion; counted, nothing is made."""
    networks = sys.modules["random_networks"]
    with torch.device("meta"):
        flux = networks.diffusers.FluxTransformer2DModel(**networks.FLUX)
    assert sum(w.numel() for w in flux.parameters()) == pytest.approx(11.9e9, rel=0.01)
    with torch.device("meta"):
        sit = networks.SiT(networks.SCALES["full"].sit)
    assert sum(w.numel() for w in sit.parameters()) == pytest.approx(675e6, rel=0.01)


@pytest.mark.parametrize(
    ("card", "tflops"),
    [("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA A100-SXM4-80GB", 312),
     ("NVIDIA L4", 121), ("NVIDIA L40S", 362), ("NVIDIA A10", None)],
)  # fmt: skip
def test_cards_by_name(throughput: Any, card: str, tflops: float | None) -> None:
    assert throughput.published(card) == (None if tflops is None else 1e12 * tflops)


def test_what_does_not_fit_is_tried_smaller(
    throughput: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory ends the tries of larger batches, and halves those of the search."""
    model = throughput.NETWORKS["sit"]("tiny", "cpu", torch.float32)
    tried: list[int] = []

    def bare(model: Any, rows: int, clock: Any, at_least: float) -> float:
        if rows > 8:
            raise torch.cuda.OutOfMemoryError
        return float(rows)

    def load(model: Any, rows: int, candidates: int, steps: int) -> int:
        tried.append(rows)
        return rows

    def searched(rows: int) -> int:
        if rows > 4:
            raise torch.cuda.OutOfMemoryError
        return rows

    for name, double in (("bare", bare), ("load", load), ("searched", searched)):
        monkeypatch.setattr(throughput, name, double)
    rates = throughput.bare_rates(model, throughput.Clock("cpu"), throughput.EFFORTS["cpu"])
    assert list(rates) == [1, 2, 4, 8]
    assert throughput.fitting_rows(model, rates) == 4 and tried == [8, 4]
    with pytest.raises(SystemExit, match="does not fit onto the device at 4 rows"):
        throughput.fitting_rows(model, {1: 1.0, 2: 2.0})
