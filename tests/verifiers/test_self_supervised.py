"""How like previews are to their samples, by three networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.models import choice
from noisesearch.setup import selection
from noisesearch.testing import VerifierContract
from noisesearch.testing.tiny_vision import make_self_supervised
from noisesearch.testing.verifier import shown
from noisesearch.verifiers import preprocess as p
from noisesearch.verifiers.features.dino import DinoLinear
from noisesearch.verifiers.features.dino import picture as dino_picture
from noisesearch.verifiers.features.self_supervised import DEFAULTS, SelfSupervised, Similarity
from noisesearch.verifiers.protocol import Views

NETWORKS = ("clip", "dino", "siglip")
Opened = Mapping[str, Similarity]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    pytest.importorskip("transformers")
    made = {network: tmp_path_factory.mktemp(network) for network in NETWORKS}
    for network, folder in made.items():
        make_self_supervised(folder, network)  # type: ignore[arg-type]
    return made


@pytest.fixture(scope="module")
def opened(folders: Mapping[str, Path]) -> Opened:
    return {network: SelfSupervised(network=network, weights=str(folder)).open()  # type: ignore[arg-type]
            for network, folder in folders.items()}  # fmt: skip


class TestClip(VerifierContract):
    @pytest.fixture
    def verifier(self, opened: Opened) -> Similarity:
        return opened["clip"]


class TestDino(VerifierContract):
    @pytest.fixture
    def verifier(self, opened: Opened) -> Similarity:
        return opened["dino"]


class TestSiglip(VerifierContract):
    @pytest.fixture
    def verifier(self, opened: Opened) -> Similarity:
        return opened["siglip"]


def views(rows: int = 3, side: int = 48) -> Views:
    """Samples and previews that have little to do with them."""
    generator = torch.Generator().manual_seed(5)
    images, previews = torch.rand(2, rows, 3, side, side, generator=generator)
    return Views(images, [Condition(text="a cat")] * rows, {0.4: previews})


def by_transformers(network: str, folder: Path) -> Callable[[Tensor], Tensor]:
    """The features of images by transformers' whole model, as it loads its own files."""
    transformers = pytest.importorskip("transformers")
    kind = {"clip": "CLIP", "siglip": "Siglip"}[network]
    model = getattr(transformers, f"{kind}Model").from_pretrained(str(folder)).eval()

    def look(images: Tensor) -> Tensor:
        if network == "clip":
            pixels = p.clip_picture(images, 32)
        else:
            pixels = p.pillow_resize(images, 32, 32) * 2 - 1
        found: Tensor = model.get_image_features(pixel_values=pixels).pooler_output
        return found

    return look


@pytest.mark.parametrize("network", ["clip", "siglip"])
def test_towers_are_those_of_transformers(
    network: str, folders: Mapping[str, Path], opened: Opened
) -> None:
    look, of = by_transformers(network, folders[network]), views()
    with torch.inference_mode():
        one, two = look(of.previews[0.4]), look(of.images)
        # Of CLIP they are unit vectors, as its other verifiers share them.
        whole = F.normalize(two, dim=1) if network == "clip" else two
        torch.testing.assert_close(opened[network].features(of), whole, atol=1e-6, rtol=1e-5)
        got = opened[network](of)[f"self-supervised-{network}"]
    wanted = (one * two).sum(1) / (one.norm(dim=1) * two.norm(dim=1))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_dino_is_the_last_class_token(opened: Opened) -> None:
    of, (network,) = views(), opened["dino"].networks
    with torch.inference_mode():
        one, two = (network(dino_picture(x))[0][-1] for x in (of.previews[0.4], of.images))
        got = opened["dino"](of)["self-supervised-dino"]
    torch.testing.assert_close(got, F.cosine_similarity(one, two), atol=1e-5, rtol=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_preview_that_is_the_sample_is_best(network: str, opened: Opened) -> None:
    """1 is the most there is, and what has little to do with the sample has less."""
    of, verifier = views(), opened[network]
    same = Views(of.images, of.conditions, {0.4: of.images})
    best, other = verifier(same)[verifier.name], verifier(of)[verifier.name]
    torch.testing.assert_close(best, torch.ones(3), atol=1e-5, rtol=0)
    assert (other < best - 1e-4).all()
    assert verifier.previews == (0.4,) and verifier.whole_only


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_reach_sample_and_preview(network: str, opened: Opened) -> None:
    plain = views(1)
    image, preview = (x.requires_grad_() for x in (plain.images, plain.previews[0.4]))
    opened[network](plain)[f"self-supervised-{network}"].sum().backward()
    for of in (image, preview):
        assert of.grad is not None and of.grad.isfinite().all() and of.grad.abs().sum() > 0


def test_what_others_saw_is_not_looked_at_again(
    folders: Mapping[str, Path], tmp_path: Path
) -> None:
    """The sample once for dino-linear and this, the preview once for two of this."""
    folder = folders["dino"]
    head = tmp_path / "head.pth"
    torch.save({"weight": torch.randn(10, 64), "bias": torch.zeros(10)}, head)
    probe = DinoLinear(weights=str(folder), head=str(head)).open()
    twice = [SelfSupervised(weights=str(folder)).open() for _ in range(2)]
    calls: list[int] = []
    hook = probe.network.register_forward_hook(lambda *_: calls.append(1))
    of = shown(twice[0], views().images, [Condition(label=2)] * 3)
    probe(of), [one(of) for one in twice]
    hook.remove()
    assert len(calls) == 2


def test_another_time(folders: Mapping[str, Path]) -> None:
    verifier = SelfSupervised(weights=str(folders["dino"]), time=0.7).open()
    assert verifier.previews == (0.7,)
    with pytest.raises(ConfigError, match=r"preview at time 0\.7, and there is none: .* use a"):
        verifier(views())


def test_what_cannot_be_is_said(folders: Mapping[str, Path], tmp_path: Path) -> None:
    model = choice.model_of("shapes-small")

    def opening(**given: Any) -> None:
        inside = ", ".join(f"{name}={value}" for name, value in given.items())
        selection.verifier_of(
            f"noisesearch.verifiers.features.self_supervised:SelfSupervised({inside})", model
        )

    with pytest.raises(ConfigError, match="network: input should be 'clip', 'dino' or 'siglip'"):
        opening(network="inception")
    with pytest.raises(ConfigError, match="time: input should be less than 1"):
        opening(time=1)
    with pytest.raises(ConfigError, match=r"is of a network of type .siglip., but"):
        opening(network="clip", weights=folders["siglip"])
    with pytest.raises(ConfigError, match=r"no file or folder .*/none"):
        opening(weights=tmp_path / "none")
    assert set(DEFAULTS) == set(get_args(SelfSupervised.model_fields["network"].annotation))
