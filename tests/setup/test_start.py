"""The user's own first noise: from a seed, from latents; on a model without weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.candidates.condition import Condition
from noisesearch.candidates.noise import Materialiser, Noise, normals
from noisesearch.runs.rerank import rerank
from noisesearch.runs.verify import verify
from noisesearch.setup.start import start_of
from noisesearch.store.run_store import RunStore, read_spec
from noisesearch.testing import MixtureModel

SHAPE = (3, 8, 8)
MODEL = "noisesearch.testing:MixtureModel"


def search(prompts: Any = "x", **settings: Any) -> Any:
    common = {"model": MixtureModel(SHAPE), "algorithm": "zero-order", "budget": "9candidates"}
    return ns.search(prompts, **{**common, **settings})


def noises(run: Path, *keys: str) -> list[Noise]:
    """The start noises of candidates, from the folder alone."""
    store = RunStore(run, write=False)
    graph = store.graph()
    return [graph.trajectory(key).noise for key in keys]


def numbers(run: Path, key: str) -> np.ndarray:
    store = RunStore(run, write=False)
    return Materialiser(SHAPE, store.arrays.get)(noises(run, key)[0])


def latents(seed: int = 5, count: int | None = None) -> np.ndarray:
    return normals(seed, SHAPE if count is None else (count, *SHAPE))


def test_the_baseline_is_made_of_exactly_these_numbers(tmp_path: Path) -> None:
    mine = latents() * np.float32(1.5)  # not of unit norm, and not made so
    with pytest.warns(UserWarning, match=r"does not look like unit normals.*deviation 1\.5"):
        found = search(start_latents=mine, out=tmp_path / "run")
    assert np.array_equal(numbers(tmp_path / "run", found.baseline.trajectory), mine)
    # The pivot of the first round, whose neighbours keep its norm and its angle.
    near = numbers(tmp_path / "run", found.candidates[1].trajectory).ravel()
    assert np.linalg.norm(near) == pytest.approx(np.linalg.norm(mine), rel=1e-6)
    (node,) = noises(tmp_path / "run", found.candidates[1].trajectory)
    cosine = near @ mine.ravel() / np.linalg.norm(near) / np.linalg.norm(mine)
    assert cosine == pytest.approx(node.numbers[1], abs=1e-6)


def test_the_other_noises_stay(tmp_path: Path) -> None:
    plain = search(algorithm="random")
    mine = search(algorithm="random", start_latents=latents())
    keys = [[c.trajectory for c in found.candidates] for found in (plain, mine)]
    assert keys[0][0] != keys[1][0] and keys[0][1:] == keys[1][1:]
    assert plain.baseline.trajectory != mine.baseline.trajectory


def test_the_folder_is_enough(tmp_path: Path) -> None:
    """Resume, extension, verification and another ranking, with the file gone."""
    file, run = tmp_path / "mine.npy", tmp_path / "run"
    mine = normals(5, MixtureModel().shape)
    np.save(file, mine)
    alike = {"model": MODEL, "algorithm": "zero-order"}  # asks alike under every budget
    first = ns.search("x", **alike, budget="5candidates", start_latents=file, out=run)
    file.unlink()
    whole = ns.search("x", **alike, budget="9candidates", start_latents=mine)
    (more,) = ns.resume(run, budget="9candidates")
    assert more.baseline == first.baseline
    assert more.winner.trajectory == whole.winner.trajectory
    assert more.winner.score == whole.winner.score
    assert verify(run)["pixels"] == 0
    assert rerank(run, "part(brightness)").results[0].baseline.trajectory == (
        first.baseline.trajectory
    )


def test_a_start_is_recorded_and_none_is_not(tmp_path: Path) -> None:
    search(start_seed=7, out=tmp_path / "mine")
    search(out=tmp_path / "plain")
    mine, plain = (read_spec(tmp_path / name)["start"] for name in ("mine", "plain"))
    assert mine["of"] == "start-seed 7"
    (key,) = mine["noises"]
    drawn = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7))
    store = RunStore(tmp_path / "mine", write=False)
    assert np.array_equal(store.arrays.get(key), drawn.numpy())
    assert plain is None and not (tmp_path / "plain" / "blobs").exists()


def test_one_for_all_prompts_and_one_for_each(tmp_path: Path) -> None:
    each = latents(count=2)
    runs = {"all": each[:1], "own": each, "seed": None}
    for name, given in runs.items():
        more = {"start_latents": given} if given is not None else {"start_seed": "cpu:3"}
        found = search(["x", "y"], out=tmp_path / name, **more)
        begun = [numbers(tmp_path / name, f.baseline.trajectory) for f in found]
        assert np.array_equal(begun[0], begun[1]) == (name != "own")
        if given is not None:
            assert np.array_equal(begun[0], each[0])
    assert np.array_equal(numbers(tmp_path / "own", search(
        ["x", "y"], start_latents=each)[1].baseline.trajectory), each[1])  # fmt: skip


def test_a_search_for_a_set_begins_there_too(tmp_path: Path) -> None:
    each = latents(count=2)
    found = search(["x", "y"], algorithm=ns.Population(size=2), start_latents=each,
                   out=tmp_path / "run")  # fmt: skip
    begun = [numbers(tmp_path / "run", f.baseline.trajectory) for f in found]
    assert all(np.array_equal(a, b) for a, b in zip(begun, each, strict=True))


def of_npz(path: Path, mine: np.ndarray) -> Path:
    np.savez(path / "mine.npz", latents=mine, other=mine + 1)
    return path / "mine.npz"


def of_safetensors(path: Path, mine: np.ndarray) -> Path:
    save_file({"whatever": torch.tensor(mine)}, path / "mine.safetensors")
    return path / "mine.safetensors"


def of_comfyui(path: Path, mine: np.ndarray) -> Path:
    held = {"latent_tensor": torch.tensor(mine), "latent_format_version_0": torch.zeros(0)}
    save_file(held, path / "mine.latent")
    return path / "mine.latent"


@pytest.mark.parametrize(
    "given",
    [of_npz, of_safetensors, of_comfyui, lambda path, mine: torch.tensor(mine),
     lambda path, mine: mine.astype(np.float64),
     lambda path, mine: torch.tensor(mine)[None].requires_grad_()],
    ids=["npz", "safetensors", "comfyui", "tensor", "float64", "with a gradient"],
)  # fmt: skip
def test_ways_to_give_them(tmp_path: Path, given: Callable[[Path, np.ndarray], Any]) -> None:
    plain = search(start_latents=latents())
    found = search(start_latents=given(tmp_path, latents()))
    assert found.baseline.trajectory == plain.baseline.trajectory
    assert found.winner.parts == plain.winner.parts


def test_half_precision_is_exact(tmp_path: Path) -> None:
    mine = torch.tensor(latents()).bfloat16()
    save_file({"latents": mine}, tmp_path / "mine.safetensors")
    found = search(start_latents=tmp_path / "mine.safetensors", out=tmp_path / "run")
    begun = numbers(tmp_path / "run", found.baseline.trajectory)
    assert np.array_equal(begun, mine.float().numpy())


def test_normals_are_not_remarked_on() -> None:
    for seed in range(100):
        start = start_of(MixtureModel(), [Condition()], "cpu", "float32", seed=seed)
        assert start is not None and start.remark == ""


def unreadable(path: Path) -> Path:
    (path / "mine.safetensors").write_bytes(b"no tensors")
    return path / "mine.safetensors"


def pickled_array(path: Path) -> Path:
    np.save(path / "mine.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return path / "mine.npy"


def unpickled(path: Path) -> Path:
    torch.save(torch.zeros(SHAPE), path / "mine.pt")
    return path / "mine.pt"


def several(path: Path) -> Path:
    save_file({"a": torch.zeros(2), "b": torch.zeros(2)}, path / "mine.safetensors")
    return path / "mine.safetensors"


def picture(path: Path) -> Path:
    (path / "mine.png").write_bytes(b"")
    return path / "mine.png"


def cut(path: Path) -> Path:
    np.savez(path / "mine.npz", latents())
    (path / "mine.npz").write_bytes((path / "mine.npz").read_bytes()[:60])
    return path / "mine.npz"


def spoilt(value: float) -> np.ndarray:
    mine = latents()
    mine[0, 0, :2] = value
    return mine


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (latents()[:2], r"shape \[2, 8, 8\], but mixture at 8x8 needs \[3, 8, 8\], or one"),
        (latents(count=3), "holds 3 noises for 1 prompt; give one for all"),
        (spoilt(np.nan), "2 numbers of 192 that are not finite"),
        (spoilt(np.inf), "2 numbers of 192 that are not finite"),
        (np.zeros(SHAPE, np.uint8), "holds uint8, but noise is floating-point"),
        (np.array(["a"]), "must hold numbers"),
        ("mine.safetensors", r"mine\.safetensors: no such file"),
        ([1.0], "is a list, but must be a file, an array or a tensor"),
        (unpickled, r"mine\.pt would have to be unpickled, .* safetensors"),
        (pickled_array, r"mine\.npy cannot be read \(Array can't be memory-mapped"),
        (unreadable, r"mine\.safetensors cannot be read"),
        (several, r"must hold one tensor, and holds a, b"),
        (picture, r"mine\.png is none of \.safetensors, \.latent, \.npy, \.npz files"),
        (cut, r"mine\.npz cannot be read"),
    ],
)
def test_latents_that_are_refused(given: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        search(start_latents=given(tmp_path) if callable(given) else given, out=tmp_path / "run")
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", ["", "x", -1, 1.5, "cuda:0:1", 2**64, "cpu:", True])
def test_seeds_that_are_refused(seed: Any) -> None:
    with pytest.raises(ConfigError, match=r"start-seed is .* must be a whole number from 0"):
        search(start_seed=seed)


def test_wrong_together() -> None:
    with pytest.raises(ConfigError, match="both given"):
        search(start_seed=1, start_latents=latents())
    with pytest.raises(ConfigError, match="'x' is there twice, with different latents"):
        search(["x", "x"], start_latents=latents(count=2))
    assert len(search(["x", "x"], start_seed=1)) == 2
