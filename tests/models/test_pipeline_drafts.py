"""Drafts of diffusers pipelines, on tiny ones: the mechanism, not what a draft is worth."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.models.drafts.blocks import LISTS, lists_of, twin
from noisesearch.models.drafts.first_block_cache import FirstBlockDenoiser
from noisesearch.models.drafts.lora import Factors, adapted, read
from noisesearch.models.pipelines import from_object
from noisesearch.testing import tiny_pipeline

TRANSFORMERS = ("flux", "sd3", "sana", "pixart")
SIZES = {"sana": ("64x64", "32x32")}
Evaluation = tuple[Tensor, Tensor, Any]


def vivid(images: Tensor, conditions: Any) -> Tensor:
    return images.std((1, 2, 3))


def search(pipe: Any, draft: str | None, **settings: Any) -> ns.Result:
    """Four drafts at four steps and less, searched, the best finished at four."""
    common: dict[str, Any] = {"verifier": vivid, "algorithm": ns.RandomSearch(candidates=4)}
    common |= {"budget": 100, "steps": 4, "rows": 4}
    return ns.search("a red circle", model=pipe, draft=draft, **{**common, **settings})


@pytest.fixture(scope="module", params=TRANSFORMERS)
def pipe(request: pytest.FixtureRequest) -> Any:
    made = tiny_pipeline(request.param)
    made.kind = request.param
    return made


def evaluated(denoiser: Any) -> Evaluation:
    x = torch.randn(4, *denoiser.shape, generator=torch.Generator().manual_seed(0))
    return x, torch.linspace(0.9, 0.2, 4, dtype=torch.float64), denoiser.encode(
        [Condition(text=text) for text in ("a red circle", "two rings", "a cat", "")]
    )  # fmt: skip


@torch.no_grad()
def test_the_twin_is_the_network(pipe: Any) -> None:
    """The network's own code runs around the blocks, which are its own and stay where they are."""
    model = from_object(pipe)
    denoiser = model.build(3.0, "cpu", "float32")
    of = evaluated(denoiser)
    expected, before = denoiser(*of), list(pipe.transformer.state_dict())
    for rewired in (denoiser.rewired(twin), FirstBlockDenoiser(denoiser, 0.0, ())):
        assert all(map(torch.equal, rewired(*of), expected))
    live = dict.fromkeys(range(4))
    recalled = FirstBlockDenoiser(denoiser, 0.0, ()).recall(*of, live)
    assert all(map(torch.equal, recalled, expected))
    # A second look at the same place finds that nothing has changed, and gives the same.
    known = dict(live)
    again = FirstBlockDenoiser(denoiser, 0.01, ()).recall(*of, known)
    assert all(known[i] is live[i] for i in range(4))
    for mine, its in zip(again, expected, strict=True):
        assert torch.allclose(mine, its, atol=1e-4, rtol=1e-4)
    skipped = denoiser.rewired(partial(twin, skip=(1,)))
    assert not torch.allclose(skipped(*of)[0], expected[0])
    assert 0 < skipped.flops < denoiser.flops
    assert all(map(torch.equal, denoiser(*of), expected))
    assert list(pipe.transformer.state_dict()) == before


def test_searches(pipe: Any) -> None:
    whole, small = SIZES.get(pipe.kind, ("32x32", "16x16"))
    # The price of four candidates and of a final sample; how many evaluations reused the rest.
    for draft, evaluations, reused in (
        ("steps:2", 8, 0), ("cache:1e9", 16, 12), ("steps:3+cache:1e9", 12, 8),
        ("skip:1", 16, 0), (f"size:{small}", 16, 0),
    ):  # fmt: skip
        result = search(pipe, draft, size=whole)
        draft = next(iter(result.ledger["drafts"]))
        assert result.ledger["drafts"][draft] == evaluations
        assert result.ledger["physical"].get("reused", 0) == reused
        full, ran = result.ledger["nfe"] - evaluations, result.ledger["physical"]["nfe"]
        assert full == 4 and ran - evaluations in (4, 8), "the baseline's noise may have won"
        cheaper = draft.startswith(("skip", "size"))
        assert (result.ledger["counted"] < evaluations + full) == cheaper
        assert "x".join(map(str, result.image.size)) == whole


def test_weights_of_drafts_are_those_in_memory() -> None:
    pipe = tiny_pipeline("sd3")
    model = from_object(pipe)
    denoiser = model.build(3.0, "cpu", "float32")
    small = model.sized(16, 16).beside(denoiser, 1.0)
    assert small.pipeline is pipe and small.shape == (16, 4, 4) and small.forwards == 1


