"""Pipelines as black boxes: searches, prices, recipes, and the pipelines' own samples."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from black_boxes import GIVEN, IMAGE, snapshot

import noisesearch as ns
from noisesearch.__main__ import main
from noisesearch.algorithms.initial_noise import RandomSearch
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.keys import seed_of
from noisesearch.candidates.noise import Materialiser
from noisesearch.models.black_box.copy import networks
from noisesearch.models.choice import as_it_runs, as_model, with_call_arguments
from noisesearch.models.pipelines import from_object
from noisesearch.runs.verify import verify
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.setup.request import Request
from noisesearch.store.given_images import InputImages
from noisesearch.store.run_store import RunStore
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness

# Some classes of diffusers use what others of it deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")

FAMILIES = ["sd-pndm", "sd-inpaint", "lcm", "auraflow", "lumina2", "chroma", "kandinsky", "wan",
            "ltx"]  # fmt: skip
LEVEL = 1.01  # of 255: a row of a batch is rounded otherwise than alone
# Rows of a call by hand: one, or as many as the run's calls have, where networks make much of how
# another batch is rounded.
ROWS = {"kandinsky": 4}
# Further arguments, as a user would give them.
CALLS = {"kandinsky": {"prior_num_inference_steps": 2}, "wan": {"num_frames": 5},
         "ltx": {"num_frames": 5}}  # fmt: skip


def by_hand(pipeline: Any, name: str, latents: Any = None, seed: int = 0) -> np.ndarray:
    """What a user gets who calls the pipeline."""
    given = GIVEN.get(name, {})
    image = {"image": given["image"], "mask_image": given["mask"]} if given else {}
    rows = ROWS.get(name, 1)
    if latents is not None:
        latents = latents.expand(rows, *latents.shape[1:]).clone()
    out = pipeline(
        prompt=["a red circle"] * rows, latents=latents, height=32, width=32, output_type="np",
        num_inference_steps=pipeline.noisesearch["steps"], **image, **CALLS.get(name, {}),
        generator=[torch.Generator().manual_seed(seed) for _ in range(rows)],
    )  # fmt: skip
    found: np.ndarray = (out.images if hasattr(out, "images") else out.frames)[0]
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_search(name: str, tmp_path: Path) -> None:
    """It finds, pays what ran, is made again from its recipe, agrees with the pipeline's own
    sample, and leaves the pipeline as it was."""
    pipeline, given = tiny_pipeline(name), GIVEN.get(name, {})
    by_hand(pipeline, name)  # the user's own call, whose traces stay too
    before = snapshot(pipeline)
    found = ns.search(
        "a red circle", model=pipeline, verifier=brightness(), budget="5candidates",
        out=tmp_path / "run", rows=4, **given,
    )  # fmt: skip
    assert snapshot(pipeline) == before
    assert found.winner.score >= found.baseline.score and len(found.candidates) == 5
    assert found.ledger["nfe"] == found.ledger["physical"]["nfe"]
    assert found.ledger["forwards"] == found.ledger["physical"]["forwards"]
    known = PythonObjects(model=as_model(pipeline), verifiers={"brightness": brightness()})
    again = verify(tmp_path / "run", known)
    assert again["pixels"] <= LEVEL and again["parts"] < 1e-2
    store = RunStore(tmp_path / "run", write=False)
    noise = store.graph().trajectory(found.winner.trajectory).noise
    request = Request(["a red circle"], model=pipeline, verifier=brightness(), **given)
    sampler = request.resolve().loaded.denoiser
    latents = torch.tensor(Materialiser(sampler.shape)(noise))[None]
    own = by_hand(pipeline, name, latents, seed_of("injected", noise.key))
    assert np.abs(own * 255 - found.winner.pixels).max() <= 0.51


@pytest.mark.parametrize(
    ("name", "given", "prices"),
    [("sd-pndm", {}, [1, 3, 5, 8]), ("auraflow", {}, [1, 2, 4, 7]),
     ("kandinsky", {}, [3, 4, 6, 9]), ("sd-img2img", {"strength": 0.5}, [0, 1, 2, 3])],
)  # fmt: skip
def test_prices_are_counted(name: str, given: dict[str, Any], prices: list[int]) -> None:
    """Of several steps PNDM makes one more, a prior has steps of its own, and of an image
    at half strength half are left."""
    images = InputImages.of(IMAGE if given else None, None)
    model = with_call_arguments(as_it_runs(from_object(tiny_pipeline(name)), None), given, images)
    sampler: Any = model.build(4.0, "cpu", "float32")
    ran = []
    for steps, price in zip((1, 2, 4, 7), prices, strict=True):
        if price == 0:
            with pytest.raises(ns.ConfigError, match="none of 1 steps"):
                sampler.price(steps)
        else:
            noise = torch.zeros(1, *sampler.shape)
            _, nfe = sampler.sample(noise, [3], [Condition(text="a red circle")], steps)
            ran.append((nfe, sampler.price(steps)))
    assert ran == [(price, price) for price in prices if price]


def test_an_image_to_begin_from(tmp_path: Path) -> None:
    """The start is the pipeline's own, mixed of its image and our noise: with the noise that it
    would draw it makes what it would make; rows of a batch do not differ from rows alone."""
    pipeline = tiny_pipeline("sd-img2img")
    before = snapshot(pipeline)
    model = from_object(pipeline).given({"strength": 0.6}, InputImages.of(IMAGE, None))
    sampler = model.build(7.5, "cpu", "float32")
    generator = torch.Generator().manual_seed(11)
    torch.randn(1, 4, 8, 8, generator=generator)  # the autoencoder's own
    noise = torch.randn(1, 4, 8, 8, generator=generator)
    of = Condition(text="a red circle")
    alone, nfe = sampler.sample(noise, [11], [of], 5)
    assert nfe == 3 == sampler.price(5)
    assert snapshot(pipeline) == before
    own = pipeline(
        prompt="a red circle", image=IMAGE, strength=0.6, num_inference_steps=5,
        generator=torch.Generator().manual_seed(11), output_type="np",
    ).images[0]  # fmt: skip
    assert np.abs(alone[0].movedim(0, -1).numpy() - own).max() < 1e-5
    both, _ = sampler.sample(torch.cat([noise, -noise]), [11, 12], [of, of], 5)
    assert (both[0] - alone[0]).abs().max() < 1e-4 and (both[1] - both[0]).abs().max() > 1e-2


def test_a_video_of_an_image() -> None:
    """LTX puts the image into what it draws, which then is latents: ours is in its place."""
    whole = tiny_pipeline("ltx")
    kind = importlib.import_module("diffusers").LTXImageToVideoPipeline
    pipeline = kind(**whole.components)
    model = from_object(pipeline, size=(32, 32), call={"num_frames": 5})
    sampler = model.given({}, InputImages.of(IMAGE, None)).build(3.0, "cpu", "float32")
    generator = torch.Generator().manual_seed(8)
    torch.randn(1, 8, 1, 8, 8, generator=generator)  # the autoencoder's own
    noise = torch.randn(1, *sampler.shape, generator=generator)
    made, _ = sampler.sample(noise, [8], [Condition(text="a red circle")], 3)
    own = pipeline(
        prompt="a red circle", image=IMAGE, num_frames=5, width=32, height=32, output_type="np",
        num_inference_steps=3, generator=torch.Generator().manual_seed(8),
    ).frames[0]  # fmt: skip
    assert np.abs(made[0].movedim(1, -1).numpy() - own).max() < 1e-5
    assert sampler.rows == 1


def test_a_run_keeps_the_images_that_it_was_given(tmp_path: Path) -> None:
    """By content, in the recipe and in the folder: the user's file may go."""
    tiny_pipeline("sd-inpaint", tmp_path / "pipe")
    file = tmp_path / "mine.png"
    IMAGE.save(file)

    def search(out: str, budget: str, image: Any) -> Any:
        return ns.search(
            "a red circle", model=str(tmp_path / "pipe"), verifier=brightness(), image=image,
            mask=GIVEN["sd-inpaint"]["mask"], budget=budget, out=tmp_path / out,
            algorithm=RandomSearch(),
        )  # fmt: skip

    search("a", "4candidates", str(file))
    file.unlink()
    (more,) = ns.resume(tmp_path / "a", budget="8candidates", verifier=brightness())
    fresh = search("b", "8candidates", np.array(IMAGE))
    assert more.winner.trajectory == fresh.winner.trajectory
    assert [c.score for c in more.candidates] == [c.score for c in fresh.candidates]
    other = search("c", "4candidates", IMAGE.rotate(90))
    assert other.condition.image != fresh.condition.image is not None
    (tmp_path / "a" / "inputs" / "image.png").unlink()
    with pytest.raises(ns.NoisesearchError, match="is not the image that the run was made with"):
        ns.resume(tmp_path / "a", verifier=brightness())


