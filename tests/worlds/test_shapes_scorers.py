"""The learned verifiers: shapes, independence of rows, gradients, weights and what they prefer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.models import choice
from noisesearch.setup import selection
from noisesearch.verifiers.protocol import Views
from noisesearch.worlds.shapes import scorers
from noisesearch.worlds.shapes.prompts import VOCABULARY, tokenize
from noisesearch.worlds.shapes.render import render
from noisesearch.worlds.shapes.scene import Scene, Thing

KINDS = {
    "image-text": scorers.ImageText,
    "preference": scorers.Preference,
    "taste": scorers.Taste,
}
GROUND = (240, 240, 240)


def inputs(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(rows, 3, 32, 32, generator=generator)
    return images, torch.randint(1, len(VOCABULARY), (rows, 16), generator=generator)


def picture(*things: Thing) -> Tensor:
    pixels = render(Scene(things, GROUND))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def words(prompt: str) -> Tensor:
    return torch.from_numpy(np.asarray(tokenize(prompt)))[None]


def test_vocabulary_fits() -> None:
    assert len(VOCABULARY) <= scorers.VOCABULARY_SIZE


@pytest.mark.parametrize("name", sorted(KINDS))
def test_scores_one_number_a_row_and_passes_gradients(name: str) -> None:
    images, tokens = inputs(4)
    images.requires_grad_()
    scores = KINDS[name]().score(images, tokens)
    assert scores.shape == (4,)
    scores.sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_row_does_not_depend_on_its_companions(name: str) -> None:
    net = KINDS[name]().eval()
    ours, others = inputs(8, seed=1), inputs(8, seed=2)
    mixed = [torch.cat([a[:3], b[3:]]) for a, b in zip(ours, others, strict=True)]
    with torch.no_grad():
        assert torch.equal(net.score(*ours)[:3], net.score(*mixed)[:3])


@pytest.mark.parametrize("name", sorted(KINDS))
def test_shipped_weights_load_frozen(name: str) -> None:
    net = scorers.load(name)
    assert not net.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in net.parameters())
    assert sum(p.numel() for p in net.parameters()) < 1_000_000
    assert net.score(*inputs(2)).isfinite().all()
    assert scorers.SCALES[name] > 0


@pytest.mark.parametrize("name", ["image-text", "preference"])
def test_prefers_the_prompt_that_is_right(name: str) -> None:
    net = scorers.load(name)
    circle = Thing("circle", "red", 0.3, 0.5, 0.35)
    image = picture(circle, Thing("square", "blue", 0.7, 0.5, 0.35))
    right = net.score(image, words("a red circle left of a blue square"))
    for wrong in ("a green circle left of a blue square", "a black ring above two teal crosses"):
        assert right > net.score(image, words(wrong))


def test_taste_sees_no_prompt_and_likes_one_big_vivid_thing() -> None:
    net = scorers.load("taste")
    big = picture(Thing("circle", "red", 0.5, 0.5, 0.55))
    poor = picture(*(Thing("cross", "grey", x, 0.2, 0.22) for x in (0.15, 0.4, 0.65, 0.88)))
    assert net.score(big) > net.score(poor) + 1
    assert torch.equal(net.score(big, words("a red circle")), net.score(big))


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="image-text"):
        scorers.load("looks")


def test_self_supervised_by_the_image_tower() -> None:
    """A preview of the sample's own picture is like it, one of another picture less."""
    judge = selection.verifier_of("self-supervised", choice.model_of("shapes"))
    seen = torch.rand(3, 3, 32, 32)
    same, other = (
        judge(Views(seen, [Condition()] * 3, {0.4: previews}))["self-supervised-clip"]
        for previews in (seen, seen.flip(0))
    )
    torch.testing.assert_close(same, torch.ones(3))
    assert other[1] == same[1] and other[0] < 1 - 1e-4
    with pytest.raises(ConfigError, match="compares a sample with its preview at time 0"):
        judge(Views(seen, [Condition()] * 3))
