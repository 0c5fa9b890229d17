"""DINOv2 and its linear head: against the published code's numbers, and transformers'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.models import choice
from noisesearch.setup import selection
from noisesearch.testing import VerifierContract
from noisesearch.testing.tiny_vision import CLASSES, make_dino_linear
from noisesearch.verifiers.features.dino import (
    DinoLinear,
    LinearProbe,
    head_input,
    linear_head,
    tokens,
)
from noisesearch.verifiers.features.dino_network import DinoV2, Sizes
from noisesearch.verifiers.protocol import Views

IMAGES = ["70x70", "42x42", "56x84"]
BACKBONES = ["dinov2_tiny_backbone_reg0", "dinov2_tiny_backbone_reg2"]


def saved(reference: dict[str, Tensor], folder: Path, head: str) -> DinoLinear:
    """The reference's network and one of its heads as published files."""
    state = {n.removeprefix("backbone."): w for n, w in reference.items() if "backbone." in n}
    torch.save(state, folder / "dinov2_tiny_pretrain.pth")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 3}))
    weights = {name: reference[f"{head}.{name}"] for name in ("weight", "bias")}
    torch.save(weights, folder / f"dinov2_tiny_linear{head[-1].strip('1')}_head.pth")
    return DinoLinear(weights=str(folder))