def test_conditions_without_images_have_the_keys_that_they_had() -> None:
    assert Condition(text="a red circle").key == "1d62ef1f0a357221a61e908c32bb340d"


def test_another_scheduler_is_said(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Once, and it stays a black box when it is resumed."""
    tiny_pipeline("sd-pndm", tmp_path / "pipe")
    caplog.clear()
    ns.search("a red circle", model=str(tmp_path / "pipe"), verifier=brightness(),
              budget="4candidates", algorithm="random", out=tmp_path / "run")  # fmt: skip
    (said,) = [r.message for r in caplog.records if r.name == "noisesearch"]
    assert "PNDMScheduler" in said and "--solver" in said and "black box" in said
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert spec["solver"] == "pipeline" and spec["size"] == "32x32"
    (more,) = ns.resume(tmp_path / "run", budget="6candidates", verifier=brightness())
    assert more.ledger["nfe"] == 30 == more.ledger["physical"]["nfe"]


def test_a_family_of_ours_as_a_black_box() -> None:
    """FLUX packs its latents: the same noise in another layout gives the same picture in both."""
    pipeline = tiny_pipeline("flux")
    ours = from_object(pipeline).build(3.5, "cpu", "float32")
    sampler = as_it_runs(from_object(pipeline), "pipeline").build(3.5, "cpu", "float32")
    noise = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(5))
    packed = ours.native(noise)
    assert sampler.shape == tuple(packed.shape[1:])
    made, _ = sampler.sample(packed, [1], [Condition(text="a red circle")], 4)
    own = pipeline(
        prompt="a red circle", latents=packed, height=32, width=32, num_inference_steps=4,
        output_type="np",
    ).images[0]  # fmt: skip
    assert np.abs(made[0].movedim(0, -1).numpy() - own).max() < 1e-5
    found = ns.search("a red circle", model=pipeline, verifier=brightness(), solver="pipeline",
                      budget="4candidates")  # fmt: skip
    assert found.winner.score >= found.baseline.score


@pytest.mark.parametrize("name", ["sd-pndm", "ltx"])
def test_in_half_precision(name: str) -> None:
    """In the precision that the object is in, which is left; rows agree as far as that goes."""
    pipeline = tiny_pipeline(name).to(torch.bfloat16)
    before = snapshot(pipeline)
    found = ns.search("a red circle", model=pipeline, verifier=brightness(), budget="4candidates")
    assert snapshot(pipeline) == before
    assert found.winner.score >= found.baseline.score
    assert found.ledger["nfe"] == found.ledger["physical"]["nfe"]


def test_a_search_for_a_set() -> None:
    """Population Search asks for whole samples alone, and for what a verifier sees in them."""
    found = ns.search(
        ["a red circle", "two blue squares"], model=tiny_pipeline("lcm"), algorithm="population",
        verifier=brightness(), budget="12candidates/run",
    )  # fmt: skip
    assert len(found) == 2 and found.population is not None
    paid = sum(r.ledger["nfe"] for r in found)
    assert paid == sum(r.ledger["physical"]["nfe"] for r in found)


def test_defaults_of_a_family_of_ours() -> None:
    """FLUX.1-schnell is made for four steps, whatever its class says."""
    pipeline = tiny_pipeline("flux-schnell")
    del pipeline.noisesearch
    model = as_it_runs(from_object(pipeline), "pipeline")
    assert (model.steps, model.guidance, model.size) == (4, 1.0, (512, 512))
    assert as_it_runs(from_object(tiny_pipeline("sdxl")), "pipeline").ensemble[-1] == "pickscore"


def test_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_pipeline("sd-img2img", tmp_path / "pipe")
    IMAGE.save(tmp_path / "mine.png")
    (tmp_path / "mine.py").write_text("def vivid(images, c):\n    return images.std((1, 2, 3))\n")
    monkeypatch.chdir(tmp_path)

    def told(*words: str) -> tuple[Any, str]:
        monkeypatch.setattr(sys, "argv", ["noisesearch", *words, "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        out, err = capsys.readouterr()
        return json.loads(out), err

    asked = ("generate", "a red circle", "--model", "pipe", "--verifier", "mine.py:vivid",
             "--image", "mine.png", "--strength", "0.5", "--call", "eta=0.3", "--dtype",
             "float32", "--algorithm", "random", "--budget", "3candidates")  # fmt: skip
    planned, err = told(*asked, "--plan")
    assert "runs as a black box" in err
    assert planned["exact"] and planned["ledger"]["nfe"] == 6 and planned["ledger"]["flops"] > 0
    weights = [p for n in networks(tiny_pipeline("sd-img2img")) for p in n.parameters()]
    least = sum(p.numel() * p.element_size() for p in weights)
    assert all(phase >= least for phase in planned["memory"]["bytes"].values())
    found, err = told(*asked, "--out", "run")
    assert "runs as a black box, since our own loop does not know a StableDiffusionImg2Img" in err
    assert found["searches"][0]["ledger"]["nfe"] == 3 * 2
    assert json.loads(Path("run/spec.json").read_text())["call"] == {"eta": 0.3, "strength": 0.5}
    more, err = told("resume", "run", "--budget", "4candidates")
    assert more["searches"][0]["ledger"]["nfe"] == 4 * 2 and "black box" not in err
    shown, _ = told("show", "run", "--verify")
    assert shown["verify"]["pixels"] <= LEVEL
