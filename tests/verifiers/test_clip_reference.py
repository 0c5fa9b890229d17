"""CLIP's verifiers against numbers of the published code."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from noisesearch.candidates.condition import Condition
from noisesearch.verifiers import preprocess
from noisesearch.verifiers.clip.aesthetic import HEAD, HEADS, AestheticVerifier, loaded
from noisesearch.verifiers.clip.scores import ClipScore, ClipVerifier, HPSv2, PickScore
from noisesearch.verifiers.clip.towers import ImageTower, TextTower, cropped
from noisesearch.verifiers.clip.zeroshot import ClassSentences
from noisesearch.verifiers.protocol import Views
from noisesearch.verifiers.weights import files

transformers = pytest.importorskip("transformers")

ROWS = range(6)  # pictures and texts of the reference, by number


@pytest.fixture
def numbers(fixture_of) -> dict[str, Tensor]:
    return fixture_of("clip_scores_tiny")


@pytest.fixture
def folder(tmp_path: Path, reference_path) -> Path:
    """With a tokenizer of the reference's size; its words do not matter."""
    letters = [chr(code) for code in range(ord("!"), ord("!") + 98)]
    words = {**{letter: i for i, letter in enumerate(letters)},
             "<|startoftext|>": 98, "<|endoftext|>": 99}  # fmt: skip
    transformers.CLIPTokenizer(words, []).save_pretrained(str(tmp_path))
    return tmp_path


@pytest.fixture
def config(folder: Path, reference_path):
    """Writes the config.json of one of the two networks."""

    def write(name: str) -> None:
        with safe_open(str(reference_path("clip_scores_tiny.safetensors")), "pt") as stored:
            (folder / "config.json").write_text(stored.metadata()[f"{name}.config"])

    return write


def branch(numbers: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in numbers.items() if n.startswith(prefix)}


def doubled(verifier: ClipVerifier, ids: Tensor) -> ClipVerifier:
    """In float64, with the reference's tokens: a text is the number of its row."""

    def tokens(sentences: Sequence[str]) -> Tensor:
        return ids[[int(sentence.split()[-1]) for sentence in sentences]]

    images, texts = verifier.image_tower, verifier.text_tower
    return replace(
        verifier,
        image_tower=replace(images, network=copy.deepcopy(images.network).double()),
        text_tower=replace(
            texts, network=copy.deepcopy(texts.network).double(), tokens=tokens, known={}
        ),
    )


def pictures(numbers: dict[str, Tensor]) -> Tensor:
    """What becomes the reference's pixels again; they have the network's size already."""
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None]
                 for v in (preprocess.CLIP_MEAN, preprocess.CLIP_STD))  # fmt: skip
    return numbers["in.pixel_values"].double() * std + mean


def all_pairs(verifier: ClipVerifier, images: Tensor) -> Tensor:
    """[images, texts]."""
    columns = [
        verifier(Views(images, [Condition(text=str(text))] * len(images)))[verifier.name]
        for text in ROWS
    ]
    return torch.stack(columns, 1)