def test_another_pipeline_on_the_same_noise(tmp_path: Path) -> None:
    """FLUX.1-schnell as a draft of dev: same latents, its own steps and guidance."""
    tiny_pipeline("flux-schnell", tmp_path / "schnell")
    tiny_pipeline("sana", tmp_path / "sana")
    pipe = tiny_pipeline("flux")
    result = search(pipe, f"model:{tmp_path / 'schnell'}+steps:1")
    assert list(result.ledger["drafts"].values()) == [4]
    ran = result.ledger["physical"]
    assert ran["forwards"] == ran["nfe"], "not guided at 3.5, which is dev's"
    with pytest.raises(ConfigError, match="has noises of shape 8x8x8 and FluxPipeline of 16x8x8"):
        search(pipe, f"model:{tmp_path / 'sana'}")


def test_another_process_is_refused(tmp_path: Path) -> None:
    tiny_pipeline("sd", tmp_path / "sd")
    with pytest.raises(ConfigError, match="has a variance-preserving process and"):
        search(from_flow(), f"model:{tmp_path / 'sd'}")


def from_flow() -> Any:
    """A Stable Diffusion with the scheduler of a flow, whose latents are those of the other."""
    import diffusers

    pipe = tiny_pipeline("sd")
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    pipe.scheduler.register_to_config(prediction_type="flow_prediction")
    return pipe


def test_a_black_box_is_no_draft(tmp_path: Path) -> None:
    """Said before its weights are loaded and before its noises, which it alone knows, are met."""
    tiny_pipeline("lcm", tmp_path)
    with pytest.raises(ConfigError, match=r"draft 'model:.*': .* runs in its own loop only"):
        search(tiny_pipeline("sd"), f"model:{tmp_path}")


def test_named_in_a_folder(tmp_path: Path) -> None:
    tiny_pipeline("pixart", tmp_path)
    preset = json.loads((tmp_path / "noisesearch.json").read_text())
    preset["drafts"] = {"fast": "steps:2+cache:0.5"}
    (tmp_path / "noisesearch.json").write_text(json.dumps(preset))
    result = search(str(tmp_path), "fast")
    assert result.ledger["drafts"] == {"steps:2+cache:0.5": 8}
    with pytest.raises(ConfigError, match="unknown draft 'fst': did you mean 'fast'"):
        search(str(tmp_path), "fst")


