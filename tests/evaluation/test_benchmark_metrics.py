"""Benchmarks' metrics by their names, on folders of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noisesearch.errors import ConfigError
from noisesearch.evaluation import metrics
from noisesearch.evaluation.compbench.metrics import Numeracy
from noisesearch.evaluation.evaluate import Evaluation
from noisesearch.evaluation.images import of_folder
from noisesearch.names import registry
from support.grader_server import GraderServer
from support.tiny_detectors import make_asked_detector

PROMPTS = ("two dogs", "a dog and three cats")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images a prompt, named as T2I-CompBench names them; grey by their number."""
    for i in range(4):
        picture = np.full((32, 32, 3), 51 * i, np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{PROMPTS[i // 2]}_{i:06}.png")
    return tmp_path


def test_names_are_the_metrics_own() -> None:
    own = [name for name in registry.TABLES["metric"] if name.startswith("compbench-")]
    for name in [*own, "grader"]:
        assert registry.load("metric", name).name == name
    summaries = {row["name"]: row["summary"] for row in metrics.listed()}
    assert own and all(summaries[name] for name in [*own, "grader"])


def test_numbers_of_objects(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("numeracy")
    make_asked_detector(place / "detector")
    (place / "new_objects.txt").write_text("dog - dogs\ncat - cats")
    settings = f"detector={place / 'detector'}, prompts={place}, threshold=0, device=cpu"
    report = Evaluation(folder, f"compbench-numeracy({settings})").report()
    direct = Numeracy(
        detector=str(place / "detector"), prompts=str(place), threshold=0, device="cpu"
    ).measure(of_folder(folder, [PROMPTS[1], PROMPTS[0]]))
    assert report.figures[0]["compbench-numeracy"] == direct["compbench-numeracy"]
    assert max(direct["compbench-numeracy"]) > 0  # type: ignore[type-var, arg-type]
    assert report.figures[0]["compbench-numeracy.unknown"] == 0


def test_the_table_of_a_grader(folder: Path) -> None:
    pytest.importorskip("httpx")
    with GraderServer() as server:
        settings = f"model=stub, endpoint={server.endpoint}, cache=off"
        report = Evaluation(folder, f"grader({settings})").report()
    prompts = [image["prompt"] for image in report.json()["sets"][0]["each"]]
    marks = report.figures[0]["grader.overall"]
    assert isinstance(marks, list)
    by_prompt: dict[str, list[float]] = {prompt: [] for prompt in PROMPTS}
    for prompt, mark in zip(prompts, marks, strict=True):
        by_prompt[prompt].append(round(mark))
    assert by_prompt == {"two dogs": [0, 20], "a dog and three cats": [40, 60]}


def test_what_is_missing_is_said_before_anything_is_measured(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"compbench-numeracy\(prompts=FOLDER\)"):
        Evaluation(folder, "diversity,compbench-numeracy").report()
    with pytest.raises(ConfigError, match="did you mean 'threshold'"):
        Evaluation(folder, "compbench-spatial(treshold=1)").report()
