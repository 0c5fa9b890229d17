"""A model that cannot be had, or latents: one sentence, exit status 2, nothing left behind."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import VIVID, Done
from safetensors.torch import load_file, save_file

from noisesearch.__main__ import main
from noisesearch.testing import tiny_pipeline

RED = "a red circle"
Run = Callable[..., Done]


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny pipelines to copy."""
    folder = tmp_path_factory.mktemp("pipelines")
    for name in ("flux", "sd"):
        tiny_pipeline(name, folder / name)
    return folder


@pytest.fixture
def flux(pipelines: Path, tmp_path: Path) -> Path:
    """A pipeline to spoil."""
    return Path(shutil.copytree(pipelines / "flux", tmp_path / "tiny-flux"))


@pytest.fixture
def sd(pipelines: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pipelines / "sd", tmp_path / "tiny-sd"))


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vivid.py").write_text(VIVID)

    def called(*arguments: object, prompt: str = RED) -> Done:
        words = ["generate", prompt, "--budget", "2candidates", "--dtype", "float32",
                 "--verifier", "vivid.py:vivid"]  # fmt: skip
        monkeypatch.setattr("sys.argv", ["noisesearch", *words, *map(str, arguments)])
        status: Any = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        said = capsys.readouterr()
        assert not (tmp_path / "runs").exists() or status == 0
        return Done(status, said.out, said.err)

    return called


def weights(part: Path) -> Path:
    (file,) = part.glob("*.safetensors")
    return file


def without(part: Path, names: Iterable[str]) -> None:
    """Take weights out of a component's file."""
    held = load_file(weights(part))
    for name in names:
        del held[name]
    save_file(held, weights(part), {"format": "pt"})


def configured(part: Path, **changes: Any) -> None:
    path = part / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_whole_pipeline_runs(run: Run, flux: Path, tmp_path: Path) -> None:
    """So that what is refused below is refused for what was done to it."""
    done = run("--model", flux, "--start-seed", 1234)
    assert done.status == 0, done.err
    assert (tmp_path / "runs" / "1" / "winners.json").exists()


def test_folders_that_hold_no_pipeline(run: Run, flux: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("nothing")
    run("--model", "notes").refused("notes holds no weights", "model_index.json of a diffusers")
    run("--model", tmp_path / "gone").refused("no file or folder", "model_index.json")
    run("--model", flux / "transformer").refused(
        "transformer holds a FluxTransformer2DModel", "one component", "give the pipeline's folder"
    )
    one = tmp_path / "flux1-dev.safetensors"  # as other programs have it, in one file
    shutil.copy(weights(flux / "transformer"), one)
    run("--model", one).refused("is no whole SiT checkpoint", "model_index.json of a diffusers")
    shutil.rmtree(flux / "tokenizer_2")
    run("--model", flux).refused("lacks the folder tokenizer_2", "get the pipeline's files again")


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_half_a_checkpoint(part: str, run: Run, flux: Path) -> None:
    names = sorted(load_file(weights(flux / part)))
    lost = [names[0], *names[-4:]]
    without(flux / part, lost)
    short = [name.removeprefix("text_model.") for name in lost]
    run("--model", flux).refused(
        f"{part} is not the whole ", f"lacks 5 of its weights ({', '.join(short[:3])} and 2 more)"
    )


def test_files_that_are_cut_off_or_not_there(run: Run, flux: Path, sd: Path) -> None:
    file = weights(flux / "transformer")
    file.write_bytes(file.read_bytes()[:3000])
    run("--model", flux).refused("transformer cannot be loaded", "get the pipeline's files again")
    held = weights(sd / "unet")
    whole = {"weight_map": {"a": "diffusion_pytorch_model-00002-of-00002.safetensors"}}
    held.with_name(f"{held.name}.index.json").write_text(json.dumps({"metadata": {}, **whole}))
    held.rename(held.with_name("diffusion_pytorch_model-00001-of-00002.safetensors"))
    run("--model", sd).refused("unet cannot be loaded", "00002-of-00002.safetensors")
    held.with_name("diffusion_pytorch_model-00001-of-00002.safetensors").unlink()
    run("--model", sd).refused("unet holds no weights", "get the files again")


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("unet", {"block_out_channels": [16, 32]}, "is [8] and must be [16] and "),
        ("text_encoder", {"hidden_size": 32}, "is [77, 16] and must be [77, 32] and "),
        ("unet", {"layers_per_block": 2}, "is not the whole UNet2DConditionModel"),
    ],
)
def test_a_checkpoint_for_another_size(
    part: str, changes: dict[str, Any], said: str, run: Run, sd: Path
) -> None:
    configured(sd / part, **changes)
    run("--model", sd).refused(f"{part} is not the whole", "of its config.json", said)


