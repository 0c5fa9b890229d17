"""The Inception network of 2015 and the oracles that look through it.

There is no reference of the network's own outputs here (of its input there is, in
test_preprocess.py), so it is held against what is known of it: names, sizes, and each kind of
block written out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.objectives.sets import Frechet
from noisesearch.testing import VerifierContract
from noisesearch.testing.tiny_vision import SHARE, make_oracle_fid, make_oracle_is
from noisesearch.verifiers.features.inception import (
    BLOCKS,
    Convolution,
    Inception,
    Mixed,
    outputs,
    picture,
)
from noisesearch.verifiers.features.oracle import ClassProbability, Distance, OracleFID, OracleIS
from noisesearch.verifiers.protocol import Views


@pytest.fixture(scope="module")
def whole() -> Inception:
    """Of the published sizes, without numbers."""
    with torch.device("meta"):
        return Inception()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inception")
    make_oracle_is(made), make_oracle_fid(made)
    return made


def test_parameters_are_as_many_as_published(whole: Inception) -> None:
    """torchvision counts 27,161,264 with 1000 outputs and an auxiliary classifier, which has
    convolutions 768→128 (1×1) and 128→768 (5×5), their norms, and a layer 768→1000. Keras counts
    23,851,784 with 1000 outputs, three numbers a channel of the norms, of which we have four."""
    auxiliary = 768 * 128 + 128 * 768 * 25 + 2 * (128 + 768) + 768 * 1000 + 1000
    count = sum(p.numel() for p in whole.parameters())
    channels = sum(len(m.bn.weight) for m in whole.modules() if isinstance(m, Convolution))
    assert count == 27_161_264 - auxiliary + 8 * 2049
    assert count + channels == 23_851_784 + 8 * 2049


def test_names_and_shapes(whole: Inception) -> None:
    """Some of each kind, as the published file has them."""
    known = {
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Conv2d_3b_1x1.bn.running_var": (80,),
        "Conv2d_4a_3x3.conv.weight": (192, 80, 3, 3),
        "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_5c.branch_pool.conv.weight": (64, 256, 1, 1),
        "Mixed_5d.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
        "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
        "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
        "Mixed_6c.branch7x7dbl_2.conv.weight": (160, 160, 7, 1),
        "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
        "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
        "Mixed_7b.branch3x3_2b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch3x3dbl_3a.conv.weight": (384, 384, 1, 3),
        "Mixed_7c.branch_pool.bn.running_mean": (192,),
        "fc.weight": (1008, 2048),
        "fc.bias": (1008,),
    }
    state = whole.state_dict()
    assert {name: tuple(state[name].shape) for name in known} == known
    assert len(state) == 94 * 5 + 2, "94 convolutions, each with its norm, and the last layer"


def test_grids(whole: Inception) -> None:
    """35×35, 17×17 and 8×8 places, as the paper's Table 1 has them."""
    seen = {}
    for name, block in whole.named_children():
        block.register_forward_hook(lambda _, __, out, at=name: seen.update({at: out.shape[1:]}))
    out = whole.features(torch.zeros(2, 3, 299, 299, device="meta"))
    assert out.shape == (2, 2048)
    assert seen["Conv2d_2b_3x3"] == (64, 147, 147) and seen["Conv2d_4a_3x3"] == (192, 71, 71)
    assert [seen[name] for name in BLOCKS] == [
        (256, 35, 35), (288, 35, 35), (288, 35, 35), *[(768, 17, 17)] * 5,
        (1280, 8, 8), (2048, 8, 8), (2048, 8, 8),
    ]  # fmt: skip


def layer(block: Mixed, name: str, x: Tensor, stride: int = 1, pad: tuple[int, int] | int = 0
          ) -> Tensor:  # fmt: skip
    """Convolution, norm and ReLU by their formulas."""
    of = block.get_submodule(name)
    x = F.conv2d(x, of.conv.weight, stride=stride, padding=pad)
    mean, var, weight, bias = (
        v[:, None, None] for v in (of.bn.running_mean, of.bn.running_var, of.bn.weight, of.bn.bias)
    )
    return ((x - mean) / (var + 0.001).sqrt() * weight + bias).relu()


def border_left_out(x: Tensor) -> Tensor:
    """The mean over the places of a 3×3 window that there are."""
    window = torch.ones(x.shape[1], 1, 3, 3, dtype=x.dtype)
    total = F.conv2d(x, window, padding=1, groups=x.shape[1])
    return total / F.conv2d(torch.ones_like(x), window, padding=1, groups=x.shape[1])


