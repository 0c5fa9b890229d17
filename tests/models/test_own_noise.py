"""The user's own first noise of a diffusers pipeline: as it draws it, and as it packs it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from black_boxes import GIVEN
from own_noise import ALL, PROMPTS, differ, search

from noisesearch import ConfigError
from noisesearch.candidates.condition import Condition
from noisesearch.models.diffusers.flux import pack
from noisesearch.models.pipelines import from_object
from noisesearch.setup.request import Request
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness

# Of a scheduler, written for an older numpy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("name", ALL)
def test_the_baseline_is_what_the_pipeline_makes_of_the_seed(name: str) -> None:
    pipeline = tiny_pipeline(name)
    model = from_object(pipeline).sized(64, 32)
    found = search(PROMPTS, pipeline, size="64x32", start_seed=1234)
    for prompt, each in zip(PROMPTS, found, strict=True):
        told = model.pipeline_form.arguments(Condition(text=prompt), model.guidance)
        (image,) = pipeline(
            **told, num_inference_steps=4, generator=torch.Generator().manual_seed(1234)
        ).images
        assert differ(image, each.baseline.image) <= 1


class Drawn(Exception):
    """The pipeline's own noise, and nothing after it."""


def drawn(pipeline: Any, told: dict[str, Any], seed: int) -> torch.Tensor:
    """The latents that a pipeline's own call begins with."""
    prepare = pipeline.prepare_latents

    def prepared(*given: Any, **named: Any) -> None:
        raise Drawn(prepare(*given, **named))

    pipeline.prepare_latents = prepared
    with pytest.raises(Drawn) as stopped:
        pipeline(**told, generator=torch.Generator().manual_seed(seed))
    (found,) = stopped.value.args
    return found[0] if isinstance(found, tuple) else found  # FLUX gives places with them


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("half", ["all", "words", "a word"])
def test_noise_is_drawn_in_the_precision_of_the_pipeline(name: str, half: str) -> None:
    """To the bit: in half precision, or only the text encoders, or one of several in it."""
    pipeline = tiny_pipeline(name)
    for part, module in pipeline.components.items():
        chosen = {"all": True, "words": "text" in part, "a word": part == "text_encoder"}
        if isinstance(module, torch.nn.Module) and chosen[half]:
            module.bfloat16()
    model = from_object(pipeline)
    network = str(getattr(pipeline, model.facts.family.needs[0]).dtype).removeprefix("torch.")
    ours = model.pipeline_form.drawn(torch.Generator().manual_seed(5), network)
    told = model.pipeline_form.arguments(Condition(text="a red circle"), model.guidance)
    theirs = drawn(pipeline, {**told, "num_inference_steps": 4}, 5)
    # Those with a UNet's schedulers, and PixArt's, begin at the noise times its first σ.
    scaled = hasattr(pipeline.scheduler, "init_noise_sigma") and name != "sana"
    first = pipeline.scheduler.init_noise_sigma if scaled else 1.0
    assert ours.dtype == theirs.dtype
    assert torch.equal(model.pipeline_form.native(ours[None]) * first, theirs)


def test_packed_latents_are_taken() -> None:
    """As FLUX has them, one for each prompt or for all, and as places."""
    pipeline = tiny_pipeline("flux")
    places = torch.randn(2, 16, 8, 16, generator=torch.Generator().manual_seed(3))
    found = [search(PROMPTS, pipeline, size="64x32", start_latents=given, budget="1candidates")
             for given in (places, pack(places))]  # fmt: skip
    keys = [[each.baseline.trajectory for each in results] for results in found]
    assert keys[0] == keys[1]
    alone = search(PROMPTS[0], pipeline, size="64x32", start_latents=pack(places)[0])
    assert alone.baseline.trajectory == keys[0][0]
    with pytest.raises(ConfigError, match=r"needs \[16, 8, 8\] or \[16, 64\], or one such .*--si"):
        search(PROMPTS, pipeline, start_latents=places)


@pytest.mark.parametrize(
    ("name", "shape"), [("sd-pndm", (4, 8, 8)), ("auraflow", (4, 8, 8)), ("flux", (16, 64))]
)
def test_a_black_box_begins_at_its_own_noise(name: str, shape: tuple[int, ...]) -> None:
    """Of a seed what it draws, from latents what was given: also where it packs its noise."""
    pipeline = tiny_pipeline(name)
    settings = {"steps": 4, **({"solver": "pipeline"} if name == "flux" else {})}
    latents = torch.randn(1, *shape, generator=torch.Generator().manual_seed(5))
    told = {"prompt": PROMPTS[0], "num_inference_steps": 4, "width": 32, "height": 32}
    for start, own in (
        ({"start_seed": 1234}, {"generator": torch.Generator().manual_seed(1234)}),
        ({"start_latents": latents}, {"latents": latents}),
    ):
        found = search(PROMPTS[0], pipeline, **start, **settings)
        assert differ(pipeline(**told, **own).images[0], found.baseline.image) <= 1
    with pytest.raises(ConfigError, match=r"shape \[3, 9, 9\], but .* needs \["):
        search(PROMPTS[0], pipeline, start_latents=torch.randn(3, 9, 9), **settings)


def test_what_a_black_box_mixes_into_its_image_is_drawn_of_the_seed() -> None:
    """After the draw of its autoencoder, which is none of the start."""
    given = {"verifier": brightness(), "start_seed": 1234, **GIVEN["sd-img2img"]}
    loaded = Request(PROMPTS[:1], model=tiny_pipeline("sd-img2img"), **given).resolve().loaded
    generator = torch.Generator().manual_seed(1234)
    draws = [torch.randn(1, *loaded.space.shape, generator=generator) for _ in range(2)]
    assert loaded.start is not None
    assert np.array_equal(loaded.start.noises[0], draws[1][0].numpy())
