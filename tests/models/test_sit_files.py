"""SiT checkpoints on disk: the published formats, our own, and everything that is neither."""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from noisesearch import ConfigError
from noisesearch.models.sit.config import NAMES, SiTConfig, sized
from noisesearch.models.sit.files import SiTCheckpoint, load, save, understand
from noisesearch.models.sit.model import SiTModel, sit
from noisesearch.models.sit.network import SiT

TINY = SiTConfig(
    input_size=8, patch_size=4, in_channels=1, hidden_size=32, depth=2, num_heads=2, num_classes=5
)
HEADS = {"num_heads": 2}
Weights = dict[str, Tensor]


def weights(seed: int, config: SiTConfig = TINY) -> Weights:
    torch.manual_seed(seed)
    fresh = SiT(config).state_dict()
    return {n: w if n == "pos_embed" else 0.1 * torch.randn_like(w) for n, w in fresh.items()}


EMA, RAW = weights(1), weights(2)


def marked(branch: str, of: Weights) -> Weights:
    return {f"{branch}.{name}": tensor for name, tensor in of.items()}


def trained() -> dict[str, Any]:
    """What the published training script stores: arguments and optimiser too."""
    network = SiT(TINY)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.zeros(1, 1, 8, 8), torch.zeros(1), torch.zeros(1).long()).sum().backward()
    optimiser.step()
    arguments = argparse.Namespace(model="SiT-XL/2", image_size=256, lr=1e-4)
    return {"model": RAW, "ema": EMA, "opt": optimiser.state_dict(), "args": arguments}


def same(model: SiTModel, expected: Weights, dtype: torch.dtype = torch.float32) -> None:
    network = load(model.checkpoint, model.config, "cpu", dtype)
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == dtype and torch.equal(tensor, expected[name].to(dtype)), name


FORMS: dict[str, tuple[str, Callable[[], Any], str | None, Weights]] = {
    "plain": ("a.pt", lambda: RAW, None, RAW),
    "ema-and-model": ("a.pt", trained, None, EMA),
    "model-of-both": ("a.pt", trained, "model", RAW),
    "ema-only": ("a.ckpt", lambda: {"ema": EMA}, None, EMA),
    "model-only": ("a.pth", lambda: {"model": RAW}, None, RAW),
    "safetensors": ("a.safetensors", lambda: RAW, None, RAW),
    "safetensors-of-both": (
        "a.safetensors", lambda: {**marked("model", RAW), **marked("ema", EMA)}, None, EMA,
    ),
    "safetensors-model": ("a.safetensors", lambda: marked("model", RAW), "model", RAW),
}  # fmt: skip


