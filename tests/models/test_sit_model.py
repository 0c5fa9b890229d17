"""SiT as a model of the library: classes as conditions, pictures, runs, the autoencoder."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.__main__ import main
from noisesearch.candidates.condition import Condition
from noisesearch.models.autoencoder import SCALE, SLICE, Autoencoder
from noisesearch.models.choice import model_of
from noisesearch.models.sit import files as sit_files
from noisesearch.models.sit.config import SiTConfig
from noisesearch.models.sit.denoiser import SiTDenoiser
from noisesearch.models.sit.model import SiTModel, sit
from noisesearch.models.sit.network import SiT
from noisesearch.runs.verify import verify
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.testing.mixture_model import brightness, evenness

NAMES = ["tench, Tinca tinca", "crane", "Golden Retriever", "crane", "shark"]


def made(folder: Path, channels: int = 1, names: Sequence[str] = NAMES, **sizes: Any) -> Path:
    """A small checkpoint with random weights, in our own format."""
    config = SiTConfig(**{
        "input_size": 8, "patch_size": 4, "in_channels": channels, "hidden_size": 32, "depth": 2,
        "num_heads": 2, "num_classes": 5, "learn_sigma": False, **sizes,
    })  # fmt: skip
    torch.manual_seed(0)
    network = SiT(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = folder / "model.safetensors"
    sit_files.save(network, path, class_names=names)
    return path


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> SiTModel:
    return sit(made(tmp_path_factory.mktemp("grey")))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("class:0", 0),
        ("class:4", 4),
        ("shark", 4),
        ("golden retriever", 2),
        ("TINCA TINCA", 0),
        ("tench", 0),
        ("tench, tinca tinca", 0),
        (None, None),
    ],
)
def test_conditions(text: str | None, label: int | None, grey: SiTModel) -> None:
    assert grey.condition(text) == Condition(label=label)
    ours = grey.build(1.0, "cpu", "float32")
    number = ours.encode([grey.condition(text)])["label"].tolist()
    assert number == [5 if label is None else label], "the null class comes after the last"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class:5", ("has classes from class:0 to class:4",)),
        ("class:-1", ("has classes from class:0 to class:4",)),
        ("class:²", ("has classes from class:0 to class:4",)),
        ("class:", ("has classes from class:0 to class:4",)),
        ("sharp", ("unknown class 'sharp'", "did you mean 'shark'")),
        ("crane", ("write class:1 and class:3",)),
    ],
)
def test_conditions_that_are_refused(text: str, words: Sequence[str], grey: SiTModel) -> None:
    with pytest.raises(ConfigError) as caught:
        grey.condition(text)
    for some in words:
        assert some in str(caught.value)


def test_without_names_or_a_null_class(tmp_path: Path) -> None:
    bare = sit(made(tmp_path, names=(), null_class=False))
    assert bare.words() == ()
    with pytest.raises(ConfigError, match="write class:0 to class:4, or list class_names"):
        bare.condition("shark")
    with pytest.raises(ConfigError, match="has no null class; name a class"):
        bare.condition(None)
    with pytest.raises(ConfigError, match=r"guidance is 2, but .* use --guidance 1"):
        bare.build(2.0, "cpu", "float32")
    with pytest.raises(ConfigError, match="knows classes only"):
        bare.condition("class:1", "class:2")
    bare.build(1.0, "cpu", "float32")


def test_examples_are_spread(grey: SiTModel) -> None:
    assert grey.examples(2) == ["class:0", "class:2"]
    assert grey.examples(99) == [f"class:{n}" for n in range(5)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_searches_on_pictures(channels: int, dtype: str, tmp_path: Path) -> None:
    """A whole run by the path of a folder; its winners come out of their recipes again."""
    made(tmp_path / "weights", channels)
    results = ns.search(
        ["class:2", "shark", None], model=str(tmp_path / "weights"), verifier=[brightness()],
        algorithm="zero-order", budget="6candidates", steps=3, guidance=2.0, dtype=dtype,
        out=tmp_path / "run",
    )  # fmt: skip
    assert [str(r.condition) for r in results] == ["class:2", "class:4", "unconditional"]
    for result in results:
        assert result.image.size == (8, 8) and result.image.mode == "RGB"
        assert result.ledger["nfe"] == 6 * 3 * 2 and result.ledger["forwards"] == 6 * 3 * 2 * 2
        assert result.winner.score >= result.baseline.score
        red, green, blue = result.image.split()
        assert (red.tobytes() == green.tobytes() == blue.tobytes()) == (channels == 1)
    assert len({r.image.tobytes() for r in results}) == 3
    found = verify(tmp_path / "run", PythonObjects(verifiers={"brightness": brightness()}))
    assert found["pixels"] == found["parts"] == 0


def test_first_order_search_climbs(grey: SiTModel) -> None:
    result = ns.search(
        "shark", model=grey, verifier=[evenness()], budget="20candidates", steps=2,
        algorithm=ns.FirstOrder(), rows=4,
    )  # fmt: skip
    scores = [c.score for c in result.candidates]
    assert len(scores) > 3 and max(scores) > scores[0] and result.ledger["backward"] > 0


VIVID = "def vivid(images, conditions):\n    return images.std(dim=(1, 2, 3))\n"


@dataclass
class Shell:
    """The command line in this process, since importing torch anew takes seconds."""

    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def __call__(self, cwd: Path, *arguments: object) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        self.patch.chdir(cwd)
        self.patch.setattr(sys, "argv", ["noisesearch", *map(str, arguments)])
        status: object = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
        assert isinstance(status, int)
        return status, *self.captured.readouterr()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def test_from_the_shell(tmp_path: Path, shell: Shell) -> None:
    """By a relative path, resumed from another folder; wrong requests are sentences."""
    made(tmp_path / "weights")
    (tmp_path / "vivid.py").write_text(VIVID)
    common = ("generate", "class:3", "--verifier", "vivid.py:vivid", "--model")
    status, out, err = shell(tmp_path, *common, "weights", "--budget", "4candidates",
                             "--steps", "2", "--out", "run", "--json")  # fmt: skip
    assert status == 0, err
    (first,) = json.loads(out)["searches"]
    assert first["condition"] == "class:3"
    (tmp_path / "else").mkdir()
    status, out, err = shell(tmp_path / "else", "resume", "../run", "--json")
    assert status == 0, err
    (second,) = json.loads(out)["searches"]
    assert second["winner"]["trajectory"] == first["winner"]["trajectory"]
    for model, words in (
        ("nothing.pt", "no file or folder"),
        ("SiT-XL/2", "names a network, not its weights"),
    ):
        status, out, err = shell(tmp_path, *common, model)
        assert status == 2 and out == "" and words in err, err
        assert err.startswith("noisesearch: ") and err.count("\n") == 1


def test_names_come_before_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shapes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_of("shapes").name == "shapes"


def test_latents_without_an_autoencoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"latents of 4 channels.*under the name vae"):
        sit(made(tmp_path, channels=4)).build(1.0, "cpu", "float32")


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small AutoencoderKL of diffusers, saved as the published ones are."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("latent") / "vae"
    blocks = {"block_out_channels": (8, 8), "norm_num_groups": 4, "latent_channels": 4}
    diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        **blocks,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_latents_are_decoded(vae: Path, tmp_path: Path) -> None:
    """The autoencoder beside the weights is found; the run's pictures have its size."""
    weights = made(vae.parent, channels=4)
    model = sit(weights)
    assert model.vae == vae and model.size == (16, 16)
    assert model.fingerprint != sit(made(tmp_path, channels=4), vae=tmp_path).fingerprint
    result = ns.search("shark", model=model, verifier=[brightness()], budget="4candidates",
                       steps=2, out=tmp_path / "run")  # fmt: skip
    assert result.image.size == (16, 16)


