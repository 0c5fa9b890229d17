"""Results in notebooks, and their plots."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import noisesearch as ns
from noisesearch import ConfigError
from noisesearch.runs import notebook
from noisesearch.runs.rerank import rerank
from noisesearch.setup.python_objects import PythonObjects
from noisesearch.testing import MixtureModel

PROMPTS = ["a <b>red</b> circle & co", "two"]


def made(folder: Path, prompts: Any = PROMPTS, **settings: Any) -> Any:
    common: dict[str, Any] = {"budget": "9candidates", "rows": 4, "algorithm": "zero-order"}
    seen = {"verifier": "brightness", "watch": "evenness"}
    return ns.search(prompts, model=MixtureModel(), out=folder, **{**common, **seen, **settings})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ns.Results:
    found: ns.Results = made(tmp_path_factory.mktemp("notebook") / "run")
    return found


class Tags(HTMLParser):
    """The images of a page, and whether all that is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        elif tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + "\n"


def test_baseline_and_winner_beside_each_other(results: ns.Results) -> None:
    page = Tags(results._repr_html_())
    for result, pair in zip(results, zip(*[iter(page.images)] * 2, strict=True), strict=True):
        for candidate, image in zip((result.baseline, result.winner), pair, strict=True):
            data = (image["src"] or "").removeprefix("data:image/png;base64,")
            with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
                assert np.array_equal(np.array(shown), candidate.pixels)
        assert [image["alt"] for image in pair] == [
            f"baseline of {result.condition}", f"winner of {result.condition}"
        ]  # fmt: skip
        assert str(result.condition) in page.text, "no markup of a prompt"
        assert f"{result.winner.score:.3f}" in page.text
        assert f"{result.ledger['nfe']:g} NFE" in page.text
    assert len(Tags(results[0]._repr_html_()).images) == 2


def test_of_many_the_first(results: ns.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "MOST", 1)
    page = Tags(results._repr_html_())
    assert len(page.images) == 2
    assert "and 1 more" in page.text


def test_large_pictures_are_made_small(tmp_path: Path) -> None:
    (result,) = made(tmp_path / "run", ["one"], budget="3candidates")
    noise = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
    for candidate in (result.winner, result.baseline):
        Image.fromarray(noise).save(candidate.path)
    assert len(result._repr_html_()) < 2**20


def test_pictures_that_were_not_kept(tmp_path: Path) -> None:
    (result,) = made(tmp_path / "run", ["one"], budget="3candidates")
    result.baseline.path.unlink()
    page = Tags(result._repr_html_())
    assert "(not kept)" in page.text
    assert page.images == [] or len(page.images) == 1


def test_a_plot_is_what_the_search_saw(results: ns.Results) -> None:
    pytest.importorskip("matplotlib")
    result = results[0]
    figure = result.plot()
    score, part, held = figure.axes
    points = np.asarray(score.collections[0].get_offsets())
    assert sorted(points[:, 1]) == pytest.approx(sorted(c.score for c in result.candidates))
    price = result.ledger["nfe"] // len(result.candidates)
    assert sorted(points[:, 0]) == [price * (i + 1) for i in range(len(result.candidates))]
    best = score.lines[0]
    assert np.all(np.diff(best.get_ydata()) >= 0)
    assert best.get_ydata()[-1] == max(c.score for c in result.candidates)
    assert part.get_ylabel() == "brightness"
    assert "evenness" in held.get_ylabel()
    assert [line.get_linestyle() for line in held.lines] == ["--"]
    assert result.watched is not None
    known = [v for v in result.watched.parts["evenness"] if v is not None]
    assert list(held.lines[0].get_ydata()) == [*known, known[-1]]
    assert held.get_xlabel() == "NFE"
    with Image.open(io.BytesIO(figure._repr_png_())) as image:
        assert image.size[0] > 500
        assert len(np.unique(np.array(image.convert("L")))) > 20


def test_a_plot_after_a_rerank(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made(tmp_path / "run", ["one"], verifier="ensemble", watch=())
    (result,) = rerank(
        tmp_path / "run", "part(evenness)", given=PythonObjects(MixtureModel())
    ).results
    line = result.plot().axes[0].lines[0]
    assert line.get_ydata()[-1] == result.winner.score == result.winner.parts["evenness"]


def test_without_matplotlib(results: ns.Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'noisesearch[plot]'")):
        results[0].plot()
