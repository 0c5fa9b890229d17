"""CLIP's verifiers: what they owe to every search, and what is computed how often."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.testing import VerifierContract, tiny_clip
from noisesearch.verifiers.clip.aesthetic import Aesthetic
from noisesearch.verifiers.clip.scores import ClipScore
from noisesearch.verifiers.preprocess import CLIP_MEAN, CLIP_STD
from noisesearch.verifiers.protocol import Views

transformers = pytest.importorskip("transformers")

MAKERS = {
    "clipscore": tiny_clip.make_clipscore,
    "pickscore": tiny_clip.make_pickscore,
    "hpsv2": tiny_clip.make_hpsv2,
    "clip-zeroshot": tiny_clip.make_clip_zeroshot,
    "aesthetic": tiny_clip.make_aesthetic,
}
TEXTS = ["a red circle", "a blue square above a yellow ring", "a red circle"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Callable[[str], Any]:
    """The settings of a tiny verifier, its files written once."""
    known: dict[str, Any] = {}

    def make(name: str) -> Any:
        if name not in known:
            known[name] = MAKERS[name](tmp_path_factory.mktemp(name))
        return known[name]

    return make


@pytest.fixture
def pixels() -> np.ndarray:
    """[3, 50, 45, 3]: of the longer side 35 are left, so a margin of 3 is to be halved."""
    return np.random.default_rng(5).integers(0, 256, (3, 50, 45, 3), dtype=np.uint8)


@pytest.fixture
def views(pixels) -> Views:
    images = torch.from_numpy(pixels).movedim(-1, 1).float() / 255
    return Views(images, [Condition(text=text) for text in TEXTS])


class TestClip(VerifierContract):
    @pytest.fixture(params=MAKERS)
    def verifier(self, request, made):
        return made(request.param).open()

    def test_a_gradient_reaches_the_image(self, verifier, views) -> None:
        """After scores in inference mode, as in a search."""
        with torch.inference_mode():
            before = verifier(views)[verifier.name].clone()
        images = views.images.clone().requires_grad_()
        scores = verifier(Views(images, views.conditions))[verifier.name]
        scores.sum().backward()
        assert verifier.differentiable
        assert torch.allclose(scores, before, atol=1e-6)
        assert images.grad.isfinite().all() and (images.grad.abs().amax((1, 2, 3)) > 0).all()

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_half_precision(self, verifier, made, views, dtype) -> None:
        half = made(verifier.name).model_copy(update={"dtype": dtype}).open()
        with torch.inference_mode():
            whole, rough = (v(views)[v.name] for v in (verifier, half))
        assert next(half.networks[0].parameters()).dtype == getattr(torch, dtype)
        assert rough.dtype == torch.float32 and not torch.equal(rough, whole)
        assert torch.allclose(rough, whole, rtol=0.05, atol=0.02)


def test_without_a_text_there_is_no_score(made, views) -> None:
    verifier = made("clipscore").open()
    conditions = [Condition(label=3), Condition(), views.conditions[2]]
    with torch.inference_mode():
        scores = verifier(replace(views, conditions=conditions, memo={}))["clipscore"]
    assert scores.isnan().tolist() == [True, True, False]
    verifier.check(views.conditions)
    with pytest.raises(ConfigError, match=r"none of the condition class:3; use a model of texts"):
        verifier.check(conditions)


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True)


def by_hand(folder: str, pictures: Tensor, texts: list[str]) -> tuple[Tensor, float]:
    """(cosines of pairs, exp(logit_scale)) by transformers' whole model."""
    network = transformers.CLIPModel.from_pretrained(folder).eval()
    words = transformers.CLIPTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        out = network(pixel_values=pictures, **words(texts, padding=True, return_tensors="pt"))
    images, meant = unit(out.image_embeds), unit(out.text_embeds)
    return (images * meant).sum(1), math.exp(network.logit_scale.item())


def torchvision_crop(pixels: np.ndarray) -> Tensor:
    """Its Resize(32, bicubic), CenterCrop(32), ToTensor and Normalize, in Pillow's own hands."""
    height, width = (int(32 * side / min(pixels.shape[1:3])) for side in pixels.shape[1:3])
    top, left = round((height - 32) / 2), round((width - 32) / 2)
    squares = [
        Image.fromarray(one)
        .resize((width, height), Image.Resampling.BICUBIC)
        .crop((left, top, left + 32, top + 32))
        for one in pixels
    ]
    whole = (np.stack([np.asarray(square) for square in squares]) / 255 - CLIP_MEAN) / CLIP_STD
    return torch.from_numpy(whole).movedim(-1, 1).float()


