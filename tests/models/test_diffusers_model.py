"""Diffusers pipelines as models: folders, objects, sizes, searches, and what is refused."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.__main__ import main
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.trajectory import Grid
from noisesearch.models.choice import model_of
from noisesearch.models.diffusers.denoiser import PIXELS, DiffusersDenoiser
from noisesearch.models.diffusers.model import DiffusersModel
from noisesearch.models.pipelines import from_folder, from_object
from noisesearch.runs.verify import verify
from noisesearch.sampling.denoiser import DENOISE
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness, evenness


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipelines") / "tiny-flux"
    tiny_pipeline("flux", path)
    return path


@pytest.fixture(scope="module")
def flux() -> Any:
    return tiny_pipeline("flux")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A folder to spoil."""
    return Path(shutil.copytree(folder, tmp_path / "spoilt"))


def test_a_model_by_its_folder(folder: Path) -> None:
    model = model_of(str(folder))
    assert (model.name, model.steps, model.guidance, model.solver) == (
        "tiny-flux",
        4,
        3.5,
        "euler",
    )
    assert model.size == (32, 32) and model.space().shape == (16, 8, 8)
    assert model.ensemble == ("clipscore", "aesthetic", "imagereward")
    assert model.fingerprint == from_folder(folder).fingerprint


@pytest.mark.parametrize(
    ("name", "size", "steps", "guidance"),
    [("flux", (512, 512), 30, 3.5), ("flux-schnell", (512, 512), 4, 1.0),
     ("sd3", (32, 32), 28, 7.0), ("sana", (32, 32), 20, 4.5)],
)  # fmt: skip
def test_defaults_of_the_families(
    name: str, size: tuple[int, int], steps: int, guidance: float
) -> None:
    """Without a preset; a tiny autoencoder has a quarter of the places along each side."""
    pipeline = tiny_pipeline(name)
    del pipeline.noisesearch
    model = from_object(pipeline)
    assert (model.size, model.steps, model.guidance) == (size, steps, guidance)


def test_times(flux: Any) -> None:
    """The published schedule of FLUX at 1024×1024: μ = 1.15 for its 4,096 tokens."""
    model = from_object(flux).sized(512, 512)
    sigmas = torch.linspace(1, 1 / 30, 30, dtype=torch.float64)
    e = torch.tensor(1.15, dtype=torch.float64).exp()
    expected = [*(e / (e + 1 / sigmas - 1)).tolist(), 0.0]
    times = model.space().times
    assert times(Grid(30)) == pytest.approx(expected, abs=1e-6)
    assert times(Grid(4, 1.0, 0.2)) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert times(Grid(2, 0.5, 0.0)) == pytest.approx([0.5, 0.25, 0.0])


def test_a_search_by_folder_is_resumed_and_verified(folder: Path, tmp_path: Path) -> None:
    def search(out: str) -> Any:
        return ns.search(
            "a red circle", model=str(folder), verifier=[brightness(), evenness()],
            algorithm="paths", budget=60, seed=3, size="48x32", out=tmp_path / out,
        )  # fmt: skip

    first, again = search("a"), search("b")
    assert first.winner.trajectory == again.winner.trajectory
    assert first.winner.score == again.winner.score
    assert first.winner.image.size == (48, 32)
    more = ns.resume(tmp_path / "a", budget="90", yes=True, verifier=[brightness(), evenness()])
    assert more[0].winner.score >= first.winner.score


