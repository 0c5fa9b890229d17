"""The generator's network: shapes, independence of rows, caching, gradients, weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from noisesearch.worlds.shapes import network
from noisesearch.worlds.shapes.network import SIZES, ShapesTransformer, TransformerConfig

TINY = TransformerConfig(width=32, depth=2, heads=2)


@pytest.fixture(scope="module")
def tiny() -> ShapesTransformer:
    """A small network whose zero-initialised layers have been moved off zero."""
    torch.manual_seed(0)
    net = ShapesTransformer(TINY)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net


def inputs(rows: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(rows, 3, 32, 32, generator=generator),
        torch.rand(rows, generator=generator),
        torch.randint(TINY.vocabulary, (rows, 16), generator=generator),
    )


@pytest.mark.parametrize("half", [False, True])
def test_prediction_has_the_shape_of_the_image(tiny: ShapesTransformer, half: bool) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        clean = tiny(*inputs(5))
    assert clean.shape == (5, 3, 32, 32)
    assert clean.dtype == torch.float32
    assert clean.isfinite().all()


@pytest.mark.parametrize("half", [False, True])
def test_a_row_does_not_depend_on_its_companions(tiny: ShapesTransformer, half: bool) -> None:
    ours, others = inputs(8, seed=1), inputs(8, seed=2)
    mixed = [torch.cat([a[:3], b[3:]]) for a, b in zip(ours, others, strict=True)]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        assert torch.equal(tiny(*ours)[:3], tiny(*mixed)[:3])


@pytest.mark.parametrize("half", [False, True])
def test_cached_context_gives_the_same_as_tokens(tiny: ShapesTransformer, half: bool) -> None:
    x, t, tokens = inputs(4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        context = tiny.encode(tokens)
        assert context.shape == (4, 16, TINY.width)
        assert torch.equal(tiny(x, t, context), tiny(x, t, tokens))


def test_time_and_prompt_matter(tiny: ShapesTransformer) -> None:
    x, t, tokens = inputs(2)
    clean = tiny(x, t, tokens)
    assert not torch.allclose(clean, tiny(x, 1 - t, tokens))
    assert not torch.allclose(clean, tiny(x, t, tokens.flip(1)))


def test_gradient_reaches_the_image(tiny: ShapesTransformer) -> None:
    x, t, tokens = inputs(2)
    x.requires_grad_()
    tiny(x, t, tokens).square().mean().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


def test_patches_are_cut_and_put_back(tiny: ShapesTransformer) -> None:
    images = torch.randn(2, 3, 32, 32)
    patches = tiny.patchify(images)
    assert patches.shape == (2, 64, 48)
    assert torch.equal(tiny.unpatchify(patches), images)
    assert torch.equal(patches[0, 9].view(3, 4, 4), images[0, :, 4:8, 4:8])


def test_written_weights_are_read_back(tiny: ShapesTransformer, tmp_path: Path) -> None:
    network.save(tiny, tmp_path / "tiny.safetensors")
    again = network.load_file(tmp_path / "tiny.safetensors")
    assert again.config == TINY
    with torch.no_grad():
        torch.testing.assert_close(again(*inputs(3)), tiny(*inputs(3)), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("name", sorted(SIZES))
def test_shipped_weights_load_frozen(name: str) -> None:
    net = network.load(name)
    assert net.config == SIZES[name]
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())
    with torch.no_grad():
        assert net(*inputs(2)).isfinite().all()


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="shapes-small"):
        network.load("shapes-huge")
