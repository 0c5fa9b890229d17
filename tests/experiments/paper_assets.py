"""All that the paper's experiments ask of their user: the published files, of tiny networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from noisesearch.evaluation.compbench.prompts import KINDS, LINES, OBJECTS
from noisesearch.models.sit import files as sit_files
from noisesearch.models.sit.config import SiTConfig
from noisesearch.models.sit.network import SiT
from noisesearch.testing import tiny_pipeline, tiny_verifier
from noisesearch.testing.tiny_blip import make_vqascore
from noisesearch.testing.tiny_vision import (
    make_dino_linear,
    make_oracle_fid,
    make_oracle_is,
    make_self_supervised,
)
from support.tiny_detectors import make_detector

CLASSES = 1000  # of ImageNet, whose classes a spec may name
PROMPTS = ("a cat", "a dog", "a red cube")
VERIFIERS = ("aesthetic", "clipscore", "imagereward", "pickscore")


class Assets:
    """By the names of the specs; each is made when it is first asked for."""

    def __init__(self, folder: Path, grader: str) -> None:
        self.folder, self.grader = folder, grader
        self._made: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._made:
            self._made[name] = self._make(name, self.folder / name)
        return self._made[name]

    def _make(self, name: str, at: Path) -> str:
        match name:
            case "flux" | "pixart" | "sdxl":
                tiny_pipeline(name, at)
            case "dpo":
                tiny_pipeline("sdxl", at)
            case "sit" | "sit_l" | "sit_b":
                return str(_sit(at, depth={"sit": 3, "sit_l": 2, "sit_b": 1}[name]))
            case "inception":
                make_oracle_is(at, CLASSES)
            case "statistics":
                return make_oracle_fid(at).reference
            case "real":
                at.mkdir()
                np.savez(at / "real.npz", features=np.random.default_rng(1).random((40, 256)))
                return str(at / "real.npz")
            case "dino":
                return str(make_dino_linear(at, CLASSES))
            case "clip":
                return str(tiny_verifier("clip-zeroshot", at))
            case "dinov2":
                make_self_supervised(at, "dino")
            case "clipl":
                make_self_supervised(at, "clip")
            case "siglip":
                make_self_supervised(at, "siglip")
            case "prompts":
                at.mkdir()
                (at / "drawbench.txt").write_text("\n".join(PROMPTS))
                return str(at / "drawbench.txt")
            case "compbench":
                make_compbench(at)
            case "blip":
                make_vqascore(at)
            case "detector":
                make_detector(at)
            case "clipb":
                tiny_verifier("clipscore", at)
            case "tagger":
                return "tagger-of-the-test"
            case "grader":
                return self.grader
            case _ if name in VERIFIERS:
                return str(tiny_verifier(name, at))
            case _:
                raise AssertionError(f"nothing stands for asset {name!r}")
        return str(at)


def _sit(folder: Path, depth: int) -> Path:
    """A small checkpoint of latents, its autoencoder beside it."""
    folder.mkdir()
    config = SiTConfig(
        input_size=8, patch_size=4, in_channels=4, hidden_size=32, depth=depth, num_heads=2,
        num_classes=CLASSES, learn_sigma=True,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(depth)
        network = SiT(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    path = folder / "model.safetensors"
    sit_files.save(network, path, class_names=[f"thing {n}" for n in range(CLASSES)])
    tiny_pipeline("sd").vae.save_pretrained(folder / "vae")
    return path


def make_compbench(folder: Path) -> None:
    """Prompts of T2I-CompBench's kinds, as many as published, and the lists beside them."""
    folder.mkdir()
    told = {
        "color": "a red dog and a blue cat",
        "shape": "a round chair and a square cat",
        "texture": "a wooden chair and a fluffy dog",
        "spatial": "a dog on the left of a cat",
        "numeracy": "two dogs and three chairs",
        "complex": "The fluffy dog is near the red chair.",
    }
    for kind in KINDS:
        lines = [f"{told[kind]}, number {n}" for n in range(LINES[f"{kind}_val"])]
        (folder / f"{kind}_val.txt").write_text("\n".join(lines))
    (folder / OBJECTS).write_text("dog - dogs\ncat - cats\nchair - chairs")
    for part in ("spatial", "action"):
        (folder / f"complex_val_{part}.txt").write_text("")