def test_clipscore_by_hand(made, pixels, views) -> None:
    settings = made("clipscore")
    texts = [f"A photo depicts {text}" for text in TEXTS]
    cosines, _ = by_hand(settings.weights, torchvision_crop(pixels), texts)
    got = settings.open()(views)["clipscore"]
    assert torch.allclose(got, 2.5 * cosines.clamp_min(0), atol=1e-5)
    assert (got > 0).all() and got[0] != got[2]


def test_pickscore_by_hand(made, pixels, views) -> None:
    settings = made("pickscore")
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    pictures = processor(list(pixels), return_tensors="pt").pixel_values
    cosines, temperature = by_hand(settings.weights, pictures, TEXTS)
    got = settings.open()(views)["pickscore"]
    assert torch.allclose(got, temperature * cosines, atol=1e-4)


@pytest.mark.parametrize("antialias", [True, False])
def test_hpsv2_sees_the_whole_picture_between_borders(made, views, antialias) -> None:
    small = nn.functional.interpolate(
        views.images, (32, 29), mode="bicubic", antialias=antialias, align_corners=False
    )
    square = nn.functional.pad(small, (1, 2))
    verifier = made("hpsv2").model_copy(update={"antialias": antialias}).open()
    got, wanted = verifier(views), verifier(Views(square, views.conditions))
    assert torch.allclose(got["hpsv2"], wanted["hpsv2"], atol=1e-6)


def test_aesthetic_by_hand(made, pixels, views) -> None:
    settings = made("aesthetic")
    network = transformers.CLIPModel.from_pretrained(settings.backbone).eval()
    with torch.inference_mode():
        seen = unit(network.get_image_features(torchvision_crop(pixels)).pooler_output)
        (path,) = Path(settings.weights).glob("*.pth")
        head = torch.load(path, weights_only=True)
        for layer in (0, 2, 4, 6, 7):
            seen = seen @ head[f"layers.{layer}.weight"].T + head[f"layers.{layer}.bias"]
    got = settings.open()(views)["aesthetic"]
    assert torch.allclose(got, seen[:, 0], atol=1e-6)


def test_a_long_text_is_cut_and_still_ends(made, views) -> None:
    verifier = made("clipscore").open()
    words = "a red circle and " * 40
    conditions = [Condition(text=words + end) for end in ("one star", "two balls", "")]
    scores = verifier(Views(views.images[:1].expand(3, -1, -1, -1), conditions))["clipscore"]
    assert scores.isfinite().all() and len(set(scores.tolist())) == 1


class Counter:
    """How often a module runs."""

    def __init__(self, module: nn.Module) -> None:
        self.count = 0
        module.register_forward_hook(self)

    def __call__(self, *_: Any) -> None:
        self.count += 1


def test_two_verifiers_look_once_through_one_tower(made, views) -> None:
    clip = made("clipscore")
    head = made("aesthetic")
    score = clip.open()
    beauty = Aesthetic(weights=head.weights, backbone=clip.weights).open()
    assert score.image_tower.network is beauty.image_tower.network
    looks = Counter(score.image_tower.network)
    together = {**score(views), **beauty(views)}
    assert looks.count == 1
    alone = {**score(replace(views, memo={})), **beauty(replace(views, memo={}))}
    assert looks.count == 3
    assert all(torch.equal(alone[part], together[part]) for part in alone)
    # Another crop is another picture.
    other = replace(score, picture=made("pickscore").open().picture)
    assert not torch.equal(other(views)["clipscore"], together["clipscore"])
    assert looks.count == 4


def test_a_text_is_read_once(tmp_path: Path, views) -> None:
    verifier = tiny_clip.make_clipscore(tmp_path).open()
    reads = Counter(verifier.text_tower.network.text_model)
    first = verifier(views)["clipscore"]
    again = verifier(replace(views, memo={}))["clipscore"]
    assert reads.count == 2, "two texts, of which one is there twice"
    assert torch.equal(first, again)
    assert ClipScore(weights=str(tmp_path)).open().text_tower.network is (
        verifier.text_tower.network
    )
