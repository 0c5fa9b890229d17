"""The winners' start noises for diffusers and ComfyUI: files, and lines that are executed."""

from __future__ import annotations

import contextlib
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from black_boxes import GIVEN
from own_noise import ALL, PROMPTS, differ, search
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.models.diffusers.flux import pack
from noisesearch.testing import MixtureModel, tiny_pipeline

pytestmark = [
    # Of a scheduler, written for an older numpy.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # The newer name of the setting is none that every supported diffusers takes.
    pytest.mark.filterwarnings("ignore:`torch_dtype` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every tiny pipeline in a folder of its own."""
    found = {name: tmp_path_factory.mktemp(name) for name in ALL}
    for name, path in found.items():
        tiny_pipeline(name, path)
    return found


def made_by(lines: str, folder: Path, **known: Any) -> list[Image.Image]:
    """The pictures that the lines make in a folder."""
    with contextlib.chdir(folder):
        exec(compile(lines, "lines", "exec"), known)
        count = len(list(Path().glob("winner-*.png")))
        return [Image.open(f"winner-{i + 1}.png").convert("RGB") for i in range(count)]


@pytest.mark.parametrize("name", ALL)
def test_the_lines_make_the_winners(
    name: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are printed, with a negative prompt where there is one, at the final steps."""
    negative = None if name == "flux" else "blurry"
    guidance = {"guidance": 3.0} if name == "flux-schnell" else {}
    found = search(
        PROMPTS, str(folders[name]), size="64x32", negative=negative, steps=2, final_steps=5,
        budget="6candidates", out=tmp_path / "run", **guidance,
    )  # fmt: skip
    exported = ns.export(tmp_path / "run")
    assert [w["prompt"] for w in exported.winners] == PROMPTS and exported.remarks == []
    images = made_by(exported.lines, tmp_path)
    assert len(images) == 2
    for image, each in zip(images, found, strict=True):
        assert differ(image, each.winner.image) <= 1
    assert differ(*images) > 1, "another noise would be seen"


def test_the_file_says_what_it_holds(folders: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    found = search(PROMPTS[0], str(folders["flux"]), top=2, out=run)
    exported = ns.export(run, tmp_path / "mine.safetensors", comfyui=True)
    with safe_open(str(exported.file), framework="pt") as stored:
        metadata, latents = stored.metadata(), stored.get_tensor("latents")
    winners = json.loads(metadata["winners"])
    assert winners == exported.winners and metadata["model"] == str(folders["flux"])
    about = {"prompt": PROMPTS[0], "negative": None, "steps": 4, "guidance": 3.5,
             "solver": "euler", "size": "32x32"}  # fmt: skip
    assert all(about.items() <= winner.items() for winner in winners)
    assert [w["score"] for w in winners] == [w.score for w in found.winners]
    comfyui = load_file(tmp_path / "mine.latent")
    assert comfyui["latent_tensor"].shape == (2, 16, 8, 8)
    assert comfyui["latent_format_version_0"].numel() == 0
    assert torch.equal(latents, pack(comfyui["latent_tensor"]))
    # And back: the winners' noises are first noises, and their pictures baselines.
    for given in (latents[1], comfyui["latent_tensor"][1]):
        again = search(PROMPTS[0], str(folders["flux"]), start_latents=given)
        assert again.baseline.score == found.winners[1].score


def test_another_scheduler_in_the_pipeline(tmp_path: Path) -> None:
    """One that no solver of ours follows, as Stable Diffusion 1.x comes with."""
    pipeline = tiny_pipeline("sd")
    kind = importlib.import_module("diffusers").PNDMScheduler
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
    pipeline.save_pretrained(tmp_path / "pndm")
    run = tmp_path / "run"
    settings = {"solver": "ddim", "steps": 4, "size": "32x32"}
    found = search(PROMPTS[0], str(tmp_path / "pndm"), out=run, **settings)
    exported = ns.export(run)
    assert "DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False" in exported.lines
    (image,) = made_by(exported.lines, tmp_path)
    assert differ(image, found.winner.image) <= 1


def test_half_precision_files(tmp_path: Path) -> None:
    """The lines open a folder that has only the published half-precision variant."""
    tiny_pipeline("flux").save_pretrained(tmp_path / "half", variant="fp16", max_shard_size="60KB")
    shards = list((tmp_path / "half" / "transformer").glob("*.safetensors"))
    assert len(shards) > 1 and all(".fp16" in path.name for path in shards)
    settings = {"steps": 2, "size": "32x32", "out": tmp_path / "run"}
    found = search(PROMPTS[0], str(tmp_path / "half"), **settings)
    exported = ns.export(tmp_path / "run")
    (image,) = made_by(exported.lines, tmp_path)
    assert differ(image, found.winner.image) <= 1


def test_no_lines_for_steps_that_the_pipeline_does_not_take(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    search(PROMPTS[0], str(folders["flux"]), solver="heun", budget="8candidates",
           out=tmp_path / "run")  # fmt: skip
    exported = ns.export(tmp_path / "run")
    assert exported.lines == "" and exported.file.exists()
    (remark,) = exported.remarks
    assert "solver is heun, whose steps the FlowMatchEulerDiscreteScheduler" in remark
    assert f"--start-latents {exported.file}" in remark


@pytest.mark.parametrize("name", ["sd-pndm", "lcm", "flux"])
def test_black_boxes(name: str, tmp_path: Path) -> None:
    """With their own scheduler, what they draw on the way, and in their own layout."""
    tiny_pipeline(name, tmp_path / "pipeline")
    solver = {"solver": "pipeline"} if name == "flux" else {"negative": "blurry"}
    settings = {} if name == "lcm" else solver
    found = search(PROMPTS, str(tmp_path / "pipeline"), steps=4, budget="6candidates",
                   out=tmp_path / "run", **settings)  # fmt: skip
    exported = ns.export(tmp_path / "run")
    images = made_by(exported.lines, tmp_path)
    for image, each in zip(images, found, strict=True):
        assert differ(image, each.winner.image) <= 1
    assert differ(*images) > 1, "another noise would be seen"
    again = search(PROMPTS, str(tmp_path / "pipeline"), steps=4, start_latents=exported.file,
                   **settings)  # fmt: skip
    if name != "lcm":  # what else it draws is named after the noise
        assert [a.baseline.score for a in again] == [f.winner.score for f in found]
    if name == "flux":
        with pytest.raises(ConfigError, match=r"have the shape \[16, 64\] and not \[C, H, W\]"):
            ns.export(tmp_path / "run", comfyui=True)


@pytest.mark.parametrize(("name", "why"), [("sd-img2img", "was given images"),
                                           ("ltx", "makes videos")])  # fmt: skip
def test_black_boxes_that_lines_do_not_call(name: str, why: str, tmp_path: Path) -> None:
    pipeline = tiny_pipeline(name)
    search(PROMPTS[0], pipeline, steps=4, out=tmp_path / "run", **GIVEN.get(name, {}))
    exported = ns.export(tmp_path / "run", model=pipeline)
    assert exported.lines == "" and exported.file.exists()
    assert why in exported.remarks[0] and "\n" not in exported.remarks[0]


def test_a_run_without_winners(tmp_path: Path) -> None:
    found = ns.search("x", model=MixtureModel(), out=tmp_path / "run", budget="2candidates")
    path = found.run / "winners.json"
    content = json.loads(path.read_text())
    content["searches"] = []  # as it is written while nothing is finished
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="no winners yet; go on with: noisesearch resume"):
        ns.export(tmp_path / "run", model=MixtureModel())


def test_a_pipeline_in_memory(tmp_path: Path) -> None:
    pipeline = tiny_pipeline("sdxl")
    found = search(PROMPTS[0], pipeline, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"model object .*noisesearch.export\('.*run', model=…"):
        ns.export(tmp_path / "run")
    exported = ns.export(tmp_path / "run", model=pipeline)
    (image,) = made_by(exported.lines, tmp_path, pipe=pipeline)
    assert differ(image, found.winner.image) <= 1


def test_winners_that_no_noise_alone_makes(tmp_path: Path) -> None:
    model = MixtureModel()
    for settings, why in (
        ({"algorithm": "paths", "budget": "12candidates"}, "it was renoised on its way"),
        ({"solver": "euler-sde"}, "its solver injected noise on the way"),
    ):
        run = tmp_path / why
        ns.search("x", model=model, out=run, **settings)
        with pytest.raises(ConfigError, match=f"no winner of .*'x' is left out: {why}") as error:
            ns.export(run, model=model)
        assert "\n" not in str(error.value) and not list(run.glob("latents*"))