def test_the_command_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    scorer = tmp_path / "mine.py"
    scorer.write_text("def vivid(images, conditions):\n    return images.std(dim=(1, 2, 3))\n")
    words = ["generate", "a red circle", "--model", str(folder), "--verifier", f"{scorer}:vivid",
             "--algorithm", "random", "--budget", "3candidates", "--size", "32x64", "--json",
             "--dtype", "float32",             "--out", str(tmp_path / "run")]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["noisesearch", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["searches"][0]["ledger"]["nfe"] == 12
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert (spec["size"], spec["steps"], spec["dtype"]) == ("32x64", 4, "float32")
    assert verify(tmp_path / "run") is not None


@pytest.mark.parametrize("name", ["flux", "flux-schnell", "sd3"])
def test_a_pipeline_in_memory_is_used_and_left_as_it_is(name: str, tmp_path: Path) -> None:
    pipeline = tiny_pipeline(name)
    before = from_object(pipeline).fingerprint
    state = dict(vars(pipeline))
    scheduler = {k: str(v) for k, v in vars(pipeline.scheduler).items()}
    found = ns.search(
        ["a red circle", "a blue square"], model=pipeline, verifier=brightness(),
        algorithm="first-order", budget=40, seed=1, out=tmp_path / "run",
    )  # fmt: skip
    assert all(each.winner.score >= each.baseline.score for each in found)
    assert from_object(pipeline).fingerprint == before
    assert vars(pipeline) == state
    assert {k: str(v) for k, v in vars(pipeline.scheduler).items()} == scheduler
    weights = list(pipeline.transformer.parameters())
    assert all(w.requires_grad and w.grad is None for w in weights)
    with pytest.raises(ConfigError, match="Python objects that are needed again"):
        ns.resume(tmp_path / "run")
    more = ns.resume(tmp_path / "run", model=pipeline, verifier=brightness(), budget=60, yes=True)
    assert more[0].winner.score >= found[0].winner.score


def test_other_weights_are_noticed(flux: Any, folder: Path, copy: Path) -> None:
    other = tiny_pipeline("flux")
    assert from_object(other).fingerprint == from_object(flux).fingerprint
    with torch.no_grad():
        other.transformer.proj_out.bias.add_(1e-3)
    assert from_object(other).fingerprint != from_object(flux).fingerprint
    other = tiny_pipeline("flux")
    other.scheduler = type(other.scheduler).from_config({**other.scheduler.config, "shift": 2.0})
    assert from_object(other).fingerprint != from_object(flux).fingerprint
    loaded = [type(flux).from_pretrained(str(f), use_safetensors=True) for f in (folder, copy)]
    assert from_object(loaded[0]).fingerprint == from_object(loaded[1]).fingerprint, "of elsewhere"
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace("1.15", "1.2"))
    assert from_folder(copy).fingerprint != from_folder(folder).fingerprint


def test_sana_keeps_the_side_of_padding() -> None:
    pipeline = tiny_pipeline("sana")
    pipeline.tokenizer.padding_side = "left"
    from_object(pipeline).build(2.0, "cpu", "float32").encode([Condition(text="a red circle")])
    assert pipeline.tokenizer.padding_side == "left"


def test_half_precision_files(flux: Any, tmp_path: Path) -> None:
    """A folder that has only the published half-precision variant."""
    flux.save_pretrained(str(tmp_path), variant="fp16")
    denoiser = from_folder(tmp_path).sized(32, 32).build(3.5, "cpu", "float32")
    assert denoiser.forwards == 1


