"""Tiny checkpoints of the published verifiers: random weights in the published files."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from ..errors import unknown
from ..names import registry
from ..verifiers.settings import VerifierSettings

# Where each is made: a function of the folder that gives its settings, or where its weights are.
MAKERS = {
    "aesthetic": "tiny_clip:make_aesthetic",
    "clip-zeroshot": "tiny_clip:make_clip_zeroshot",
    "clipscore": "tiny_clip:make_clipscore",
    "dino-linear": "tiny_vision:make_dino_linear",
    "faces": "tiny_packaged:make_faces",
    "hpsv2": "tiny_clip:make_hpsv2",
    "imagenet-lite": "tiny_packaged:make_imagenet_lite",
    "imagereward": "tiny_blip:make_imagereward",
    "oracle-fid": "tiny_vision:make_oracle_fid",
    "oracle-is": "tiny_vision:make_oracle_is",
    "pickscore": "tiny_clip:make_pickscore",
    "self-supervised": "tiny_vision:make_self_supervised",
    "vqascore": "tiny_blip:make_vqascore",
}


def tiny_verifier(name: str, folder: str | Path) -> VerifierSettings:
    """A tiny checkpoint of a published verifier, written to ``folder`` in its published format.

    Returned is the verifier with its settings, which ``noisesearch.search(verifier=…)`` takes;
    ``str()`` of it is what the command line takes. Its weights are random, so its scores mean
    nothing; they are read by the code that reads the published ones. ConfigError for an unknown
    name.
    """
    if name not in MAKERS:
        raise unknown("tiny verifier", name, MAKERS)
    module, _, function = MAKERS[name].partition(":")
    make: Callable[[Path], VerifierSettings | Path]
    make = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    Path(folder).mkdir(parents=True, exist_ok=True)
    made = make(Path(folder))
    if isinstance(made, VerifierSettings):
        return made
    chosen: VerifierSettings = registry.load("verifier", name)(weights=str(made))
    return chosen
