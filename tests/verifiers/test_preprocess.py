"""What the verifiers' pictures go through, against the published transforms' outputs."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from noisesearch.verifiers import preprocess as p

SIZES = ["50x45", "45x77", "20x20", "90x64"]


def dinov2(x: Tensor) -> Tensor:
    square = p.center_crop(p.pillow_shorter_side(x, 36), 32)
    return p.normalise(square, p.IMAGENET_MEAN, p.IMAGENET_STD)


def every_seventh(x: Tensor) -> Tensor:
    return p.normalise(x, p.IMAGENET_MEAN, p.IMAGENET_STD)[:, :, ::7, ::7]


def hpsv2(x: Tensor, antialias: bool) -> Tensor:
    return p.normalise(p.longest_side_padded(x, 32, antialias), p.CLIP_MEAN, p.CLIP_STD)


TRANSFORMS = {
    "imagereward_transform32": lambda x: p.clip_picture(x, 32),
    "hf_clip_image_processor32": lambda x: p.clip_picture(x, 32, floor=True),
    "t2i_blipvqa_transform32": lambda x: p.normalise(
        p.pillow_resize(x, 32, 32), p.CLIP_MEAN, p.CLIP_STD
    ),
    "dinov2_eval_resize36_crop32": dinov2,
    "hpsv2_val_transform32_antialias_True": lambda x: hpsv2(x, True),
    "hpsv2_val_transform32_antialias_False": lambda x: hpsv2(x, False),
    "torchfidelity_inception_input29": lambda x: (
        (p.tensorflow_bilinear(x, 29, 29) * 255 - 128) / 128
    ),
    "edm2_dinov2_input224_torch_every7th": lambda x: every_seventh(p.tensor_resize(x, 224, 224)),
    "edm2_dinov2_input224_pil_every7th": lambda x: every_seventh(p.pillow_resize(x, 224, 224)),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform_equals_the_reference(name: str, size: str, fixture_of) -> None:
    reference = fixture_of("preprocessing_tiny")
    if f"{name}.{size}" not in reference:
        assert name.startswith("edm2") and size == "45x77", "the one that the reference leaves out"
        return
    image = reference[f"in.{size}"].permute(2, 0, 1)[None].float() / 255
    torch.testing.assert_close(
        TRANSFORMS[name](image)[0], reference[f"{name}.{size}"], atol=2e-6, rtol=0
    )


@pytest.mark.parametrize("filter", ["bicubic", "bilinear"])
def test_resize_is_pillows_to_the_bit(filter: str) -> None:
    draw = np.random.default_rng(3)
    for _ in range(100):
        before, after = draw.integers(5, 90, 2), draw.integers(5, 90, 2)
        pixels = draw.integers(0, 256, (*before, 3), dtype=np.uint8)
        image = torch.from_numpy(pixels).movedim(-1, 0)[None].float() / 255
        got = (p.pillow_resize(image, *after.tolist(), filter) * 255).round()[0].movedim(0, -1)
        how = getattr(Image.Resampling, filter.upper())
        wanted = np.asarray(Image.fromarray(pixels).resize((after[1], after[0]), how))
        assert np.array_equal(got.numpy(), wanted), (before, after)


def test_a_gradient_passes_the_rounding() -> None:
    image = torch.linspace(0.2, 0.8, 3 * 40 * 30).reshape(1, 3, 40, 30).requires_grad_()
    p.clip_picture(image, 16).sum().backward()
    assert image.grad is not None and image.grad.isfinite().all()
    # A square of 16 of 21 rows is kept: the outermost rows are in nobody's reach.
    seen = image.grad.abs().sum((0, 1))
    assert (seen[10:30].sum(1) > 0).all() and seen[0].sum() == 0


@pytest.mark.parametrize("resize", [p.pillow_resize, p.tensorflow_bilinear])
def test_a_gradient_after_scores_without(resize) -> None:
    """What is kept from a call in inference mode must serve one that is differentiated."""
    image = torch.rand(1, 3, 23, 19)
    with torch.inference_mode():
        resize(image, 7, 5)
    image.requires_grad_()
    resize(image, 7, 5).sum().backward()
    assert image.grad is not None and image.grad.isfinite().all()