@pytest.mark.parametrize(
    ("name", "draft", "said"),
    [
        ("sd", "cache:0.1", "need a transformer, and a UNet2DConditionModel is none"),
        ("sdxl", "skip:0", "need a transformer, and a UNet2DConditionModel is none"),
        (
            "pixart",
            "skip:2",
            "skip is 2, but a PixArtTransformer2DModel of this size has layers 0",
        ),
        ("pixart", "skip:0,1", "skip leaves out all 2 layers"),
        ("pixart", "skip:0+cache:0.1", "and here is 1 layer; leave cache out"),
        ("pixart", "size:24x24", "those of 32x32 over one whole number, such as 16x16"),
        ("pixart", "size:64x64", "those of 32x32 over one whole number, such as 16x16"),
        ("pixart", "size:16x32", "those of 32x32 over one whole number, such as 16x16"),
        ("pixart", "steps:5", "costs as much as 5 evaluations of the full sample"),
    ],
)
def test_wrong_drafts(name: str, draft: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        search(tiny_pipeline(name), draft)
    assert said in str(error.value)


FILES = {
    # The network's prefix, the names of the factors, and whether there is an alpha.
    "transformer": ("transformer.", "lora_A.weight", "lora_B.weight", None),
    "old": ("", "lora.down.weight", "lora.up.weight", 1.0),
}


def factors(network: nn.Module, form: str = "transformer") -> dict[str, Tensor]:
    """An adapter of rank 2 for every attention's queries, and for the first convolution."""
    prefix, down, up, alpha = FILES[form]
    seeded, content = torch.Generator().manual_seed(1), {}
    for name, layer in network.named_modules():
        if not (name.endswith("to_q") or name in ("conv_in", "pos_embed.proj")):
            continue
        out, *inner = layer.weight.shape
        after = [1, 1] if isinstance(layer, nn.Conv2d) else []
        content[f"{prefix}{name}.{down}"] = torch.randn(2, *inner, generator=seeded)
        content[f"{prefix}{name}.{up}"] = torch.randn(out, 2, *after, generator=seeded)
        if alpha is not None:
            content[f"{prefix}{name}.alpha"] = torch.tensor(alpha)
    return content


@torch.no_grad()
@pytest.mark.parametrize(("name", "form"), [("pixart", "transformer"), ("sd", "old")])
def test_lora(name: str, form: str, tmp_path: Path) -> None:
    """As if the products of the factors were added to the weights, which stay as they are."""
    pipe = tiny_pipeline(name)
    denoiser = from_object(pipe).build(3.0, "cpu", "float32")
    of, network = evaluated(denoiser), pipe.transformer if name == "pixart" else pipe.unet
    content = factors(network, form)
    save_file(content, str(tmp_path / "a.safetensors"))
    before = denoiser(*of)
    small = denoiser.rewired(partial(adapted, factors=read(tmp_path / "a.safetensors")))
    found = small(*of)
    assert small.flops > denoiser.flops
    assert all(map(torch.equal, denoiser(*of), before)), "the network itself is as it was"
    prefix, down, up, alpha = FILES[form]
    for key in (k for k in content if k.endswith(down)):
        weight = network.get_submodule(key.removeprefix(prefix).removesuffix(f".{down}")).weight
        product = content[key.removesuffix(down) + up].flatten(1) @ content[key].flatten(1)
        weight += (1.0 if alpha is None else alpha / 2) * product.view_as(weight)
    for mine, merged, its in zip(found, denoiser(*of), before, strict=True):
        assert torch.allclose(mine, merged, atol=1e-3, rtol=1e-4)
        assert not torch.allclose(mine, its, atol=1e-2)


@torch.no_grad()
def test_a_lora_goes_where_the_network_goes() -> None:
    """Networks are moved and converted after drafts are made of them."""
    layer, content = nn.Linear(3, 4), Factors(torch.ones(2, 3), torch.ones(4, 2), 0.5)
    made = adapted(nn.Sequential(layer), {"0": content})
    layer.double()
    x = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    assert torch.equal(made(x), layer(x) + 6)


def test_lora_in_a_search(tmp_path: Path) -> None:
    pipe = tiny_pipeline("pixart")
    save_file(factors(pipe.transformer), str(tmp_path / "a.safetensors"))
    result = search(pipe, f"steps:2+cache:1e9+lora:{tmp_path / 'a.safetensors'}")
    assert result.ledger["physical"]["reused"] == 4
    assert result.ledger["counted"] > 4 + 8, "an adapter costs something"
    print_ = json.loads((result.run / "spec.json").read_text())["fingerprints"]
    assert sum(name.startswith("draft ") for name in print_) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"transformer.a.lora_A.weight": torch.ones(2, 3)}, "without transformer.a.lora_B.weight"),
        ({"text_encoder.x": torch.ones(2)}, "holds 'text_encoder.x', which is none"),
        ({}, "holds no adapter"),
        (
            {"a.lora_A.weight": torch.ones(2, 3), "a.lora_B.weight": torch.ones(3, 2)},
            "adapts a layer 'a' that a PixArtTransformer2DModel does not have",
        ),
        (
            {
                "proj_out.lora_A.weight": torch.ones(2, 3),
                "proj_out.lora_B.weight": torch.ones(3, 2),
            },
            "do not fit that layer",
        ),
    ],
)
def test_wrong_loras(content: dict[str, Tensor], said: str, tmp_path: Path) -> None:
    save_file(content, str(tmp_path / "a.safetensors"))
    with pytest.raises(ConfigError) as error:
        search(tiny_pipeline("pixart"), f"lora:{tmp_path / 'a.safetensors'}")
    assert said in str(error.value)


def test_loras_that_are_no_files_of_safetensors(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x")
    (tmp_path / "a.safetensors").write_bytes(b"x")
    for name, said in (("a.bin", "unpickled"), ("b.safetensors", "is no file"),
                       ("a.safetensors", "cannot be read")):  # fmt: skip
        with pytest.raises(ConfigError, match=said):
            read(tmp_path / name)


def test_what_is_offloaded_is_refused() -> None:
    network = tiny_pipeline("pixart").transformer
    network.forward = network.forward  # as the hooks of accelerate do
    with pytest.raises(ConfigError, match="moved between devices while it runs"):
        lists_of(network)


def test_a_class_that_is_derived_is_known() -> None:
    class ShapesTransformer(nn.Module):
        pass

    class Mine(ShapesTransformer):
        pass

    assert lists_of(Mine()) == LISTS["ShapesTransformer"]
