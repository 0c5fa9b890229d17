"""What cannot be a black box, or cannot be asked of one: a sentence each."""

from __future__ import annotations

import functools
import importlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from black_boxes import GIVEN, IMAGE, MASK
from PIL import Image

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.models.choice import as_it_runs, with_call_arguments
from noisesearch.models.pipelines import from_object
from noisesearch.store.given_images import InputImages
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")

CALLS = itertools.count()


@pytest.fixture(scope="module")
def plain() -> Any:
    """Stable Diffusion with PNDM: nothing here gets as far as changing it."""
    return tiny_pipeline("sd-pndm")


def made(pipeline: Any, image: Any = None, mask: Any = None, **call: Any) -> Any:
    """The sampler of a pipeline."""
    model = with_call_arguments(
        as_it_runs(_model(pipeline), None), call, InputImages.of(image, mask)
    )
    return model.build(model.guidance, "cpu", "float32")


def _model(thing: Any) -> Any:
    return thing if hasattr(thing, "build") else from_object(thing)


def diffusers() -> Any:
    return importlib.import_module("diffusers")


def behaving(change: Any, base: str = "StableDiffusionPipeline", of: str = "sd") -> Any:
    """A pipeline of a user's own class, whose call is ``change(parent's call, its arguments)``."""
    kind: Any = getattr(diffusers(), base)
    parent = kind.__call__

    @functools.wraps(parent)
    def call(self: Any, **given: Any) -> Any:
        return change(functools.partial(parent, self), given)

    own = type("MyPipeline", (kind,), {"__call__": call})
    pipeline = own(**tiny_pipeline(of).components, requires_safety_checker=False)
    pipeline.noisesearch = {"steps": 2, "size": [32, 32]}
    return pipeline


def deaf(call: Any, given: dict[str, Any]) -> Any:
    """Draws its own noise whatever it is given."""
    return call(**{**given, "latents": None})


def constant(call: Any, given: dict[str, Any]) -> Any:
    """Makes of every noise the same picture."""
    found = call(**given)
    found.images = np.full_like(found.images, 0.5)
    return found


def narrow(call: Any, given: dict[str, Any]) -> Any:
    """Takes one prompt at a time."""
    assert isinstance(given["prompt"], str), "one prompt"
    return call(**given)


def blind(call: Any, given: dict[str, Any]) -> Any:
    """Paints without a look at the image that it is given."""
    return call(**{**given, "image": Image.new("RGB", (32, 32))})


def wayward(call: Any, given: dict[str, Any]) -> Any:
    """Another picture at each call, as of a pipeline that draws where no generator is named."""
    found = call(**given)
    found.images = found.images * 0.9 ** (next(CALLS) % 5)
    return found


