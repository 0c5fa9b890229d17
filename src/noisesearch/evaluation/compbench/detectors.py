"""Detectors of transformers: those with labels of their own, and those that look for words.

The published scores come from UniDet, which knows 722 labels and runs on detectron2; with another
detector the rules are the same and the numbers are not.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...candidates.keys import digest
from ...errors import ConfigError, first_of
from ...files.fingerprint import of_file
from ...files.hub import downloaded
from ...files.pictures import Picture
from ...files.remote_code import trusted
from .detections import Detection, Detector, overlap

ASKED = ("owlvit", "owlv2")  # model types that are told what to look for
OPEN = "google/owlv2-base-patch16-ensemble"
SURE = 0.5  # the published detector's confidence
SURE_OF_WORDS = 0.1  # transformers' own for those that look for words, whose scores are small
SAME = 0.5  # intersection over union from which on they see one thing twice
INSTEAD = "give a folder with a detector: the metric's setting detector=/path/to/folder"
FILES = ("*.safetensors", "*.json", "*.txt")


@dataclass(frozen=True)
class OwnLabels:
    """DETR, YOLOS, RT-DETR and whatever else transformers calls an object detector."""

    network: Any
    processor: Any
    threshold: float
    fingerprint: str

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(self._names.values()) - {"N/A"}

    @property
    def _names(self) -> Mapping[int, str]:
        names: Mapping[int, str] = self.network.config.id2label
        return names

    def __call__(self, picture: Picture, wanted: Sequence[str]) -> list[Detection]:
        inputs = self.processor(images=picture, return_tensors="pt").to(self.network.device)
        with torch.inference_mode():
            seen = self.network(**inputs)
        [found] = self.processor.post_process_object_detection(
            seen, threshold=self.threshold, target_sizes=[picture.shape[:2]]
        )
        return _sorted(found, self._names)


@dataclass(frozen=True)
class PromptedDetector:
    """OWL-ViT and OWLv2: asked for ``a photo of a NOUN``, as they were trained."""

    network: Any
    processor: Any
    threshold: float
    fingerprint: str
    labels: None = None

    def __call__(self, picture: Picture, wanted: Sequence[str]) -> list[Detection]:
        """Of boxes of one label that overlap by half the surest alone."""
        if not wanted:
            return []
        texts = [[f"a photo of a {name}" for name in wanted]]
        inputs = self.processor(images=picture, text=texts, return_tensors="pt")
        with torch.inference_mode():
            seen = self.network(**inputs.to(self.network.device))
        [found] = self.processor.post_process_grounded_object_detection(
            seen, threshold=self.threshold, target_sizes=torch.tensor([picture.shape[:2]])
        )
        kept: list[Detection] = []
        for each in _sorted(found, dict(enumerate(wanted))):
            if not any(k.label == each.label and _share(k, each) > SAME for k in kept):
                kept.append(each)
        return kept


@cache
def opened(source: str, threshold: float | None, device: str) -> Detector:
    """The detector of a folder or hub id, on the device; ConfigError says what it lacks."""
    try:
        library = importlib.import_module("transformers")
    except ImportError as error:
        raise ConfigError(
            f"detectors need the package transformers ({error}): "
            "pip install 'noisesearch[verifiers]'"
        ) from error
    folder = _folder(source)
    try:
        here = {"local_files_only": True, "trust_remote_code": trusted()}
        config = library.AutoConfig.from_pretrained(folder, **here)
        asked = config.model_type in ASKED
        kind = library.AutoModelForZeroShotObjectDetection if asked else (
            library.AutoModelForObjectDetection)  # fmt: skip
        reader = library.AutoProcessor if asked else library.AutoImageProcessor
        processor = reader.from_pretrained(folder, **here)
        network, loaded = kind.from_pretrained(
            folder, **here, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # whatever a folder of something else makes of it
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"{source} cannot be opened by transformers as a detector ({said}); {INSTEAD}"
        ) from error
    if lost := sorted(loaded["missing_keys"]):
        raise ConfigError(
            f"{source} is no whole detector: it lacks {len(lost)} weights ({first_of(lost)}); "
            f"{INSTEAD}"
        )
    network.eval().requires_grad_(False).to(device)
    sure = (SURE_OF_WORDS if asked else SURE) if threshold is None else threshold
    weights = {path.name: of_file(path) for path in sorted(folder.glob("*.safetensors"))}
    fingerprint = digest(weights, sure)[:16]
    made = PromptedDetector if asked else OwnLabels
    return made(network, processor, sure, fingerprint)


def _folder(source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if source.startswith(("/", ".", "~")) or path.is_file():
        raise ConfigError(f"no folder {source} with a detector; {INSTEAD}")
    return downloaded(source, FILES, f"detector {source!r}", INSTEAD)


def _sorted(found: Mapping[str, Tensor], names: Mapping[int, str]) -> list[Detection]:
    """The surest first."""
    scores, labels, boxes = (found[name].tolist() for name in ("scores", "labels", "boxes"))
    every = [Detection(names[label], tuple(box), score)
             for score, label, box in zip(scores, labels, boxes, strict=True)]  # fmt: skip
    return sorted(every, key=lambda each: -each.score)


def _share(a: Detection, b: Detection) -> float:
    both, *areas = overlap(a.box, b.box)
    return both / (sum(areas) - both) if both else 0.0