def by_hand(name: str, b: Mixed, x: Tensor) -> Tensor:
    def chain(at: Tensor, *steps: tuple[str, int, tuple[int, int] | int]) -> Tensor:
        for which, stride, pad in steps:
            at = layer(b, which, at, stride, pad)
        return at

    if name == "Mixed_5b":
        parts = [
            chain(x, ("branch1x1", 1, 0)),
            chain(x, ("branch5x5_1", 1, 0), ("branch5x5_2", 1, 2)),
            chain(x, ("branch3x3dbl_1", 1, 0), ("branch3x3dbl_2", 1, 1),
                  ("branch3x3dbl_3", 1, 1)),
            layer(b, "branch_pool", border_left_out(x)),
        ]  # fmt: skip
    elif name == "Mixed_6a":
        parts = [
            layer(b, "branch3x3", x, 2),
            chain(x, ("branch3x3dbl_1", 1, 0), ("branch3x3dbl_2", 1, 1),
                  ("branch3x3dbl_3", 2, 0)),
            F.max_pool2d(x, 3, 2),
        ]  # fmt: skip
    elif name == "Mixed_6b":
        parts = [
            chain(x, ("branch1x1", 1, 0)),
            chain(x, ("branch7x7_1", 1, 0), ("branch7x7_2", 1, (0, 3)),
                  ("branch7x7_3", 1, (3, 0))),
            chain(x, ("branch7x7dbl_1", 1, 0), ("branch7x7dbl_2", 1, (3, 0)),
                  ("branch7x7dbl_3", 1, (0, 3)), ("branch7x7dbl_4", 1, (3, 0)),
                  ("branch7x7dbl_5", 1, (0, 3))),
            layer(b, "branch_pool", border_left_out(x)),
        ]  # fmt: skip
    elif name == "Mixed_7a":
        parts = [
            chain(x, ("branch3x3_1", 1, 0), ("branch3x3_2", 2, 0)),
            chain(x, ("branch7x7x3_1", 1, 0), ("branch7x7x3_2", 1, (0, 3)),
                  ("branch7x7x3_3", 1, (3, 0)), ("branch7x7x3_4", 2, 0)),
            F.max_pool2d(x, 3, 2),
        ]  # fmt: skip
    else:
        three = layer(b, "branch3x3_1", x)
        twice = chain(x, ("branch3x3dbl_1", 1, 0), ("branch3x3dbl_2", 1, 1))
        pooled = border_left_out(x) if name == "Mixed_7b" else F.max_pool2d(x, 3, 1, 1)
        parts = [
            layer(b, "branch1x1", x),
            layer(b, "branch3x3_2a", three, pad=(0, 1)),
            layer(b, "branch3x3_2b", three, pad=(1, 0)),
            layer(b, "branch3x3dbl_3a", twice, pad=(0, 1)),
            layer(b, "branch3x3dbl_3b", twice, pad=(1, 0)),
            layer(b, "branch_pool", pooled),
        ]
    return torch.cat(parts, 1)


@pytest.mark.parametrize(
    "name", ["Mixed_5b", "Mixed_6a", "Mixed_6b", "Mixed_7a", "Mixed_7b", "Mixed_7c"]
)
def test_each_kind_of_block_written_out(name: str, folder: Path) -> None:
    network = OracleFID(weights=str(folder)).open().networks[0]
    block = network.get_submodule(name)
    (channels,) = {
        way.conv.in_channels for n, way in block.named_children() if n.endswith(("1x1", "_1"))
    }
    x = torch.rand(2, channels, 9, 11)
    with torch.inference_mode():
        torch.testing.assert_close(block(x), by_hand(name, block, x), atol=1e-5, rtol=1e-5)


class TestOracleIS(VerifierContract):
    @pytest.fixture
    def verifier(self, folder: Path) -> ClassProbability:
        return OracleIS(weights=str(folder)).open()

    @pytest.fixture
    def conditions(self) -> list[Condition]:
        return [Condition(label=i) for i in range(8)]


class TestOracleFID(VerifierContract):
    @pytest.fixture
    def verifier(self, folder: Path) -> Distance:
        return OracleFID(weights=str(folder), reference=str(folder / "statistics.npz")).open()


def test_the_probability_is_that_of_the_class(folder: Path) -> None:
    """Through the label map, whose order is not that of the classes; the bias is left out."""
    oracle = OracleIS(weights=str(folder)).open()
    assert oracle.outputs == tuple(3 + 7 * i % 10 for i in range(10))
    views = Views(torch.rand(2, 3, 50, 40), [Condition(label=2), Condition()])
    x = oracle.network.features(picture(views.images))
    wanted = (x @ oracle.network.fc.weight.T).softmax(1)
    got = oracle(views)["oracle-is"]
    torch.testing.assert_close(got[0], wanted[0, 3 + 14 % 10])
    assert got[1].isnan() and oracle.network.fc.bias.abs().sum() > 1


