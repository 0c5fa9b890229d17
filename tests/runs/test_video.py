"""Videos: whole ones on disk, a few frames before verifiers of images, one where a picture is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import noisesearch as ns
from noisesearch.candidates.condition import Condition
from noisesearch.files import pictures
from noisesearch.models.choice import as_model
from noisesearch.runs.rerank import rerank
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.testing import tiny_pipeline
from noisesearch.testing.mixture_model import brightness, evenness
from noisesearch.verifiers.protocol import FunctionVerifier, Views
from noisesearch.verifiers.video import FRAMES, OnVideos

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")


def moving(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 5, 3), np.uint8)


@pytest.mark.parametrize("kind", ["all differ", "some are equal", "all are equal", "one"])
def test_files_hold_every_frame(kind: str, tmp_path: Path) -> None:
    """To the bit; an animated PNG leaves out frames that are equal to the one before."""
    video = moving(1 if kind == "one" else 9)
    if kind == "some are equal":
        video[3:6], video[8] = video[2], video[7]
    if kind == "all are equal":
        video[:] = video[0]
    path = tmp_path / "video.png"
    path.write_bytes(pictures.png(video, trajectory="abc"))
    assert np.array_equal(pictures.read(path), video)
    with Image.open(path) as image:
        assert image.info["noisesearch:trajectory"] == "abc"
    assert np.array_equal(pictures.still(video), video[len(video) // 2])


def test_a_picture_stays_a_picture(tmp_path: Path) -> None:
    picture = moving(1)[0]
    path = tmp_path / "picture.png"
    path.write_bytes(pictures.png(picture))
    assert np.array_equal(pictures.read(path), picture)
    assert np.array_equal(pictures.still(picture), picture)


def views(frames: int) -> Views:
    """Three videos in which frame k is as bright as k/100, a little more a row."""
    levels = torch.arange(frames) / 100 + torch.arange(3)[:, None] / 1000
    images = levels[:, :, None, None, None].expand(3, frames, 3, 4, 4)
    return Views(images, [Condition(text="x")] * 3)


@pytest.mark.parametrize(
    ("frames", "seen"),
    [(29, [0, 4, 8, 12, 16, 20, 24, 28]), (8, list(range(8))), (3, [0, 1, 2]), (1, [0])],
)
def test_a_verifier_of_images_sees_frames(frames: int, seen: list[int]) -> None:
    """Evenly spaced, the first and the last among them, in batches as wide as ever."""
    looked: list[tuple[int, ...]] = []

    def bright(images: torch.Tensor, conditions: Any) -> torch.Tensor:
        looked.append(tuple(images.shape))
        return images.mean((1, 2, 3))

    found = OnVideos(FunctionVerifier(bright, "bright")).scores(views(frames))["bright"]
    expected = sum(seen) / len(seen) / 100 + torch.arange(3) / 1000
    assert torch.allclose(found.float(), expected, atol=1e-6)
    assert looked == [(3, 3, 4, 4)] * len(seen) and len(seen) <= FRAMES


def test_a_verifier_of_videos_sees_all_of_them() -> None:
    def motion(images: torch.Tensor, conditions: Any) -> torch.Tensor:
        return (images[:, 1:] - images[:, :-1]).abs().mean((1, 2, 3, 4))

    motion.video = True  # type: ignore[attr-defined]
    found = OnVideos(FunctionVerifier(motion, "motion")).scores(views(20))["motion"]
    assert torch.allclose(found, torch.full((3,), 0.01), atol=1e-6)
    nan = FunctionVerifier(lambda i, c: torch.where(i.mean((1, 2, 3)) > 0.05, torch.nan, 1.0), "n")
    assert OnVideos(nan).scores(views(20))["n"].isnan().all()


def test_features_are_the_mean_over_frames() -> None:
    seen = OnVideos(evenness())
    clip = views(5)
    one = [seen.features(Views(clip.images[:, k], clip.conditions)) for k in range(5)]
    assert torch.allclose(seen.features(clip), torch.stack(one).mean(0))


def test_a_run_of_videos(tmp_path: Path) -> None:
    """Second looks are at the stored video; it is shown by the frame in its middle."""
    pipeline = tiny_pipeline("ltx")

    def motion(images: Any, conditions: Any) -> Any:
        return (images[:, 1:] - images[:, :-1]).abs().mean((1, 2, 3, 4))

    motion.video = True  # type: ignore[attr-defined]
    found = ns.search(
        "a red circle", model=pipeline, verifier=[brightness(), motion], budget="5candidates",
        algorithm="random", out=tmp_path / "run", top=2,
    )  # fmt: skip
    assert found.winner.pixels.shape == (5, 32, 32, 3)
    assert np.array_equal(np.asarray(found.image), found.winner.pixels[2])
    own = pictures.read(found.winner.path)
    between = np.abs(np.diff(own.astype(float), axis=0)).mean() / 255
    assert found.winner.parts["motion"] == pytest.approx(between, rel=1e-4)
    assert (tmp_path / "run" / "grid.png").exists() and (tmp_path / "run" / "best.png").exists()
    verifiers = {"brightness": brightness(), "motion": FunctionVerifier(motion, "motion")}
    known = PythonObjects(model=as_model(pipeline), verifiers=verifiers)
    again = rerank(tmp_path / "run", "part(motion)", given=known).results[0]
    assert again.winner.parts["motion"] == max(c.parts["motion"] for c in found.candidates)
    file = tmp_path / "even.py"
    file.write_text("def pale(images, conditions):\n    return 1 - images.mean((1, 2, 3))\n")
    pale = rerank(tmp_path / "run", "part(pale)", f"{file}:pale", given=known).results[0]
    assert pale.ledger["physical"]["nfe"] == found.ledger["physical"]["nfe"], "nothing is made"
    assert pale.winner.parts["pale"] == pytest.approx(
        1 - pale.winner.pixels.mean() / 255, abs=1e-5
    )
