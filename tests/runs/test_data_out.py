"""Runs as data: candidates and preference pairs, read again with what people read them with."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.candidates.trajectory import Graph
from noisesearch.files import pictures
from noisesearch.runs.export_data import export_data
from noisesearch.runs.rerank import rerank
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.store.history import RunHistory
from noisesearch.testing import MixtureModel


def made(folder: Path, **settings: Any) -> ns.Results:
    common: dict[str, Any] = {"budget": "9candidates", "rows": 4, "algorithm": "zero-order"}
    return ns.search(["one", "two"], model=MixtureModel(), verifier="ensemble", out=folder,
                     **{**common, **settings})  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ns.Results:
    return made(tmp_path_factory.mktemp("data") / "run")


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_every_candidate_is_a_row(results: ns.Results, tmp_path: Path) -> None:
    done = export_data(results.run, "jsonl", tmp_path / "all.jsonl")
    rows = lines(done.file)
    assert done.rows == len(rows)
    for result in results:
        mine = {r["trajectory"]: r for r in rows if r["condition"] == str(result.condition)}
        assert set(mine) == {c.trajectory for c in (*result.candidates, result.baseline)}
        for candidate in result.candidates:
            row = mine[candidate.trajectory]
            assert row["score"] == pytest.approx(candidate.score, rel=1e-12)
            assert {p: row[f"part_{p}"] for p in candidate.parts} == candidate.parts
            picture = pictures.read(tmp_path / row["image"])
            assert np.array_equal(picture, candidate.pixels)
        winners = [r for r in mine.values() if r["role"] == "winner"]
        assert [(w["trajectory"], w["rank"]) for w in winners] == [(result.winner.trajectory, 1)]
        assert mine[result.baseline.trajectory]["baseline"]
        last = max(mine.values(), key=lambda r: r["number"])
        assert last["number"] == len(mine)
        assert last["spent_nfe"] == result.ledger["nfe"] == sum(r["nfe"] for r in mine.values())


def test_recipes_can_be_read_again(results: ns.Results, tmp_path: Path) -> None:
    done = export_data(results.run, "jsonl", tmp_path / "all.jsonl")
    for row in lines(done.file):
        graph = Graph()
        for node in json.loads(row["recipe"]):
            graph.add(node.pop("node"), node)  # refuses a node whose key does not fit
        assert str(graph.trajectory(row["trajectory"]).condition) == row["condition"]


def test_csv_has_the_same_rows(results: ns.Results, tmp_path: Path) -> None:
    wanted = lines(export_data(results.run, "jsonl", tmp_path / "all.jsonl").file)
    with export_data(results.run, "csv", tmp_path / "all.csv").file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(wanted[0])
    text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in wanted]
    assert rows == text


def test_parquet_holds_pictures(results: ns.Results, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    wanted = lines(export_data(results.run, "jsonl", tmp_path / "all.jsonl").file)
    done = export_data(results.run, "parquet", tmp_path / "all.parquet", images="embed")
    table = pq.read_table(done.file)
    note = json.loads(table.schema.metadata[b"huggingface"])
    assert note["info"]["features"] == {"image": {"_type": "Image"}}
    rows = table.to_pylist()
    for row, line in zip(rows, wanted, strict=True):
        with Image.open(io.BytesIO(row["image"]["bytes"])) as image:
            assert np.array_equal(np.array(image), pictures.read(tmp_path / line["image"]))
        assert {**row, "image": row["image"]["path"]} == line


@pytest.mark.parametrize("most", [1, 3, 100])
def test_pairs_are_best_with_worst(results: ns.Results, most: int, tmp_path: Path) -> None:
    done = export_data(results.run, "preferences", tmp_path / "p.jsonl", per_prompt=most)
    rows = lines(done.file)
    for result in results:
        mine = [r for r in rows if r["caption"] == str(result.condition)]
        scores = sorted({c.trajectory: c.score for c in result.candidates}.values())
        margins = [b - a for a, b in zip(scores, scores[::-1], strict=True) if b > a]
        assert [r["margin"] for r in mine] == pytest.approx(margins[:most])
        used = [r[f"image_{i}_uid"] for r in mine for i in (0, 1)]
        assert len(set(used)) == len(used), "no picture twice"
    for row in rows:
        better = int(row["label_1"])
        assert row[f"label_{1 - better}"] == 0.0 and row[f"label_{better}"] == 1.0
        assert row["best_image_uid"] == row[f"image_{better}_uid"]
        gap = row[f"score_{better}"] - row[f"score_{1 - better}"]
        assert gap == row["margin"] > 0
        assert Path(row[f"image_{better}"]).stem == row["best_image_uid"]


def test_the_better_picture_has_no_place_of_its_own(results: ns.Results, tmp_path: Path) -> None:
    done = export_data(results.run, "preferences", tmp_path / "p.jsonl", per_prompt=100)
    assert {row["label_0"] for row in lines(done.file)} == {0.0, 1.0}


def test_pairs_are_read_as_training_scripts_read_them(results: ns.Results) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    done = export_data(results.run, "preferences")
    assert done.file == results.run / "preferences.parquet"
    for row in pq.read_table(done.file).to_pylist():
        for i in (0, 1):
            with Image.open(io.BytesIO(row[f"jpg_{i}"])) as image:
                stored = results.run / "samples" / f"{row[f'image_{i}_uid']}.png"
                assert np.array_equal(np.array(image.convert("RGB")), pictures.read(stored))


def test_a_margin_that_one_prompt_does_not_reach(results: ns.Results, tmp_path: Path) -> None:
    spans = {}
    for result in results:
        scores = [c.score for c in result.candidates]
        spans[str(result.condition)] = max(scores) - min(scores)
    margin = sum(spans.values()) / 2
    done = export_data(results.run, "preferences", tmp_path / "p.jsonl", margin=margin)
    assert [r["caption"] for r in lines(done.file)] == [max(spans, key=lambda c: spans[c])]
    (sentence,) = done.skipped
    assert sentence.startswith(f"{min(spans, key=lambda c: spans[c])}: no pair")


def test_guards_enter_the_scores(tmp_path: Path) -> None:
    made(tmp_path / "run", guard="brightness")
    records = list(RunHistory(tmp_path / "run"))  # refuses scores that are not the run's own
    broken = [r for r in records if r.score is not None and r.score < -100]
    assert broken, "some candidate is darker than its baseline"


def test_a_rerank_is_followed(tmp_path: Path) -> None:
    """Also one that added a verifier, whose scale the spec does not have."""

    def vivid(images: Tensor, conditions: Any) -> Tensor:
        return images.amax((1, 2, 3))

    made(tmp_path / "run")
    for objective, verifier in (("part(evenness)", ""), ("mean-rank(vivid, evenness)", vivid)):
        found = rerank(
            tmp_path / "run", objective, verifier, given=PythonObjects(MixtureModel())
        ).results
        rows = lines(export_data(tmp_path / "run", "jsonl").file)
        for result in found:
            mine = [r for r in rows if r["condition"] == str(result.condition)]
            assert {r["trajectory"]: r["score"] for r in mine} == pytest.approx(
                {c.trajectory: c.score for c in result.candidates}
            )
            (winner,) = [r for r in mine if r["role"] == "winner"]
            assert winner["trajectory"] == result.winner.trajectory
    rows = lines(export_data(tmp_path / "run", "jsonl", objective="part(brightness)").file)
    assert all(row["score"] == row["part_brightness"] for row in rows)


def test_scores_of_an_unknown_objective_are_not_made_up(tmp_path: Path) -> None:
    made(tmp_path / "run")
    file = tmp_path / "run" / "winners.json"
    content = json.loads(file.read_text())
    content["searches"][0]["winner"]["score"] = content["searches"][0]["winners"][0]["score"] = 1e3
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"other scores .* --objective"):
        export_data(tmp_path / "run", "jsonl")


def test_pictures_that_were_not_kept(tmp_path: Path) -> None:
    results = made(tmp_path / "run", keep="winners")
    rows = lines(export_data(tmp_path / "run", "jsonl").file)
    there = {Path(r["image"]).stem for r in rows if r["image"] is not None}
    assert there == {c.trajectory for r in results for c in (r.winner, r.baseline)}
    assert len(rows) > len(there)
    pairs = lines(export_data(tmp_path / "run", "preferences", tmp_path / "p.jsonl").file)
    assert {p[f"image_{i}_uid"] for p in pairs for i in (0, 1)} <= there


def test_finished_at_other_steps(tmp_path: Path) -> None:
    """Drafts and the finished sample are rows of their own; NFE add up to the ledger's."""
    results = made(tmp_path / "run", steps=3, final_steps=6)
    rows = lines(export_data(tmp_path / "run", "jsonl").file)
    for result in results:
        mine = [r for r in rows if r["condition"] == str(result.condition)]
        assert {r["steps"] for r in mine} == {3, 6}
        made_twice = (
            result.winner.trajectory == result.baseline.trajectory and not result.baseline_kept
        )
        paid = result.ledger["nfe"] + (0 if made_twice else result.ledger["baseline"]["nfe"])
        assert sum(r["nfe"] for r in mine) == paid
        assert max(r["spent_nfe"] for r in mine) == paid


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"form": "parqet"}, "did you mean 'parquet'"),
        ({"form": "csv", "margin": 1.0}, "belong to preferences"),
        ({"form": "csv", "out": "a.json"}, "ends with .csv"),
        ({"form": "csv", "images": "embed"}, "cannot hold pictures"),
        ({"form": "csv", "images": "all"}, "unknown way to give images"),
        ({"form": "preferences", "margin": -1.0}, "margin is -1"),
        ({"form": "preferences", "per_prompt": 0}, "got 0 pairs"),
        ({"form": "preferences", "margin": 1e9, "out": "p.csv"}, "gives no pair .*--margin"),
        ({"form": "csv", "objective": "part(brightnes)"}, "did you mean 'brightness'"),
    ],
)
def test_bad_requests(results: ns.Results, settings: dict[str, Any], words: str) -> None:
    before = sorted(p.name for p in results.run.iterdir())
    with pytest.raises(ConfigError, match=words):
        export_data(results.run, **settings)
    assert sorted(p.name for p in results.run.iterdir()) == before


def test_without_pyarrow(results: ns.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'noisesearch\[data\]'"):
        export_data(results.run, "parquet")