def close(got: Tensor, wanted: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(got.double(), wanted.double(), atol=tolerance, rtol=0)


@pytest.mark.parametrize("padding", ["eos", "0"])
@pytest.mark.parametrize("name", ["quick_gelu", "gelu"])
def test_clipscore_reference(name: str, padding: str, numbers, folder: Path, config) -> None:
    config(name)
    save_file(branch(numbers, f"{name}.model."), str(folder / "model.safetensors"))
    opened = ClipScore(weights=str(folder)).open()
    verifier = doubled(opened, numbers[f"in.input_ids_pad_{padding}"])
    got = all_pairs(verifier, pictures(numbers))
    cosines = numbers[f"{name}.out.cos_float64"]
    close(got, 2.5 * cosines.clamp_min(0), 1e-9)
    close(got, numbers[f"{name}.out.clipscore_all_pairs"], 5e-5)
    features = verifier.features(Views(pictures(numbers), []))
    wanted = nn.functional.normalize(numbers[f"{name}.out.image_features"], dim=1)
    close(features, wanted, 1e-5)


def test_pickscore_reference(numbers, folder: Path, config) -> None:
    config("gelu")
    torch.save(branch(numbers, "gelu.model."), folder / "pytorch_model.bin")
    opened = PickScore(weights=str(folder)).open()
    got = all_pairs(doubled(opened, numbers["in.input_ids_pad_eos"]), pictures(numbers))
    temperature = numbers["gelu.model.logit_scale"].double().exp()
    close(got, temperature * numbers["gelu.out.cos_float64"], 1e-9 * float(temperature))
    close(got, numbers["gelu.out.logits_per_image"], 5e-5)
    close(got.T, numbers["gelu.out.pickscore_text_by_image"], 5e-5)
    close(got.T.softmax(1), numbers["gelu.out.pickscore_probs_text_by_image"], 5e-5)


def test_hpsv2_reference_from_open_clip_names(numbers, folder: Path, config) -> None:
    config("gelu")
    whole = {"epoch": 1, "state_dict": branch(numbers, "gelu.openclip.")}
    torch.save(whole, folder / "HPS_v2.1_compressed.pt")
    opened = HPSv2(weights=str(folder)).open()
    got = all_pairs(doubled(opened, numbers["in.input_ids_pad_0"]), pictures(numbers))
    close(got, numbers["gelu.out.cos_float64"], 1e-9)
    close(got, numbers["gelu.out.hpsv2_image_by_text"], 1e-5)
    close(got.diagonal(), numbers["gelu.out.hpsv2_paired_diagonal"], 1e-5)


class Given(nn.Module):
    """A network whose features are known: of images in their order, of texts by number."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.known = nn.Parameter(features.double(), requires_grad=False)
        self.text_projection = nn.Linear(features.shape[-1], features.shape[-1], bias=False)
        self.text_projection.weight = nn.Parameter(torch.eye(features.shape[-1]).double(), False)

    def text_model(self, numbers: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.known.flatten(0, -2)[numbers])

    def forward(self, pixels: Tensor) -> SimpleNamespace:
        return SimpleNamespace(image_embeds=self.known)


def test_zero_shot_reference(numbers) -> None:
    """Of eight sentences of each of five classes."""
    texts, images = numbers["zeroshot.in.text_features"], numbers["zeroshot.in.image_features"]
    classes, count = texts.shape[:2]
    sentences = ClassSentences(tuple("01234"), tuple(f"{{}} {place}" for place in range(count)))

    def tokens(of: Sequence[str]) -> Tensor:
        """The number of a sentence, and what ends it."""
        rows = [int(kind) * count + int(place) for kind, place in (s.split() for s in of)]
        return torch.tensor(rows)[:, None]

    towers = (
        ImageTower(Given(images), ("zero-shot",), 32),
        TextTower(Given(texts), tokens, 99, ""),
    )
    verifier = ClipVerifier("zero", cropped, sentences, lambda x: x, 1.0, "", *towers, "")
    seen = Views(torch.zeros(len(images), 3, 32, 32), [Condition(label=0)] * len(images))
    columns = [
        verifier(replace(seen, conditions=[Condition(label=label)] * len(images)))["zero"]
        for label in range(classes)
    ]
    close(100 * torch.stack(columns, 1), numbers["zeroshot.out.logits"], 5e-5)
    weights = [towers[1].vectors([sentences(Condition(label=i))], seen.images.device)[0]
               for i in range(classes)]  # fmt: skip
    close(torch.stack(weights, 1), numbers["zeroshot.out.classifier"], 1e-5)


def test_aesthetic_reference(fixture_of, tmp_path: Path) -> None:
    numbers = fixture_of("aesthetic_head_tiny")
    torch.save(branch(numbers, "model."), tmp_path / f"{HEAD}.pth")
    head = loaded(files("aesthetic", str(tmp_path), HEADS)).double()
    tower = ImageTower(Given(numbers["in.embedding"]), ("aesthetic",), 32)
    got = AestheticVerifier(tower, head, "")(Views(torch.zeros(8, 3, 32, 32), []))["aesthetic"]
    close(got[:, None], numbers["out.score_float64"], 1e-9)
    close(got[:, None], numbers["out.score"], 1e-5)