def written(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(content, str(path))
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_published_formats(form: str, tmp_path: Path) -> None:
    name, content, branch, expected = FORMS[form]
    path = written(tmp_path / name, content())
    for source in (path, tmp_path):
        model = sit(source, branch=branch, settings=HEADS)
        assert model.config == TINY
        same(model, expected)


def test_a_file_of_the_old_kind(tmp_path: Path) -> None:
    torch.save({"ema": EMA}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    same(sit(tmp_path, settings=HEADS), EMA)


def test_half_precision_on_either_side(tmp_path: Path) -> None:
    stored = {name: tensor.half() for name, tensor in RAW.items()}
    model = sit(written(tmp_path / "a.safetensors", stored), settings=HEADS)
    same(model, stored)
    same(model, stored, torch.bfloat16)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("learn_sigma", [False, True])
def test_shapes_tell_a_published_network(name: str, learn_sigma: bool) -> None:
    config = sized(name, learn_sigma=learn_sigma)
    with torch.device("meta"):
        shapes = {n: tuple(w.shape) for n, w in SiT(config).state_dict().items()}
    assert understand(SiTCheckpoint(Path("a.pt")), {}, shapes) == config


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    """Also several networks in one folder, each with a JSON of its name."""
    names = ("ape", "bee", "cat", "dog", "eel")
    small = TINY.model_copy(update={"gelu": "none", "null_class": False, "mlp_ratio": 2.5})
    for stem, config in (("tiny", TINY), ("small", small)):
        network = SiT(config)
        network.load_state_dict(weights(3, config))
        save(network, tmp_path / f"{stem}.safetensors", torch.float16, names)
        model = sit(tmp_path / f"{stem}.safetensors")
        assert model.config == config and model.class_names == names and model.name == stem
        same(model, {n: w.half() for n, w in weights(3, config).items()})


def test_fingerprints_know_weights_branch_and_sizes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pt", trained())
    other = written(tmp_path / "b.pt", {**trained(), "ema": RAW})
    models = [
        sit(path, settings=HEADS),
        sit(path, settings={"num_heads": 4}),
        sit(path, branch="model", settings=HEADS),
        sit(other, settings=HEADS),
    ]
    assert len({m.fingerprint for m in models}) == 4
    assert sit(path, settings={**HEADS, "class_names": list("abcde")}).fingerprint == (
        models[0].fingerprint
    )


WRONG: dict[str, tuple[Any, dict[str, Any], tuple[str, ...]]] = {
    "half a checkpoint": (
        {n: w for n, w in RAW.items() if not n.startswith(("blocks.1.attn", "t_embedder"))},
        {"settings": HEADS},
        ("lacks t_embedder.mlp.0.weight", "and 5 more", "give the whole checkpoint"),
    ),
    "the rest of it": (
        {n: w for n, w in RAW.items() if n.startswith("blocks")},
        {"settings": HEADS},
        ("no whole SiT checkpoint", "lacks x_embedder.proj.weight", "holds blocks.0.adaLN"),
    ),
    "another network": (
        {"conv.weight": torch.zeros(2, 2)}, {}, ("holds conv.weight", "of a SiT checkpoint")
    ),
    "more than it": (
        {**RAW, "blocks.1.norm1.weight": torch.zeros(32)},
        {"settings": HEADS},
        ("has blocks.1.norm1.weight beyond it",),
    ),
    "another size": (
        RAW,
        {"size": "SiT-S/4"},
        ("does not fit SiT-S/4 of 12 blocks", "lacks blocks.2", "must be [1, 4, 384]"),
    ),
    "unknown heads": (RAW, {}, ("2 blocks of width 32", '{"num_heads": …} to config.json')),
    "heads that do not divide": (RAW, {"settings": {"num_heads": 5}}, ("num_heads, 5",)),
    "a misspelt setting": (RAW, {"settings": {"heads": 2}}, ("did you mean 'num_heads'",)),
    "a setting of the wrong kind": (
        RAW, {"settings": {**HEADS, "null_class": "perhaps"}}, ("null_class", "got 'perhaps'")
    ),
    "classes that do not fit": (
        RAW, {"settings": {**HEADS, "num_classes": 9}}, ("table.weight is [6, 32]", "[10, 32]")
    ),
    "too few names": (
        RAW, {"settings": {**HEADS, "class_names": ["ape"]}}, ("5 classes and 1 class_names",)
    ),
    "names that are none": (
        RAW, {"settings": {**HEADS, "class_names": "ape"}}, ("'ape', but must be a list",)
    ),
    "a branch that is not there": (RAW, {"branch": "ema"}, ("no weights under 'ema'",)),
    "an unknown size": (RAW, {"size": "SiT-M/2"}, ("did you mean",)),
    "a list": ([torch.zeros(1)], {}, ("holds a list, not named weights",)),
    "objects": (
        {"ema": EMA, "args": pytest.Item}, {},
        ("holds Python objects", "not unpickled", "safetensors"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_refused(what: str, ending: str, tmp_path: Path) -> None:
    content, request, expected = WRONG[what]
    if ending == ".safetensors" and what in ("a list", "objects"):
        return  # cannot be written at all
    path = written(tmp_path / f"a{ending}", content)
    with pytest.raises(ConfigError) as caught:
        sit(path, **request)
    for words in expected:
        assert words in str(caught.value), caught.value
    assert "\n" not in str(caught.value)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    cases = {
        "text.pt": b"once upon a time",
        "empty.pt": b"",
        "torn.pt": b"PK\x03\x04" + bytes(40),
        "pickle.pt": pickle.dumps({"a": Path("b")}),
        "text.safetensors": b"once upon a time",
        "empty.safetensors": b"",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=r"cannot be read|not unpickled"):
            sit(tmp_path / name)


def test_folders_without_one_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file or folder .*/nowhere: give the"):
        sit(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="holds no weights"):
        sit(tmp_path)
    for name in ("a.pt", "b.safetensors"):
        written(tmp_path / name, RAW)
    with pytest.raises(ConfigError, match=r"several weights \(a.pt, b.safetensors\)"):
        sit(tmp_path)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ConfigError, match="a diffusers pipeline, not a SiT"):
        sit(tmp_path)
    with pytest.raises(ConfigError, match="names a network, not its weights"):
        sit("SiT-XL/2")


def test_a_broken_json_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pt", RAW)
    for text, words in (("{", "cannot be read as JSON"), ("[]", "must hold an object")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ConfigError, match=words):
            sit(path)
    (tmp_path / "config.json").write_text(json.dumps(HEADS))
    assert sit(path).config == TINY
    (tmp_path / "a.json").write_text(json.dumps({"num_heads": 4}))
    assert sit(path).config.num_heads == 4, "the JSON of its own name comes first"


def test_a_checkpoint_that_lost_its_last_blocks_says_how_many_there_should_be() -> None:
    config = sized("SiT-XL/2").model_copy(update={"depth": 20})
    with torch.device("meta"):
        shapes = {n: tuple(w.shape) for n, w in SiT(config).state_dict().items()}
    with pytest.raises(ConfigError, match=r"20 blocks of width 1152, .*SiT-XL has 28 of it"):
        understand(SiTCheckpoint(Path("a.pt")), {}, shapes)
