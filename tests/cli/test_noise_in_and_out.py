"""The user's own noise by the command line: in by seed or file, out to a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_line import Done, Tool
from safetensors.torch import load_file, save_file

MODEL = ("--model", "noisesearch.testing:MixtureModel")
SHAPE = (1, 4, 4)  # of its noises


def generate(*arguments: object, out: str) -> list[object]:
    return ["generate", "x", *MODEL, "--budget", "5candidates", "--out", out, *arguments]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Done]]:
    """A folder and what became of the commands in it, one after the other."""
    folder = tmp_path_factory.mktemp("own")
    save_file({"latents": 3 * torch.ones(SHAPE)}, folder / "odd.safetensors")
    calls: dict[str, list[object]] = {
        "seed": generate("--start-seed", 1234, "--json", out="seed"),
        "export": ["export", "seed", "--latents", "--comfyui", "--json"],
        "back": generate("--start-latents", "seed/latents.safetensors", "--json", out="back"),
        "plain": ["export", "seed", "--latents", "--out", "mine.safetensors"],
        "odd": generate("--start-latents", "odd.safetensors", "--json", out="odd"),
        "verify": ["show", "odd", "--verify", "--json"],
        "nothing": ["export", "seed"],
        "elsewhere": ["export", "nowhere", "--latents"],
        "ending": ["export", "seed", "--latents", "--out", "mine.pt"],
        "both": generate("--start-latents", "odd.safetensors", "--start-seed", 1, out="both"),
        "paths": ["generate", "x", *MODEL, "--budget", "200", "--algorithm", "paths",
                  "--steps", "20", "--set", "paths=1", "--set", "width=2", "--out", "paths"],
        "renoised": ["export", "paths", "--latents"],
    }  # fmt: skip
    results = Tool(folder).batch(*calls.values())
    return folder, dict(zip(calls, results, strict=True))


def test_a_winner_goes_out_and_comes_back(done: tuple[Path, dict[str, Done]]) -> None:
    folder, found = done
    seed = found["seed"].json()["searches"][0]
    exported = found["export"].json()
    assert exported["file"] == "seed/latents.safetensors" and exported["lines"] == ""
    assert exported["comfyui"] == "seed/latents.latent"
    (winner,) = exported["winners"]
    assert winner["prompt"] == "x" and winner["score"] == seed["winner"]["score"]
    assert "written: seed/latents.safetensors and seed/latents.latent" in found["export"].err
    assert load_file(folder / "seed" / "latents.safetensors")["latents"].shape == (1, *SHAPE)
    back = found["back"].json()["searches"][0]
    assert back["baseline"]["parts"] == seed["winner"]["parts"]
    plain = found["plain"]
    assert (plain.status, plain.out) == (0, "") and (folder / "mine.safetensors").exists()
    assert "no pipeline of diffusers" in plain.err and "--start-latents mine" in plain.err


def test_latents_of_another_kind_are_remarked_on(done: tuple[Path, dict[str, Done]]) -> None:
    found = done[1]
    sentences = [s for s in found["odd"].err.splitlines() if "does not look like" in s]
    assert sentences == [
        "start-latents odd.safetensors does not look like unit normals, which models begin with "
        "(mean 3, standard deviation 0); it is used as it is"
    ]
    assert found["odd"].json()["searches"][0]["baseline"]["score"] is not None
    assert found["verify"].json()["verify"]["pixels"] == 0


def test_what_cannot_be_exported(done: tuple[Path, dict[str, Done]]) -> None:
    folder, found = done
    found["nothing"].refused("say what to export: --latents", "seed/samples")
    found["elsewhere"].refused("nowhere does not exist")
    found["ending"].refused("out is mine.pt", ".safetensors")
    found["both"].refused("start-seed and start-latents are both given")
    assert found["paths"].status == 0, found["paths"].err
    found["renoised"].refused("no winner of paths", "it was renoised on its way", "zero-order")
    left = ["paths/latents.safetensors", "mine.pt", "both"]
    assert not any((folder / name).exists() for name in left)
