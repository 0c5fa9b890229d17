"""The world fashion: what ships, what does not, and that a search on it gains."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.models import choice
from noisesearch.models.sit.config import SiTConfig
from noisesearch.names import registry
from noisesearch.setup import selection
from noisesearch.verifiers.protocol import Views
from noisesearch.worlds.fashion import data, networks
from noisesearch.worlds.fashion.verifiers import SCALES

MODELS = ("fashion", "fashion-medium", "fashion-small")
ROLES = ("oracle-is", "dino-linear", "clip-zeroshot", "checker")
there = pytest.mark.usefixtures("fashion_data")


@pytest.mark.parametrize("name", MODELS)
def test_the_three_sizes_are_published_sit_networks(name: str) -> None:
    """Catches weights that the public loader of checkpoints does not read."""
    model = choice.model_of(name)
    assert name in registry.names("model") and model.size == (28, 28)
    assert model.words() == data.CLASSES
    config = model.config  # type: ignore[attr-defined]
    assert isinstance(config, SiTConfig) and config.num_classes == 10 and config.null_class
    assert model.condition("ankle boot") == model.condition("class:9") == Condition(label=9)


def test_sizes_differ_as_they_say() -> None:
    flops = [choice.model_of(name).build(1.0, "cpu", "float32").flops for name in MODELS]
    assert flops[0] > 2 * flops[1] > 4 * flops[2]


def images(label: int, count: int = 8) -> torch.Tensor:
    """Samples without search."""
    found = [ns.search(f"class:{label}", model="fashion", verifier="checker", algorithm="random",
                       budget="1candidates", seed=seed, steps=6)
             for seed in range(count)]  # fmt: skip
    pixels = np.stack([np.asarray(one.baseline.image.convert("RGB")) for one in found])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def test_verifiers_know_the_class_that_was_asked_for() -> None:
    """Of samples of sneakers, each network finds more of a sneaker than of a shirt."""
    seen = images(7)
    model = choice.model_of("fashion")
    for role in ROLES:
        judge = selection.verifier_of(role, model)
        right, wrong, none = (
            judge(Views(seen, [condition] * len(seen)))[role]
            for condition in (Condition(label=7), Condition(label=6), Condition())
        )
        assert (right > wrong).all() and none.isnan().all()
        assert judge.scale == {role: SCALES[role]}


def test_networks_are_unlike_each_other() -> None:
    """They play different people's verifiers: other shapes, other weights, other features."""
    loaded = [networks.load(kind) for kind in networks.KINDS]
    assert len({type(network) for network in loaded}) == 3
    assert len({sum(p.numel() for p in n.parameters()) for n in loaded}) == 3


@there
@pytest.mark.parametrize("kind", networks.KINDS)
def test_networks_read_the_real_test_set(kind: str) -> None:
    """1,000 of its pictures; the figures of all 10,000 are in training/README.md."""
    pictures, labels = data.load("test")
    with torch.no_grad():
        some = torch.tensor(pictures[:1000])[:, None].float() / 255
        found = networks.load(kind).logits(some).argmax(1)
    assert (found.numpy() == labels[:1000]).mean() > 0.89


def test_the_distance_of_one_picture_needs_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reference ships; samples are nearer to real pictures than noise is, and a set's distance
    is by the same reference."""
    monkeypatch.setenv(data.VARIABLE, "/nowhere")
    judge = selection.verifier_of("oracle-fid", choice.model_of("fashion"))
    seen = images(7, 4)
    near, far = (
        judge(Views(some, [Condition()] * 4))["oracle-fid"]
        for some in (seen, torch.rand_like(seen))
    )
    assert (near > 2 * far).all() and judge.scale == {"oracle-fid": SCALES["oracle-fid"]}
    found = ns.search(["bag", "coat"], model="fashion-small", algorithm="population", steps=1,
                      verifier="oracle-fid", objective="frechet(oracle-fid)",
                      budget="4candidates")  # fmt: skip
    assert found.population is not None and found.population["winner"] < 0


@there
def test_the_reference_is_that_of_the_data() -> None:
    """Of 1,000 of the 60,000 pictures, to the error of the sample."""
    judge = selection.verifier_of("oracle-fid", choice.model_of("fashion"))
    mean, covariance = judge.reference  # type: ignore[attr-defined]
    grey = torch.tensor(data.load("train")[0][::60])[:, None].float() / 255
    with torch.no_grad():
        seen = networks.load("inception").features(grey).double().numpy()
    assert np.abs(seen.mean(0) - mean).max() < 0.08
    assert np.trace(np.cov(seen, rowvar=False)) == pytest.approx(np.trace(covariance), rel=0.08)


@pytest.mark.parametrize("network", ["dino", "clip"])
def test_self_supervised_by_the_worlds_own_networks(network: str) -> None:
    model = choice.model_of("fashion-small")
    judge = selection.verifier_of(f"self-supervised(network={network})", model)
    seen = torch.rand(3, 1, 28, 28).expand(-1, 3, -1, -1)
    part = f"self-supervised-{network}"
    same = judge(Views(seen, [Condition()] * 3, {0.4: seen}))[part]
    other = judge(Views(seen, [Condition()] * 3, {0.4: seen.flip(0)}))[part]
    torch.testing.assert_close(same, torch.ones(3))
    assert other[1] == same[1] and other[0] < 1 - 1e-4 and other[2] < 1 - 1e-4
    if network == "dino":
        of = networks.load("dino")
        token = of.features(seen[:, :1])[:, :64]
        wanted = torch.nn.functional.cosine_similarity(token, token.flip(0))
        torch.testing.assert_close(other, wanted)


@there
def test_real_images_are_of_the_conditions_in_turn() -> None:
    model = choice.model_of("fashion")
    found = model.real([Condition(label=3), Condition(label=8)], 6)  # type: ignore[attr-defined]
    pictures, labels = data.load("train")
    known = {p.tobytes(): label for p, label in zip(pictures[:200], labels[:200], strict=True)}
    got = [known[(f[0] * 255).round().byte().numpy().tobytes()] for f in found]
    assert found.shape == (6, 3, 28, 28) and got == [3, 8] * 3


def test_data_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match="apt install dataset-fashion-mnist, or put its four"):
        choice.model_of("fashion").real([Condition(label=3)], 2)  # type: ignore[attr-defined]
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\3none"))
    with pytest.raises(ConfigError, match="is not an idx file of bytes"):
        data.load("train")


def test_a_search_finds_more_of_the_class(tmp_path: Path) -> None:
    """Under the one verifier it is led by and, on the whole, under one that it does not see."""
    names = ["shirt", "coat", "bag", "dress"]
    found = ns.search(names, model="fashion", verifier="clip-zeroshot", watch="dino-linear",
                      algorithm="random", budget="8candidates", steps=6,
                      out=tmp_path / "run")  # fmt: skip
    assert all(one.winner.score > one.baseline.score for one in found)
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert spec["model"] == "fashion" and spec["size"] == ""