@pytest.mark.parametrize("size", IMAGES)
@pytest.mark.parametrize("name", BACKBONES)
def test_network_equals_the_reference(name: str, size: str, fixture_of, tmp_path: Path) -> None:
    reference = fixture_of(name)
    probe = saved(reference, tmp_path, "head4").open()
    network, head = probe.network.double(), probe.head.double()
    with torch.inference_mode():
        classes, patches = network(reference[f"in.image_{size}"].double())
        positions = network.positions(*(side // 14 for side in map(int, size.split("x"))))
        got = {
            "cls_last4": classes,
            "patch_last": patches,
            "fd_feature": classes[-1],
            "logits4": head(head_input(classes, patches, probe.blocks)),
            "pos_embed": positions,
        }
    for what, values in got.items():
        # The reference is in float32, whose last bits are all that may differ.
        wanted = reference[f"out.{what}_{size}"].double()
        torch.testing.assert_close(values, wanted, atol=1e-5, rtol=0, msg=lambda m, w=what: w + m)
    network.float(), head.float()  # it is shared


@pytest.mark.parametrize("name", BACKBONES)
def test_head_of_one_block_equals_the_reference(name: str, fixture_of, tmp_path: Path) -> None:
    reference = fixture_of(name)
    probe = saved(reference, tmp_path, "head1").open()
    assert probe.blocks == 1
    with torch.inference_mode():
        seen = probe.network(reference["in.image_42x42"])
        got = probe.head(head_input(*seen, probe.blocks))
    torch.testing.assert_close(got, reference["out.logits1_42x42"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("blocks", [1, 4])
def test_heads_alone_equal_the_reference(blocks: int, fixture_of) -> None:
    reference = fixture_of("dinov2_linear_head_tiny")
    state = {name: reference[f"head{blocks}.{name}"] for name in ("weight", "bias")}
    head, reads = linear_head(state, 32, "the reference")
    assert reads == blocks
    classes, patches = reference["in.cls_tokens"], reference["in.patch_tokens"][3]
    got = head(head_input(classes, patches, reads))
    torch.testing.assert_close(got, reference[f"out.logits{blocks}"], atol=1e-5, rtol=0)


def theirs(kind: str, folder: Path, **settings: Any) -> Any:
    """A tiny network of transformers with a head of one block, saved as it saves."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=24, num_hidden_layers=5, num_attention_heads=3, image_size=70, patch_size=14,
        num_labels=6, initializer_range=0.3, layerscale_value=0.6, **settings,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
    network.save_pretrained(str(folder))
    return network


@pytest.mark.parametrize(
    ("kind", "settings", "side"),
    [
        # Without registers theirs stretches positions otherwise, so at the size of training.
        ("Dinov2", {}, 70),
        ("Dinov2WithRegisters", {"num_register_tokens": 2, "use_swiglu_ffn": True}, 56),
    ],
)
def test_files_of_transformers(
    kind: str, settings: dict[str, Any], side: int, tmp_path: Path
) -> None:
    """In float64, to 1e-9; the giant's gated perceptron among them."""
    their = theirs(kind, tmp_path, **settings).double()
    probe = DinoLinear(weights=str(tmp_path)).open()
    network, head = probe.network.double(), probe.head.double()
    image = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.inference_mode():
        wanted = their(image).logits
        got = head(head_input(*network(image), probe.blocks))
    assert probe.blocks == 1 and wanted.std() > 0.1
    # Positions are in float32 where they are stretched, in the original too.
    torch.testing.assert_close(got, wanted, atol=1e-9 if side == 70 else 1e-5, rtol=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dino")
    make_dino_linear(made)
    return made


class TestDinoLinear(VerifierContract):
    @pytest.fixture
    def verifier(self, folder: Path) -> LinearProbe:
        return DinoLinear(weights=str(folder)).open()

    @pytest.fixture
    def conditions(self) -> list[Condition]:
        return [Condition(label=i) for i in range(8)]


def test_the_logit_is_that_of_the_class(folder: Path) -> None:
    probe = DinoLinear(weights=str(folder)).open()
    views = Views(torch.rand(1, 3, 40, 50).expand(CLASSES, -1, -1, -1),
                  [*(Condition(label=i) for i in range(CLASSES - 1)), Condition()])  # fmt: skip
    got = probe(views)["dino-linear"]
    logits = probe.head(head_input(*tokens(probe.network, views), 4))
    torch.testing.assert_close(got[:-1], logits.diagonal()[:-1])
    assert got[-1].isnan() and len(set(got[:-1].tolist())) == CLASSES - 1


def test_the_network_looks_once(folder: Path) -> None:
    """Score and features of the same images, in two verifiers of the same files."""
    first, second = (DinoLinear(weights=str(folder)).open() for _ in range(2))
    calls = []
    hook = first.network.register_forward_hook(lambda *_: calls.append(1))
    views = Views(torch.rand(2, 3, 20, 20), [Condition(label=1)] * 2)
    first(views), second(views), second.features(views)
    hook.remove()
    assert len(calls) == 1


def test_a_gradient_reaches_the_image(folder: Path) -> None:
    probe = DinoLinear(weights=str(folder)).open()
    image = torch.rand(1, 3, 40, 40).requires_grad_()
    probe(Views(image, [Condition(label=3)]))["dino-linear"].sum().backward()
    assert image.grad is not None and image.grad.isfinite().all() and image.grad.abs().sum() > 0


def test_half_precision_is_near(folder: Path) -> None:
    views = Views(torch.rand(4, 3, 40, 40), [Condition(label=3)] * 4)
    whole, half = (
        DinoLinear(weights=str(folder), dtype=dtype).open()(views)["dino-linear"]
        for dtype in ("float32", "bfloat16")
    )
    assert half.dtype == torch.float32 and not torch.equal(half, whole)
    torch.testing.assert_close(half, whole, atol=0.1, rtol=0)


def test_texts_are_refused_before_anything_is_sampled(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'a red circle' is none; use a model of classes"):
        ns.search("a red circle", verifier=f"dino-linear(weights={folder})",
                  budget="2candidates", out=tmp_path / "run")  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_a_class_that_the_head_has_not_is_refused(folder: Path) -> None:
    probe = DinoLinear(weights=str(folder)).open()
    probe.check([Condition(label=CLASSES - 1)])
    with pytest.raises(ConfigError, match="to class:9, and 'class:10' is none"):
        probe.check([Condition(label=CLASSES)])


def test_what_the_files_lack_is_said(folder: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(10, 7), "bias": torch.zeros(10)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"has a weight of \[10, 7\], but a linear head on this"):
        DinoLinear(weights=str(folder), head=str(tmp_path / "other.pth")).open()
    with pytest.raises(ConfigError, match=r"no file .*lost.pth for the linear head"):
        DinoLinear(weights=str(folder), head=str(tmp_path / "lost.pth")).open()
    with pytest.raises(ConfigError, match="is no DINOv2 "):
        DinoLinear(weights=str(tmp_path / "other.pth")).open()
    alone = folder / "dinov2_tiny_pretrain.pth"
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / alone.name).write_bytes(alone.read_bytes())
    with pytest.raises(ConfigError, match=r"put a config\.json beside it"):
        DinoLinear(weights=str(tmp_path / "alone")).open()
    (tmp_path / "alone" / "config.json").write_text('{"num_attention_heads": 2}')
    with pytest.raises(ConfigError, match="holds a DINOv2 without a linear head"):
        DinoLinear(weights=str(tmp_path / "alone")).open()


def test_published_sizes() -> None:
    """Millions of parameters, as the pages of the published weights count them."""
    cards = [(384, 12, 1536, False, 22.1), (768, 12, 3072, False, 86.6),
             (1024, 24, 4096, False, 304), (1536, 40, 4096, True, 1140)]  # fmt: skip
    for width, depth, hidden, gated, millions in cards:
        with torch.device("meta"):
            network = DinoV2(Sizes(width, depth, width // 64, 14, 37, 0, hidden, gated))
        count = sum(p.numel() for p in network.parameters())
        assert count / 1e6 == pytest.approx(millions, rel=0.005)


def test_the_name_is_known() -> None:
    with pytest.raises(ConfigError, match=r"dino-linear parameter 'heads'.*did you mean 'head'"):
        selection.verifier_of("dino-linear(heads=4)", choice.model_of("shapes"))
