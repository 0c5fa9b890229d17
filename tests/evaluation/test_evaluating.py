"""Evaluations of runs and folders: which images, by whose features, and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import noisesearch as ns
from noisesearch.algorithms.population import Population
from noisesearch.candidates.condition import Condition
from noisesearch.evaluation import metrics
from noisesearch.evaluation.evaluate import Evaluation
from noisesearch.evaluation.set_metrics import SetFeatures
from noisesearch.evaluation.verifier_view import ROWS, VerifierView
from noisesearch.models.choice import model_of
from noisesearch.names import registry
from noisesearch.objectives.sets import Moments, frechet_distance
from noisesearch.sampling.images import pictures
from noisesearch.setup.selection import verifier_of
from noisesearch.testing import MixtureModel
from noisesearch.verifiers.features import inception
from noisesearch.verifiers.features.oracle import ClassProbability
from noisesearch.verifiers.protocol import Views

PROMPTS = ["a red circle", "two blue squares", "a yellow ring", "three purple circles"]
BRIGHT = "def bright(images, conditions):\n    return images.mean((1, 2, 3))\n"


def real(count: int, model: str = "shapes") -> torch.Tensor:
    """Painted pictures of PROMPTS in turn."""
    found: torch.Tensor = model_of(model).real([Condition(text=p) for p in PROMPTS], count)  # type: ignore[attr-defined]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty painted pictures with their prompts in a table."""
    folder = tmp_path / "images"
    folder.mkdir()
    lines = []
    for i, picture in enumerate(pictures(real(40))):
        Image.fromarray(picture).save(folder / f"{i:03}.png")
        lines.append({"file_name": f"{i:03}.png", "prompt": PROMPTS[i % 4]})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def features(images: torch.Tensor, verifier: str = "clipscore") -> Any:
    of: Any = verifier_of(verifier, model_of("shapes"))
    conditions = [Condition(text=PROMPTS[0])] * len(images)
    return of.features(Views(images, conditions)).double().numpy()


def test_a_folder_by_the_features_of_a_world(folder: Path) -> None:
    """Catches pictures in another order than their prompts, fillers of the last batch counted in,
    and a reference that is not the world's."""
    assert 40 % ROWS, "the last batch has fillers"
    report = Evaluation(folder, "fid,clipscore", model="shapes").report()
    (found,) = report.figures
    assert report.features == "clipscore" and report.reference == "real images of shapes"
    reference = Moments.of(features(real(2048)))
    mine = Moments.of(features(real(40)))
    wanted = frechet_distance(mine, reference.mean, reference.covariance)
    assert found["frechet(clipscore)"] == pytest.approx(wanted, rel=1e-4)
    assert "fid" not in found
    scorer: Any = verifier_of("clipscore", model_of("shapes"))
    conditions = [Condition(text=PROMPTS[i % 4]) for i in range(40)]
    said = scorer(Views(real(40), conditions))["clipscore"].tolist()
    assert found["clipscore"] == pytest.approx(said, rel=1e-4)
    assert any("40 images by 128 features" in n and "129 images" in n for n in report.notes)
    json.dumps(report.json(), allow_nan=False)


def test_diversity_stands_beside_every_quality(folder: Path, tmp_path: Path) -> None:
    """By pixels where no network is named; what recall lacks is said."""
    (tmp_path / "mine.py").write_text(BRIGHT)
    report = Evaluation(folder, f"{tmp_path}/mine.py:bright").report()
    (found,) = report.figures
    assert report.features == "pixels" and set(found) == {"bright", "diversity"}
    small = torch.nn.functional.adaptive_avg_pool2d(real(40), 8).flatten(1).double()
    assert found["diversity"] == pytest.approx(torch.pdist(small).mean().item(), rel=1e-5)
    assert any("recall is not measured" in n and "--features" in n for n in report.notes)
    whole = Evaluation(folder, "clipscore", model="shapes").report().figures[0]
    assert set(whole) == {"clipscore", "diversity", "recall"}