def test_the_distance_is_that_of_a_set_of_one(folder: Path) -> None:
    """By the same formula as the objective of sets, whose covariance is then zero."""
    oracle = OracleFID(weights=str(folder), reference=str(folder / "statistics.npz")).open()
    views = Views(torch.rand(3, 3, 50, 40), [Condition()] * 3)
    assert oracle.reference is not None
    objective = Frechet("oracle-fid", *oracle.reference)
    rows = oracle.features(views).double().numpy()
    wanted = [objective.value(objective.joined(None, row[None])) for row in rows]
    np.testing.assert_allclose(oracle(views)["oracle-fid"].numpy(), wanted, rtol=1e-5)
    assert rows.shape == (3, 2048 // SHARE)


def test_scale_is_the_deviation_of_real_images(folder: Path) -> None:
    """By 200,000 draws from the normal distribution that it takes them for."""
    oracle = OracleFID(weights=str(folder), reference=str(folder / "statistics.npz")).open()
    assert oracle.reference is not None
    _, covariance = oracle.reference
    values = np.linalg.eigvalsh(covariance).clip(0)
    draws = np.random.default_rng(5).standard_normal((200_000, len(values))) ** 2 @ values
    assert oracle.scale["oracle-fid"] == pytest.approx(draws.std(), rel=0.02)


def test_gradients_reach_the_image(folder: Path) -> None:
    for verifier in (
        OracleIS(weights=str(folder)).open(),
        OracleFID(weights=str(folder), reference=str(folder / "statistics.npz")).open(),
    ):
        image = torch.rand(1, 3, 40, 40).requires_grad_()
        verifier(Views(image, [Condition(label=3)]))[verifier.name].sum().backward()
        assert image.grad is not None and image.grad.isfinite().all()
        assert image.grad.abs().sum() > 0


def test_the_network_looks_once_for_both(folder: Path) -> None:
    probability, distance = (kind(weights=str(folder)).open() for kind in (OracleIS, OracleFID))
    calls = []
    hook = probability.network.Conv2d_1a_3x3.register_forward_hook(lambda *_: calls.append(1))
    views = Views(torch.rand(2, 3, 20, 20), [Condition(label=1)] * 2)
    probability(views), distance.features(views)
    hook.remove()
    assert len(calls) == 1


def test_without_a_reference_there_are_features_alone(folder: Path) -> None:
    """A population is chosen by them, with the statistics in the objective or in the verifier."""
    # By its module: on a world the short name means the world's own.
    kind = "noisesearch.verifiers.features.oracle:OracleFID"
    verifier = f"{kind}(weights={folder / 'pt_inception_tiny.pth'})"
    told = f"{kind}(weights={folder}, reference={folder / 'statistics.npz'})"
    values = []
    for name, objective in (
        (verifier, f"frechet(oracle-fid, reference={folder / 'statistics.npz'})"),
        (told, "frechet(oracle-fid)"),
    ):
        found = ns.search(["bag", "coat"], model="fashion-small", algorithm="population",
                          verifier=name, objective=objective, budget="4candidates",
                          steps=1)  # fmt: skip
        assert found.population is not None
        assert found.population["winner"] >= found.population["baseline"]
        values.append(found.population["winner"])
    assert values[0] == values[1]


def test_label_maps(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("4 2\n7\n")
    assert outputs(plain) == (4, 2, 7)
    for text in ("", "4 4", "4 1008", "4 two"):
        plain.write_text(text)
        with pytest.raises(ConfigError, match="gives no output of its own, below 1008"):
            outputs(plain)
    with pytest.raises(ConfigError, match=r"cannot be read .* or a text file with the number"):
        outputs(tmp_path / "none")


def test_what_is_lacking_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="are on no hub; download pt_inception"):
        OracleIS().open()
    alone = tmp_path / "pt_inception.pth"
    alone.write_bytes((folder / "pt_inception_tiny.pth").read_bytes())
    with pytest.raises(ConfigError, match="needs classes=FILE, since the network's 1008 outputs"):
        OracleIS(weights=str(alone)).open()
    np.savez(tmp_path / "other.npz", mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(ConfigError, match="is of 3 features, but verifier 'oracle-fid' sees 256"):
        OracleFID(weights=str(alone), reference=str(tmp_path / "other.npz")).open()
    state = torch.load(alone, weights_only=True)
    state["fc.weight"] = state["fc.weight"][:1000]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(ConfigError, match=r"is \[1000, 256\] and must be \[1008, 256\]"):
        OracleFID(weights=str(tmp_path / "cut.pth")).open()
    with pytest.raises(ConfigError, match="'a red circle' is none"):
        OracleIS(weights=str(folder)).open().check([Condition(text="a red circle")])
