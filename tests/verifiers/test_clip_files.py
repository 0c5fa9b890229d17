"""CLIP's checkpoints in every layout that they are published in, and files that are none."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from noisesearch.candidates.condition import Condition
from noisesearch.errors import ConfigError
from noisesearch.names import registry
from noisesearch.testing import tiny_clip
from noisesearch.verifiers import weights
from noisesearch.verifiers.clip import files as clip_files
from noisesearch.verifiers.clip import open_clip_names as clip_names
from noisesearch.verifiers.clip.aesthetic import Aesthetic
from noisesearch.verifiers.clip.scores import ClipScore, HPSv2, PickScore
from noisesearch.verifiers.protocol import Views

transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_clip.make_clipscore(tmp_path / "clip")
    return tmp_path / "clip"


def score(source: Path | str) -> Tensor:
    images = torch.linspace(0, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
    verifier = ClipScore(weights=str(source)).open()
    return verifier(Views(images, [Condition(text="a red circle")] * 2))["clipscore"]


def shards(state: dict[str, Tensor], folder: Path) -> None:
    names = sorted(state)
    for i, some in enumerate((names[::2], names[1::2])):
        save_file(
            {n: state[n] for n in some}, str(folder / f"model-0000{i + 1}-of-00002.safetensors")
        )


LAYOUTS = {
    "shards": shards,
    "torch": lambda state, folder: torch.save(state, folder / "pytorch_model.bin"),
    "old torch": lambda state, folder: torch.save(
        # Saved before the numbers of the places were left out.
        {**state, "vision_model.embeddings.position_ids": torch.arange(17)[None],
         "text_model.embeddings.position_ids": torch.arange(77)[None]},
        folder / "pytorch_model.bin", _use_new_zipfile_serialization=False),
    "open_clip": lambda state, folder: save_file(
        {n: v.contiguous() for n, v in tiny_clip.open_clip(state).items()},
        str(folder / "open_clip_model.safetensors")),
    "nested": lambda state, folder: torch.save(
        {"epoch": 3, "state_dict": tiny_clip.open_clip(state)}, folder / "some.pt"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_scores_the_same(layout: str, folder: Path) -> None:
    wanted = score(folder)
    state = load_file(str(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    LAYOUTS[layout](state, folder)
    assert torch.equal(score(folder), wanted)


def test_a_file_stands_for_its_folder(folder: Path) -> None:
    assert torch.equal(score(folder / "model.safetensors"), score(folder))


def test_a_config_that_names_another_projection_inside(folder: Path) -> None:
    """As the published configs of H/14 do."""
    wanted = score(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for tower in ("text_config", "vision_config"):
        config[tower]["projection_dim"] = 512
    path.write_text(json.dumps(config))
    assert torch.equal(score(folder), wanted)


# Width, layers, heads, width of the perceptron of either tower, and the projection, after their
# configs on the hub.
PUBLISHED = {
    "H/14": ((1280, 32, 16, 5120), (1024, 24, 16, 4096), 1024),
    "g/14": ((1408, 40, 16, 6144), (1024, 24, 16, 4096), 1024),
    "bigG/14": ((1664, 48, 16, 8192), (1280, 32, 20, 5120), 1280),
    "L/14": ((1024, 24, 16, 4096), (768, 12, 12, 3072), 768),
}
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shapes_of_open_clip_tell_the_network(name: str) -> None:
    vision, text, projected = PUBLISHED[name]
    config = transformers.CLIPConfig(
        vision_config={**dict(zip(SIZES, vision, strict=True)), "patch_size": 14},
        text_config=dict(zip(SIZES, text, strict=True)), projection_dim=projected,
    )  # fmt: skip
    with torch.device("meta"):
        state = tiny_clip.open_clip(transformers.CLIPModel(config).state_dict())
    told = clip_names.told(state)
    assert told["projection_dim"] == projected
    assert tuple(told["vision_config"][size] for size in SIZES) == vision
    assert tuple(told["text_config"][size] for size in SIZES) == text
    got = transformers.CLIPConfig.from_dict(told)
    assert (got.vision_config.image_size, got.vision_config.patch_size) == (224, 14)
    assert got.text_config.max_position_embeddings == 77
    assert got.vision_config.hidden_act == got.text_config.hidden_act == "gelu"


def test_of_a_hub_id_one_format_is_had(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def downloaded(name: str, patterns: list[str], what: str, instead: str) -> Path:
        asked.append(patterns)
        return folder

    monkeypatch.setattr(weights, "downloaded", downloaded)
    state = load_file(str(folder / "model.safetensors"))
    wanted = score(folder)
    assert torch.equal(score("openai/clip-vit-large-patch14"), wanted)
    assert [patterns[0] for patterns in asked] == ["model.safetensors"]
    asked.clear()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert torch.equal(score("openai/clip-vit-large-patch14"), wanted)
    assert [patterns[0] for patterns in asked] == list(clip_files.SAVED[:3])


def test_a_tokenizer_from_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = score(folder)
    words = folder.with_name("words")
    words.mkdir()
    for path in folder.glob("tokenizer*"):
        shutil.move(path, words)
    images = torch.linspace(0, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
    views = Views(images, [Condition(text="a red circle")] * 2)
    given = ClipScore(weights=str(folder), tokenizer=str(words)).open()
    assert torch.equal(given(views)["clipscore"], wanted)
    monkeypatch.setattr(clip_files, "downloaded", lambda name, *_: {"some/hub-id": words}[name])
    had = ClipScore(weights=str(folder), tokenizer="some/hub-id").open()
    assert torch.equal(had(views)["clipscore"], wanted)
    assert had.fingerprint == given.fingerprint


def test_a_fingerprint_tells_weights_and_words_apart(folder: Path) -> None:
    first = ClipScore(weights=str(folder)).open().fingerprint
    assert ClipScore(weights=str(folder), dtype="bfloat16").open().fingerprint == first
    path = folder / "tokenizer_config.json"
    path.write_text(path.read_text() + "\n")
    # Files are hashed once a process, so another folder.
    second = Path(shutil.copytree(folder, folder.with_name("copy")))
    assert ClipScore(weights=str(second)).open().fingerprint != first


def lose(name: str, folder: Path) -> None:
    state = load_file(str(folder / "model.safetensors"))
    del state[name]
    save_file(state, str(folder / "model.safetensors"))


WRONG = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "holds no weights of verifier"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json is needed for verifier"),
    "another network": (
        lambda f: (f / "config.json").write_text('{"model_type": "bert"}'),
        r"of type 'bert', but verifier 'clipscore' needs one of type 'clip'; give a folder",
    ),
    "a part": (
        lambda f: lose("text_model.final_layer_norm.bias", f),
        r"it lacks 1 weights \(text_model.final_layer_norm.bias\)",
    ),
    "no tokenizer": (
        lambda f: (f / "tokenizer.json").write_text("nonsense"),
        r"tokenizer of verifier 'clipscore' cannot be read from .*; its files are tokenizer.json",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_files(what: str, folder: Path) -> None:
    spoil, said = WRONG[what]
    spoil(folder)
    with pytest.raises(ConfigError, match=said):
        ClipScore(weights=str(folder)).open()


def test_more_wrong_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file or folder /nowhere for verifier 'clipscore'"):
        ClipScore(weights="/nowhere").open()
    lose("logit_scale", folder)
    assert ClipScore(weights=str(folder)).open()
    with pytest.raises(ConfigError, match="'pickscore': it lacks logit_scale; give a folder"):
        PickScore(weights=str(folder)).open()
    torch.save({clip_names.MARK: torch.zeros(4, 3, 2, 2)}, tmp_path / "HPS_v2.1_compressed.pt")
    with pytest.raises(ConfigError, match=r"'hpsv2': it lacks visual.positional_embedding"):
        HPSv2(weights=str(tmp_path)).open()
    with pytest.raises(ConfigError, match=r"holds no weights of verifier 'hpsv2' \(HPS_v2_comp"):
        HPSv2(weights=str(tmp_path), version="2.0").open()


def test_two_checkpoints_in_one_folder(folder: Path) -> None:
    state = load_file(str(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    for name in ("first.safetensors", "second.safetensors"):
        save_file(state, str(folder / name))
    with pytest.raises(ConfigError, match=r"\(first.safetensors, second.safetensors\), so they"):
        ClipScore(weights=str(folder)).open()
    assert ClipScore(weights=str(folder / "first.safetensors")).open()


def test_a_tokenizer_of_more_words_than_the_network_knows(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    known = config["text_config"]["vocab_size"]
    config["text_config"]["vocab_size"] = known - 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=rf"has {known} words, but the network in .* knows"):
        ClipScore(weights=str(folder)).open()


def test_a_head_of_another_backbone(tmp_path: Path) -> None:
    settings = tiny_clip.make_aesthetic(tmp_path)
    state = torch.load(tmp_path / "sac+logos+ava1-l14-linearMSE.pth", weights_only=True)
    state["layers.0.weight"] = torch.zeros(1024, 768)
    torch.save(state, tmp_path / "large.pth")
    with pytest.raises(
        ConfigError, match=r"takes vectors of 768 numbers, but those of .* have 24"
    ):
        Aesthetic(weights=str(tmp_path / "large.pth"), backbone=settings.backbone).open()
    with pytest.raises(ConfigError, match=r"no file or folder /nowhere .*aesthetic\(backbone=/p"):
        Aesthetic(weights=settings.weights, backbone="/nowhere").open()
    with pytest.raises(ConfigError, match=r"lacks 10 weights \(layers.0.bias"):
        torch.save({"fc.weight": torch.zeros(1)}, tmp_path / "other.pth")
        Aesthetic(weights=str(tmp_path / "other.pth"), backbone=settings.backbone).open()


@pytest.mark.parametrize("name", ["clipscore", "pickscore", "hpsv2", "clip-zeroshot", "aesthetic"])
def test_without_transformers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tiny_clip.make_aesthetic(tmp_path)
    given = settings if name == "aesthetic" else registry.load("verifier", name)(
        weights=settings.backbone
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "transformers", None)
    said = rf"'{name}' needs the package transformers .*'noisesearch\[verifiers\]'"
    with pytest.raises(ConfigError, match=said):
        given.open()