def shapely(call: Any, given: dict[str, Any]) -> Any:
    """Takes latents of another shape than those that it draws."""
    if given.get("latents") is not None:
        raise ValueError("latents must be 99 wide")
    return call(**given)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (deaf, "what MyPipeline makes does not follow from the latents that it is given"),
        (constant, "what MyPipeline makes does not follow from the latents that it is given"),
        (wayward, "what MyPipeline makes does not follow from the latents that it is given"),
        (shapely, "MyPipeline refuses as latents= .* draws itself .latents must be 99 wide"),
    ],
)
def test_pipelines_whose_noise_cannot_be_given(call: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        made(behaving(call))


def test_a_pipeline_that_does_not_look_at_its_image() -> None:
    pipeline = behaving(blind, "StableDiffusionInpaintPipeline", "sd-inpaint")
    with pytest.raises(ConfigError, match="does not follow from the image"):
        made(pipeline, IMAGE, MASK)


def test_a_wayward_pipeline_that_begins_at_its_image() -> None:
    pipeline = behaving(wayward, "StableDiffusionImg2ImgPipeline", "sd-img2img")
    with pytest.raises(ConfigError, match="does not follow from the noise"):
        made(pipeline, IMAGE)


def test_a_pipeline_of_one_row_a_call() -> None:
    """Each call has one then, and a search goes on as ever."""
    pipeline = behaving(narrow)
    assert not made(pipeline).together and made(tiny_pipeline("sd-pndm")).together
    found = ns.search("a red circle", model=pipeline, verifier=brightness(), budget="3candidates")
    assert len(found.candidates) == 3 and found.ledger["nfe"] == found.ledger["physical"]["nfe"]


def test_pipelines_that_are_none() -> None:
    unet = diffusers().UNet2DModel(sample_size=8, block_out_channels=(8,), norm_num_groups=4,
                                   down_block_types=("DownBlock2D",), layers_per_block=1,
                                   up_block_types=("UpBlock2D",))  # fmt: skip
    with pytest.raises(ConfigError, match="DDPMPipeline takes no latents="):
        made(diffusers().DDPMPipeline(unet, diffusers().DDPMScheduler()))
    with pytest.raises(
        ConfigError, match=r"cannot be called .* it takes an image, give one with --image"
    ):
        made(tiny_pipeline("sd-inpaint"))
    with pytest.raises(ConfigError, match=r"cannot be called .* it takes a mask, give one with"):
        made(tiny_pipeline("sd-inpaint"), IMAGE)
    with pytest.raises(ConfigError, match=r"cannot be called .*divisible by .* but are 31"):
        made(from_object(tiny_pipeline("auraflow"), size=(32, 31)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"algorithm": "paths"}, "'paths' looks at unfinished samples, and this model is a black "
         "box .* random, zero-order or population"),
        ({"algorithm": "first-order"}, "needs gradients, and this model gives none"),
        ({"image": IMAGE}, "StableDiffusionPipeline takes no image"),
        ({"mask": MASK}, "StableDiffusionPipeline takes no mask"),
        ({"strength": 0.5}, "unknown argument of StableDiffusionPipeline 'strength'"),
        ({"call": {"eta_": 1}}, "did you mean 'eta'"),
        ({"call": {"timesteps": torch.zeros(2)}}, "call has timesteps, a Tensor, which no spec"),
        ({"call": {"latents": 1}}, "'latents', which a run sets itself; leave it out"),
        ({"call": {"guidance_scale": 3.0}}, "which a run sets itself; give it as guidance"),
        ({"size": "31x32"}, "must be multiples of 8"),
        ({"solver": "pipelin"}, "unknown solver 'pipelin'"),
        ({"dtype": "bfloat16"}, "is in float32 and the run is asked for in bfloat16"),
        ({"budget": 3}, "budget 3nfe is too small for one image: the smallest is 5nfe"),
        ({"image": "nowhere.png"}, "image: nowhere.png cannot be read .no such file"),
        ({"image": np.zeros((4, 4))}, "must be a file, a picture of PIL or an array uint8"),
    ],
)  # fmt: skip
def test_wrong_requests(plain: Any, settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    request = {"model": plain, "verifier": brightness(), "out": tmp_path / "run", **settings}
    with pytest.raises(ConfigError, match=said) as error:
        ns.search("a red circle", **request)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_prompts_that_are_too_long(plain: Any) -> None:
    """Known of the families of ours, however they run."""
    with pytest.raises(ConfigError, match="takes 77, so"):
        ns.search("q" * 100, model=plain, verifier=brightness())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"strength": 0.1}, "takes none of 4 steps at that strength"),
        ({"strength": 1.5}, "strength is 1.5, but must be above 0 and at most 1"),
        ({"strength": 0.0}, "strength is 0.0, but must be"),
        ({"call": {"strength": "half"}}, "strength is 'half', but must be"),
        ({"size": "64x64"}, "takes no width and height"),
    ],
)
def test_wrong_requests_of_an_image(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ns.search("a", model=tiny_pipeline("sd-img2img"), image=IMAGE, verifier=brightness(),
                  **settings)  # fmt: skip


def test_previews_that_are_asked_for_later(plain: Any, tmp_path: Path) -> None:
    """An algorithm whose first asks are whole samples is refused before there is a folder too."""

    def late(problem: Any) -> Any:
        whole = problem.sample(problem.noise(0))
        yield [ns.score(whole)]
        yield [ns.score(problem.begin(problem.noise(1)).denoise(2))]
        return [whole]

    with pytest.raises(ConfigError, match="'late' looks at unfinished samples"):
        ns.search("a", model=plain, verifier=brightness(), algorithm=late, budget="9candidates",
                  out=tmp_path / "run")  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_what_other_models_do_not_take() -> None:
    with pytest.raises(ConfigError, match=r"image is for pipelines .* shapes does not$"):
        ns.search("a red circle", image=IMAGE)
    with pytest.raises(ConfigError, match=r"eta is for pipelines .* add --solver pipeline"):
        ns.search("a red circle", model=tiny_pipeline("sd"), verifier=brightness(),
                  call={"eta": 0.5})  # fmt: skip
    with pytest.raises(ConfigError, match=r"eta is for pipelines .* add --solver pipeline"):
        ns.search("a", model=from_object(tiny_pipeline("sd"), call={"eta": 0.5}))
    with pytest.raises(ConfigError, match="solver 'pipeline': shapes is no pipeline"):
        ns.search("a red circle", solver="pipeline")
    with pytest.raises(ConfigError, match="solver 'euler': ChromaPipeline runs as a black box"):
        ns.search("a red circle", model=tiny_pipeline("chroma"), solver="euler")


def test_prompts_of_a_pipeline_that_reads_none() -> None:
    """Kandinsky's decoder takes embeddings of pictures, which only Python can give."""
    whole = tiny_pipeline("kandinsky")
    pipeline = whole.decoder_pipe
    embeds = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))
    model = from_object(pipeline, steps=2, size=(32, 32), call={
        "image_embeds": embeds, "negative_image_embeds": torch.zeros(1, 16)})  # fmt: skip
    with pytest.raises(ConfigError, match="KandinskyV22Pipeline takes no prompt, got 'a red"):
        ns.search("a red circle", model=model, verifier=brightness())
    with pytest.raises(ConfigError, match="takes no negative prompt"):
        ns.search(None, model=model, verifier=brightness(), negative="blurry")
    found = ns.search(None, model=model, verifier=brightness(), budget="4candidates", rows=4)
    assert found.winner.score >= found.baseline.score
    other = from_object(pipeline, call={"image_embeds": embeds + 1})
    assert other.fingerprint != model.fingerprint


@pytest.mark.parametrize(
    ("name", "length"),
    [("lcm", 77), ("sd-inpaint", 77), ("lumina2", 256), ("chroma", 512), ("ltx", 128),
     ("kandinsky", 77)],
)  # fmt: skip
def test_a_prompt_that_would_be_cut_is_said(name: str, length: int) -> None:
    """Of classes that nothing is known of: what its tokenizers and its call say."""
    pipeline = tiny_pipeline(name)
    given = GIVEN.get(name, {})
    with pytest.raises(ConfigError, match=rf"takes {length}, so \d+ would be cut \('.*word"):
        ns.search("word " * 600, model=pipeline, verifier=brightness(), budget=8, **given)