@pytest.mark.parametrize("name", ["sd3", "sana", "pixart", "sdxl", "sd"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_every_family_in_half_precision(name: str, dtype: str, tmp_path: Path) -> None:
    """From files in float32: every network comes in the precision that is asked for."""
    tiny_pipeline(name, tmp_path)
    model = from_folder(tmp_path)
    denoiser = model.build(model.guidance, "cpu", dtype)
    words = denoiser.encode([Condition(text="a red circle")])
    x0, eps = denoiser(torch.zeros(1, *denoiser.shape), torch.full((1,), 0.5), words)
    assert x0.isfinite().all() and eps.isfinite().all()
    assert {n.dtype for n in denoiser.networks[DENOISE]} == {getattr(torch, dtype)}


def test_in_half_precision(folder: Path) -> None:
    """Loaded in bfloat16, samples stay near those of float32."""
    images = []
    for dtype in ("float32", "bfloat16"):
        found = ns.search(
            "a red circle", model=str(folder), verifier=brightness(), algorithm="random",
            budget="2candidates", dtype=dtype,
        )  # fmt: skip
        images.append(found.baseline.score)
    assert images[0] != images[1] and images[0] == pytest.approx(images[1], abs=0.02)


def test_forwards_and_flops(flux: Any) -> None:
    """Two matrix products dominate a linear layer: the count must be of the right size."""
    sd3 = from_object(tiny_pipeline("sd3"))
    assert sd3.build(7.0, "cpu", "float32").forwards == 2
    assert sd3.build(1.0, "cpu", "float32").forwards == 1
    denoiser = from_object(flux).build(3.5, "cpu", "float32")
    assert denoiser.forwards == 1
    tokens = 512 + 16
    blocks = sum(p.numel() for n, p in flux.transformer.named_parameters()
                 if "blocks" in n and "norm" not in n)  # fmt: skip
    attention = 2 * 2 * 2 * tokens**2 * 32  # two blocks, two products of multiply-adds
    # A double block has weights for the picture and for the words: each token meets about half.
    assert 0.5 < denoiser.flops / (blocks * tokens * 2 * 0.7 + attention) < 1.5


def test_decoding_in_slices(flux: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is the same to the bit wherever it is in the batch, and near what it is in one go."""
    denoiser = from_object(flux).build(3.5, "cpu", "float32")
    x0 = torch.randn(5, *denoiser.shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = denoiser.decode(x0)
        module = importlib.import_module(DiffusersDenoiser.__module__)
        monkeypatch.setattr(module, "PIXELS", 2 * 32 * 32)
        sliced = denoiser.decode(x0)
        turned = denoiser.decode(x0.flip(0)).flip(0)
    assert PIXELS > 2 * 32 * 32
    assert torch.equal(sliced, turned)
    assert (sliced - whole).abs().max() < 1e-5
    assert sliced.min() >= 0 and sliced.max() <= 1


def lack(part: str) -> Callable[[Path], Any]:
    return lambda path: shutil.rmtree(path / part)


def empty(part: str) -> Callable[[Path], Any]:
    return lambda path: [f.unlink() for f in (path / part).glob("*.safetensors")]


def pickled(path: Path) -> None:
    (found,) = (path / "vae").glob("*.safetensors")
    found.rename(found.with_suffix(".bin"))


def indexed(**changes: Any) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        index = json.loads((path / "model_index.json").read_text())
        (path / "model_index.json").write_text(json.dumps({**index, **changes}))

    return spoil


def half(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    (file,) = (path / "transformer").glob("*.safetensors")
    weights = load_file(file)
    del weights["proj_out.weight"]
    save_file(weights, file, {"format": "pt"})


def cut(path: Path) -> None:
    (file,) = (path / "vae").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lack("vae"), "lacks the folder vae"),
        (lack("tokenizer_2"), "lacks the folder tokenizer_2"),
        (empty("transformer"), "transformer holds no weights"),
        (pickled, "would have to be unpickled"),
        (half, r"the whole FluxTransformer2DModel .* lacks 1 of its weights \(proj_out.weight\)"),
        (cut, "vae cannot be loaded"),
        (indexed(vae=[None, None]), "has no vae in its model_index.json"),
        (indexed(_class_name="NewPipeline"), "is a NewPipeline, which is no pipeline that the "
         "installed diffusers knows"),
        (indexed(transformer=["evil", "Net"]), "is a evil.Net, which is not in the installed"),
        (lambda path: (path / "model_index.json").write_text("{"), "cannot be read as JSON"),
        (lambda path: (path / "noisesearch.json").write_text('{"step": 3}'), "step: extra"),
    ],
)  # fmt: skip
def test_spoilt_folders(copy: Path, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(copy)
    with pytest.raises(ConfigError, match=said) as error:
        model_of(str(copy)).build(1.0, "cpu", "float32")
    assert "\n" not in str(error.value)


def test_folders_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"or with the model_index.json of a diffusers"):
        model_of(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(ConfigError, match="no folder models/flux"):
        model_of("models/flux")


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the network's, not what the hub's client makes of it."""
    kind = importlib.import_module("diffusers").DiffusionPipeline

    def unreachable(name: str) -> None:
        try:
            raise ConnectionError("name or service not known")
        except ConnectionError as error:
            raise OSError(f"{name} has no file named model_index.json") from error

    monkeypatch.setattr(kind, "load_config", unreachable)
    with pytest.raises(
        ConfigError, match=r"'org/name' .*name or service not known.*--model /path"
    ):
        model_of("org/name")
    monkeypatch.setattr(kind, "load_config", lambda name: {"_class_name": "NewPipeline"})
    with pytest.raises(ConfigError, match="org/name is a NewPipeline, which is no pipeline"):
        model_of("org/name")


def test_a_hub_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is downloaded is a folder; only safetensors are asked for."""
    kind = importlib.import_module("diffusers").DiffusionPipeline
    asked: dict[str, Any] = {}

    def download(name: str, **settings: Any) -> str:
        asked.update(settings, name=name)
        return str(folder)

    monkeypatch.setattr(kind, "load_config", lambda name: {"_class_name": "FluxPipeline"})
    monkeypatch.setattr(kind, "download", download)
    model = model_of("org/name")
    assert isinstance(model, DiffusersModel) and model.name == "org/name"
    assert asked == {"name": "org/name", "use_safetensors": True}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": "33x32"}, "33x32: width and height of FluxPipeline must be multiples of 8"),
        ({"size": "0x32"}, "must be multiples of 8, such as 8x32"),
        ({"size": "big"}, "must be WIDTHxHEIGHT"),
        ({"negative": "blurry"}, "reads its guidance as a number"),
        ({"dtype": "bfloat16"}, "is in float32 and the run is asked for in bfloat16"),
    ],
)
def test_wrong_requests(flux: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ns.search("a red circle", **{"model": flux, "verifier": brightness(), **settings})


@pytest.mark.parametrize(("name", "length"), [("flux", 512), ("sd3", 256), ("sana", 298)])
def test_prompts_that_are_too_long(name: str, length: int, tmp_path: Path) -> None:
    tiny_pipeline(name, tmp_path)
    # FLUX has to be made to take a negative prompt.
    (tmp_path / "noisesearch.json").write_text('{"size": [32, 32], "true_guidance": 2}')
    model = from_folder(tmp_path)
    model.condition("q" * (length - 2))
    with pytest.raises(ConfigError, match=r"the prompt has \d+ tokens and .* takes .*'[q ]*end'"):
        model.condition("q" * length + " end")
    with pytest.raises(ConfigError, match="would be cut"):
        model.condition("a red circle", "q" * length + " end")


def test_prompts_without_a_third_encoder() -> None:
    pipeline = tiny_pipeline("sd3")
    pipeline.register_modules(text_encoder_3=None, tokenizer_3=None)
    with pytest.raises(ConfigError, match=r"takes 77, so 2\d would be cut"):
        from_object(pipeline).condition("q" * 100)


def test_wrong_objects(flux: Any) -> None:
    with pytest.raises(ConfigError, match="model is of type dict and has no 'name'; a model"):
        ns.search("a red circle", model={}, verifier=brightness())
    bare = tiny_pipeline("flux")
    bare.register_modules(vae=None)
    with pytest.raises(ConfigError, match="the FluxPipeline has no vae"):
        from_object(bare)
    other = tiny_pipeline("flux")
    kind = importlib.import_module("diffusers").FlowMatchHeunDiscreteScheduler
    other.scheduler = kind()
    found = ns.search("a red circle", model=other, verifier=brightness(), solver="heun", budget=16)
    assert found.winner.score >= found.baseline.score


def test_without_diffusers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ConfigError, match=r"pip install 'noisesearch\[diffusers\]'"):
        model_of(str(folder))


def test_an_ensemble_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are on the hub: which they are, and how to give others."""
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError) as caught:
        ns.search("a cat", model=tiny_pipeline("flux"), budget=16)
    for word in ("openai/clip-vit-large-patch14", "'clipscore'", "clipscore(weights="):
        assert word in str(caught.value)