def test_a_checkpoint_of_more_layers(run: Run, sd: Path) -> None:
    """All that the network needs is there, and more: pictures of another network."""
    held = load_file(weights(sd / "unet"))
    more = {name.replace("resnets.0", "resnets.7"): weight.clone()
            for name, weight in held.items() if "down_blocks.0.resnets.0" in name}  # fmt: skip
    save_file({**held, **more}, weights(sd / "unet"), {"format": "pt"})
    run("--model", sd).refused("unet is not the whole", "holds weights beyond it (down_blocks.0.")


def test_components_of_two_pipelines(run: Run, flux: Path, sd: Path) -> None:
    shutil.rmtree(flux / "vae")
    shutil.copytree(sd / "vae", flux / "vae")
    run("--model", flux).refused(
        "vae of tiny-flux decodes latents of 4 channels and its transformer makes 16"
    )
    transformers = importlib.import_module("transformers")
    config = transformers.CLIPTextConfig.from_pretrained(sd / "text_encoder", hidden_size=32)
    transformers.CLIPTextModel(config).save_pretrained(sd / "text_encoder")
    run("--model", sd).refused("UNet2DConditionModel cannot take what", "of two pipelines")


def test_weights_that_would_be_unpickled(run: Run, flux: Path, tmp_path: Path) -> None:
    weights(flux / "vae").rename(flux / "vae" / "diffusion_pytorch_model.bin")
    run("--model", flux).refused(
        "diffusion_pytorch_model.bin would have to be unpickled", "safe_serialization=True"
    )
    torch.save({"path": Path("x")}, tmp_path / "sit.pt")
    run("--model", "sit.pt").refused("holds Python objects", "not unpickled", "with safetensors")


def test_prompts_that_are_too_long(run: Run, sd: Path) -> None:
    long = "a red circle " * 24 + "and a blue square"
    run("--model", sd, prompt=long).refused(
        "the prompt has 81 tokens and tiny-sd takes 77, so 4 would be cut ('square')", "shorten it"
    )
    run("--model", sd, "--negative", long * 4).refused(
        "the negative prompt has ", "tokens and tiny-sd takes 77", "('square", "…'); shorten it"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.zeros(16, 8, 8), "holds only zeros"),
        (torch.full((16, 8, 8), torch.nan), "1024 numbers of 1024 that are not finite"),
        (torch.ones(4, 8, 8), "shape [4, 8, 8], but tiny-flux at 32x32 needs [16, 8, 8] or"),
        (torch.ones(3, 16, 8, 8), "holds 3 noises for 1 prompt"),
        (torch.ones(16, 8, 8).int(), "holds int32"),
    ],
)
def test_latents_that_are_refused(given: torch.Tensor, said: str, run: Run, flux: Path) -> None:
    save_file({"latents": given}, "mine.safetensors")
    run("--model", flux, "--start-latents", "mine.safetensors").refused(
        "start-latents mine.safetensors", said
    )


def test_latents_that_would_be_unpickled(run: Run, flux: Path) -> None:
    torch.save(torch.ones(16, 8, 8), "mine.pt")
    run("--model", flux, "--start-latents", "mine.pt").refused(
        "start-latents mine.pt would have to be unpickled", "safetensors"
    )
    run("--model", flux, "--start-seed", "abc").refused("start-seed is 'abc'", "whole number")


# Of the hub's client, about what diffusers asks of it.
@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks`:UserWarning")
def test_an_id_that_cannot_be_downloaded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network; with one that the hub answers no on; nothing is asked of a real hub."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    advice = "give the folder: --model /path/to/folder"
    run("--model", "org/name").refused("model 'org/name' is no folder here", "offline", advice)
    kind = importlib.import_module("diffusers").DiffusionPipeline
    errors = importlib.import_module("huggingface_hub.errors")
    for name, reason in (("GatedRepoError", "licence"), ("RepositoryNotFoundError", "none of")):
        refusal = getattr(errors, name)

        def refused(name: str, refusal: Any = refusal) -> None:
            try:
                raise refusal.__new__(refusal)
            except refusal as error:
                raise OSError(f"{name} is not a local folder") from error

        monkeypatch.setattr(kind, "load_config", refused)
        run("--model", "org/name").refused(reason, "hf auth login", advice)