def test_references_of_three_kinds_agree(folder: Path, tmp_path: Path) -> None:
    rows = features(real(40))
    np.savez(tmp_path / "rows.npz", features=rows.astype(np.float32))
    np.savez(tmp_path / "known.npz", mu=rows.mean(0), sigma=np.cov(rows.T))
    found = {}
    for given in (folder, tmp_path / "rows.npz", tmp_path / "known.npz"):
        report = Evaluation(folder, "fid", "clipscore", str(given), model="shapes").report()
        found[given.name] = report.figures[0]
        assert report.figures[0]["frechet(clipscore)"] == pytest.approx(0, abs=1e-4)
    assert found["images"]["recall"] == found["rows.npz"]["recall"] == 1.0
    assert "recall" not in found["known.npz"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    ns.search(PROMPTS * 2, model="shapes", verifier="aesthetic", algorithm="random", steps=2,
              guidance=1, budget="4candidates", out=folder)  # fmt: skip
    return folder


def test_a_run_without_search_and_with_it(run: Path) -> None:
    """The numbers are those that the run saw, and the gain is paired."""
    report = Evaluation(run, "aesthetic,clipscore,pr").report()
    assert [s.name for s in report.sets] == ["baseline", "winner"]
    stored = json.loads((run / "winners.json").read_text())["searches"]
    for images, found, name in zip(report.sets, report.figures, ("baseline", "winner"),
                                   strict=True):  # fmt: skip
        seen = [search[name]["parts"]["aesthetic"] for search in stored]
        assert found["aesthetic"] == pytest.approx(seen, abs=1e-4)
        assert images.prompts == [search["condition"] for search in stored]
    gain = report.gains["aesthetic"]
    means = [np.mean(found["aesthetic"]) for found in report.figures]
    assert gain.delta == pytest.approx(means[1] - means[0]) and gain.low > 0
    assert {"precision", "recall", "diversity"} <= set(report.figures[1])
    assert set(report.gains) == {"aesthetic", "clipscore"}


def test_a_population_is_measured_whole(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BRIGHT)
    ns.search(["one", "two"], model=MixtureModel(), verifier="brightness", rows=4,
              algorithm=Population(size=8, batch=4), budget="16candidates",
              objective="frechet(brightness)", out=tmp_path / "run")  # fmt: skip
    report = Evaluation(tmp_path / "run", f"{tmp_path}/mine.py:bright").report()
    population = json.loads((tmp_path / "run" / "winners.json").read_text())["population"]
    assert [path.stem for path in report.sets[1].paths] == population["with_search"]
    assert len(report.sets[0]) == 8 and "bright" in report.gains


def test_the_world_fashion_by_its_own_networks(tmp_path: Path) -> None:
    """Class names are read; its distance is not called FID; its classifier serves."""
    (tmp_path / "images").mkdir()
    draw = np.random.default_rng(0)
    for i in range(12):
        grey = draw.integers(0, 256, (28, 28, 1), np.uint8).repeat(3, 2)
        Image.fromarray(grey).save(tmp_path / "images" / f"{i}.png")
    given = ["sneaker", "class:8"]
    report = Evaluation(tmp_path / "images", "fid,is,oracle-is", prompts=given, model="fashion")
    made = report.report()
    (found,) = made.figures
    assert {"frechet(oracle-fid)", "is", "oracle-is"} <= set(found) and "fid" not in found
    assert made.sets[0].conditions[0] == Condition(label=7)
    assert found["is"] >= 1.0 and np.isfinite(found["oracle-is"]).all()


def test_a_distance_is_called_fid_by_the_published_network_alone() -> None:
    """Of its full width; a smaller network's is called by its own name."""

    def eyes(share: int) -> SetFeatures:
        network = inception.Inception(share)
        return SetFeatures(VerifierView(ClassProbability(network, (0,), "")))

    assert eyes(1).published and not eyes(16).published


def test_logits_are_those_that_the_probability_is_of() -> None:
    verifier = ClassProbability(inception.Inception(16), (5, 2), "")
    images = torch.rand(4, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        views = Views(images, [Condition(label=1)] * 4)
        said = verifier.logits(views).softmax(1)[:, 2]
        assert torch.equal(verifier(views)["oracle-is"], said)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"metrics": ""}, "no metric is named"),
    "unknown": ({"metrics": "fidd"}, "unknown metric 'fidd'"),
    "settings of none": ({"metrics": "fid(x=1)"}, "takes no settings"),
    "no network": ({"metrics": "kid", "reference": "."}, "--features clipscore"),
    "no such reference": ({"metrics": "fid", "reference": "no.npz"}, "no.npz does not exist"),
    "no classifier": ({"metrics": "is"}, "needs a classifier"),
    "no features": (
        {"metrics": "fid", "features": "checker", "model": "shapes"}, "gives no features",
    ),
    "looks back": ({"metrics": "self-supervised", "model": "shapes"}, "looks back on how"),
    "a person": ({"metrics": "human"}, "takes its time"),
    "of other words": (
        {"metrics": "oracle-is", "model": "fashion"}, "40 of 40 images have none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_says_what_is_wrong(name: str, folder: Path) -> None:
    given, words = WRONG[name]
    (folder / "metadata.jsonl").unlink()
    with pytest.raises(ns.ConfigError, match=words):
        Evaluation(folder, **given).report()


def test_an_experiment_is_several_runs(folder: Path) -> None:
    (folder / "experiment.json").write_text("{}")
    with pytest.raises(
        ns.ConfigError, match=r"in its table\.csv; measure one of its runs: .*runs"
    ):
        Evaluation(folder, metrics="diversity").report()


SEES = """
class Sees:
    name, parts, scale, fingerprint = "sees", (), {}, ""
    differentiable, rows = False, None

    def __call__(self, views):
        return {}

    def features(self, views):
        return views.images.mean((2, 3))
"""


def test_without_real_images_nothing_is_compared_with_them(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "sees.py").write_text(SEES)
    with pytest.raises(ns.ConfigError, match=r"'kernel\(sees\)' .*give --reference FOLDER"):
        Evaluation(folder, "kid", f"{tmp_path}/sees.py:Sees").report()


def test_references_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, mu=np.zeros(3), sigma=np.eye(3))
    with pytest.raises(ns.ConfigError, match=r"of 3 features, but 'clipscore' sees 128"):
        Evaluation(folder, "fid", "clipscore", str(path), model="shapes").report()
    with pytest.raises(ns.ConfigError, match=r"images themselves are compared.*FOLDER"):
        Evaluation(folder, "pr", "clipscore", str(path), model="shapes").report()
    np.savez(path, features=np.zeros(3))
    with pytest.raises(ns.ConfigError, match=r"features \[3\], but finite numbers \[n, d\]"):
        Evaluation(folder, "fid", "clipscore", str(path), model="shapes").report()


def test_every_metric_is_listed_with_what_it_is() -> None:
    rows = {row["name"]: row["summary"] for row in metrics.listed()}
    assert set(registry.TABLES["metric"]) | set(metrics.GROUPS) <= set(rows)
    assert all(rows.values()) and rows["pr"] == "precision and recall"


def test_a_verifier_that_needs_prompts_says_so(folder: Path) -> None:
    (folder / "metadata.jsonl").unlink()
    with pytest.raises(ns.ConfigError, match=r"40 of 40 images have none.*--prompts FILE"):
        Evaluation(folder, "clipscore", model="shapes").report()
    assert Evaluation(folder, "aesthetic", model="shapes").report().figures