def test_decoding_is_the_autoencoder_s_and_the_same_in_every_slot(vae: Path) -> None:
    import diffusers

    latents = torch.randn(2 * SLICE + 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    ours = Autoencoder(vae, 4, "cpu")
    images = ours(latents)
    with torch.no_grad():
        theirs = diffusers.AutoencoderKL.from_pretrained(vae).decode(latents / SCALE).sample
    expected = (theirs / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(ours(latents.flip(0)).flip(0), images)
    leaf = latents[:2].clone().requires_grad_()
    ours(leaf).sum().backward()
    assert leaf.grad is not None and leaf.grad.any()


def test_wrong_autoencoders_are_refused(vae: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"decodes 4 channels and the checkpoint makes 3"):
        Autoencoder(vae, 3, "cpu")
    with pytest.raises(ConfigError, match="is no autoencoder of diffusers"):
        _ = sit(made(tmp_path, channels=4), vae=tmp_path / "nowhere").size
    (tmp_path / "config.json").write_bytes((vae / "config.json").read_bytes())
    with pytest.raises(ConfigError, match="cannot be loaded as an autoencoder"):
        Autoencoder(tmp_path, 4, "cpu")


def test_the_denoiser_is_the_protocol_s(grey: SiTModel) -> None:
    ours = grey.build(3.0, "cpu", "float32")
    assert isinstance(ours, SiTDenoiser) and ours.shape == (1, 8, 8) and ours.forwards == 2
    assert ours.flops > 0 and grey.space().shape == ours.shape
    with pytest.raises(ConfigError, match="must be float32 or bfloat16"):
        grey.build(1.0, "cpu", "float16")
