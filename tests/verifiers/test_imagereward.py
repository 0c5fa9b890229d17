"""ImageReward: against the published code's numbers, and by the way that users take."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.testing import VerifierContract
from noisesearch.testing.tiny_blip import SIDE, make_imagereward
from noisesearch.verifiers.blip import imagereward
from noisesearch.verifiers.blip.imagereward import ImageReward, ImageRewardVerifier
from noisesearch.verifiers.protocol import Views
from noisesearch.verifiers.weights import Files

FixtureOf = Callable[[str], dict[str, Tensor]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_imagereward(tmp_path_factory.mktemp("imagereward"))


@pytest.fixture(scope="module")
def tiny(folder: Path) -> ImageRewardVerifier:
    return ImageReward(weights=str(folder)).open()


class TestImageReward(VerifierContract):
    @pytest.fixture
    def verifier(self, tiny: ImageRewardVerifier) -> ImageRewardVerifier:
        return tiny


class Reference:
    """The reference's network and inputs, in float64."""

    def __init__(self, fixture: dict[str, Tensor], path: Path) -> None:
        self.of = fixture
        save_file({n.removeprefix("model."): v for n, v in fixture.items()
                   if n.startswith("model.")}, path)  # fmt: skip
        files = Files("imagereward", str(path), path.parent, (path,))
        self.network = imagereward.network(files, vision_head=16, text_head=16).double()

    def rewards(self, pictures: Tensor, mask: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.network(
                self.network.seen(pictures.double()), self.of["in.input_ids"], mask
            )


@pytest.fixture
def reference(fixture_of: FixtureOf, tmp_path: Path) -> Reference:
    return Reference(fixture_of("imagereward_tiny_reference"), tmp_path / "weights.safetensors")


def test_the_reward_equals_the_reference(reference: Reference) -> None:
    of = reference.of
    got = reference.rewards(of["in.image"], of["in.attention_mask"])
    torch.testing.assert_close(got, of["out.reward_float64"][:, 0], atol=1e-9, rtol=0)
    raw = got * imagereward.STD + imagereward.MEAN
    torch.testing.assert_close(raw, of["out.reward_raw_float64"][:, 0], atol=1e-9, rtol=0)


def test_pictures_and_masks_count_as_in_the_reference(reference: Reference) -> None:
    of = reference.of
    mask = of["in.attention_mask"]
    rolled = reference.rewards(of["in.image"].roll(1, 0), mask)
    unmasked = reference.rewards(of["in.image"], torch.ones_like(mask))
    for got, name in ((rolled, "images_rolled_by_1"), (unmasked, "attention_mask_all_ones")):
        wanted = of[f"out.reward_{name}"][:, 0].double()
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
        assert not torch.allclose(wanted, of["out.reward_float64"][:, 0], atol=1e-4)


def test_what_is_seen_equals_the_reference(reference: Reference) -> None:
    with torch.inference_mode():
        seen = reference.network.seen(reference.of["in.image"].double())
    wanted = reference.of["out.image_embeds"].double()
    torch.testing.assert_close(seen, wanted, atol=1e-5, rtol=0)


def test_it_scores_what_the_published_recipe_scores(tiny: ImageRewardVerifier) -> None:
    """Pillow's resize, the middle square, the prompt in 35 tokens."""
    text, pixels = "a red circle", np.random.default_rng(5).integers(0, 256, (45, 77, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((int(SIDE * 77 / 45), SIDE), Image.Resampling.BICUBIC)
    left = round((picture.width - SIDE) / 2)
    square = np.asarray(picture.crop((left, 0, left + SIDE, SIDE))) / 255
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    deviation = np.array([0.26862954, 0.26130258, 0.27577711])
    normal = torch.from_numpy((square - mean) / deviation).movedim(-1, 0)[None].float()
    words = tiny.tokenizer.convert_ids_to_tokens(tiny.tokenizer(text)["input_ids"])
    assert words == ["[CLS]", "a", "red", "circle", "[SEP]"]
    ids = torch.tensor([tiny.tokenizer.convert_tokens_to_ids(words) + [0] * 30])
    with torch.inference_mode():
        wanted = tiny.network(tiny.network.seen(normal), ids, (ids > 0).long())
        image = torch.from_numpy(pixels).movedim(-1, 0)[None].float() / 255
        got = tiny(Views(image, [Condition(text=text)]))["imagereward"]
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def score(verifier: ImageRewardVerifier, *texts: str | None) -> Tensor:
    """Of one picture."""
    image = torch.linspace(0, 1, 3 * 40 * 48).reshape(1, 3, 40, 48)
    with torch.inference_mode():
        views = Views(image.expand(len(texts), -1, -1, -1), [Condition(text=t) for t in texts])
        return verifier(views)["imagereward"]


def test_the_prompt_counts_and_none_has_no_score(tiny: ImageRewardVerifier) -> None:
    red, blue, none, long = score(tiny, "a red circle", "a blue square", None, "a cat " * 99)
    assert none.isnan() and long.isfinite()
    assert (red - blue).abs() > 1e-3


def test_a_gradient_reaches_the_picture(tiny: ImageRewardVerifier) -> None:
    image = torch.rand(2, 3, 40, 48, generator=torch.Generator().manual_seed(1)).requires_grad_()
    tiny(Views(image, [Condition(text="a red circle")] * 2))["imagereward"].sum().backward()
    assert image.grad is not None and image.grad.isfinite().all()
    assert (image.grad.abs().sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_formats_change_little(folder: Path, tiny: ImageRewardVerifier, dtype: str) -> None:
    texts = "a red circle", "a blue square above a yellow ring", "an old man"
    short = score(ImageReward(weights=str(folder), dtype=dtype).open(), *texts)
    full = score(tiny, *texts)
    assert short.dtype == torch.float32 and not torch.equal(short, full)
    torch.testing.assert_close(short, full, atol=0.1, rtol=0)


def test_the_published_ids_are_found_in_the_cache(
    folder: Path, tiny: ImageRewardVerifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network: the default weights, and the default tokenizer where they have none."""
    published = {"THUDM/ImageReward": ("ImageReward.pt", "med_config.json"),
                 "google-bert/bert-base-uncased": ("vocab.txt",)}  # fmt: skip
    for name, files in published.items():
        place, commit = tmp_path / f"models--{name.replace('/', '--')}", "0" * 40
        (place / "snapshots" / commit).mkdir(parents=True)
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text(commit)
        for file in files:
            (place / "snapshots" / commit / file).symlink_to(folder / file)
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert torch.equal(score(ImageReward().open(), "a cat"), score(tiny, "a cat"))
    with pytest.raises(ConfigError, match=r"'org/words', the tokenizer .* put vocab.txt"):
        ImageReward(tokenizer="org/words").open()
